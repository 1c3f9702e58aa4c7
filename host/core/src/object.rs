//! One API object as the host keeps it: compact JSON bytes plus a parsed envelope.
//!
//! Promises: the bytes are kept as given, and everything beyond the metadata is skipped,
//! not parsed. Pruning is not done here: whoever fills a cache decides what to keep.

mod labels;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use smol_str::SmolStr;

pub use self::labels::Labels;
use crate::key::ObjectKey;

/// The controlling owner of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRef {
    /// Such as `apps/v1`.
    pub api_version: SmolStr,
    /// Such as `ReplicaSet`.
    pub kind: SmolStr,
    /// Name.
    pub name: SmolStr,
    /// UID.
    pub uid: SmolStr,
}

impl ControllerRef {
    /// The API group of the owner; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether the owner is of this kind, in any version.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.kind == kind && self.group() == group
    }
}

/// What the host itself needs to know of an object. Shared, so that a cache that keeps
/// bodies in another form can hand out objects without parsing them again.
#[derive(Clone, Debug)]
pub struct ObjectMeta {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Empty if the object has none.
    pub uid: SmolStr,
    /// 0 if absent.
    pub resource_version: u64,
    /// Whether it has a deletion timestamp.
    pub deleting: bool,
    /// The owner with `controller: true`; siblings may share it.
    pub controller: Option<Arc<ControllerRef>>,
}

/// An API object: its bytes and its envelope.
#[derive(Clone, Debug)]
pub struct Object {
    meta: Arc<ObjectMeta>,
    body: Bytes,
}

/// The bytes are not an API object.
#[derive(Debug, thiserror::Error)]
#[error("not an API object: {0}")]
pub struct ParseObjectError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

impl Object {
    /// Parses the envelope of an object and keeps its bytes as they are.
    ///
    /// # Errors
    /// When the bytes are not JSON or have no `metadata.name`.
    pub fn parse(body: Bytes) -> Result<Self, ParseObjectError> {
        let envelope: Envelope<'_> = serde_json::from_slice(&body)?;
        let metadata = envelope.metadata;
        let controller = metadata
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| {
                Arc::new(ControllerRef {
                    api_version: owner.api_version.into(),
                    kind: owner.kind.into(),
                    name: owner.name.into(),
                    uid: owner.uid.into(),
                })
            });
        let meta = ObjectMeta {
            key: ObjectKey {
                namespace: metadata.namespace.into(),
                name: metadata.name.into(),
            },
            uid: metadata.uid.into(),
            resource_version: metadata.resource_version.parse().unwrap_or(0),
            deleting: metadata.deletion_timestamp.is_some(),
            controller,
        };
        Ok(Self {
            meta: Arc::new(meta),
            body,
        })
    }

    /// Joins an envelope with the body it was read from.
    #[must_use]
    pub fn from_parts(meta: Arc<ObjectMeta>, body: Bytes) -> Self {
        Self { meta, body }
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.meta.key
    }

    /// UID; empty if the object has none.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.meta.uid
    }

    /// Resource version as a number, as clients may compare it since Kubernetes 1.35; 0 if absent.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.meta.resource_version
    }

    /// Whether it has a deletion timestamp.
    #[must_use]
    pub fn deleting(&self) -> bool {
        self.meta.deleting
    }

    /// The owner with `controller: true`.
    #[must_use]
    pub fn controller(&self) -> Option<&ControllerRef> {
        self.meta.controller.as_deref()
    }

    /// Labels, read anew from the body at each call, and no further than they stand in it.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels::of_body(&self.body)
    }

    /// JSON bytes of the object, as far as the cache keeps it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

#[cfg(test)]
mod tests;
