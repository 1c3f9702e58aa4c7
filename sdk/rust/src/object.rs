//! Kubernetes objects as a controller sees them: the fields its author declared, and
//! the metadata that all have.
//!
//! A type of the author's own, deriving `serde::Deserialize` and naming only the fields
//! it reads, becomes an [`Object`] with [`object!`](crate::object). Nothing here is a
//! generic tree: parsing is the dearest part of a call.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::bindings::controller::windlass::controller::recorder::ObjectReference;
use crate::bindings::controller::windlass::controller::types as wit;
use crate::json::Document;
use crate::time::Timestamp;

pub use wit::ObjectKey;

/// A collection at the API server, as in `apps/v1 deployments`. The core group is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApiResource {
    /// Such as `apps`.
    pub group: &'static str,
    /// Such as `v1`.
    pub version: &'static str,
    /// Such as `deployments`.
    pub plural: &'static str,
}

impl ApiResource {
    pub(crate) fn to_wit(self) -> wit::ApiResource {
        wit::ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    /// `apps/v1`, or `v1` for the core group.
    #[must_use]
    pub fn api_version(self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// A kind of object, as far as its author reads it. Implemented by [`object!`](crate::object).
pub trait Object: DeserializeOwned {
    /// Where it is served.
    const RESOURCE: ApiResource;
    /// Its kind, such as `Deployment`.
    const KIND: &'static str;

    /// What all objects have.
    fn meta(&self) -> &ObjectMeta;

    /// Its name in the work queue.
    fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.meta().namespace, &self.meta().name)
    }

    /// What an event about it refers to.
    fn reference(&self) -> ObjectReference {
        let meta = self.meta();
        ObjectReference {
            api_version: Self::RESOURCE.api_version(),
            kind: Self::KIND.to_owned(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
        }
    }

    /// The reference with which something names it as its controlling owner.
    fn controller_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: Self::RESOURCE.api_version(),
            kind: Self::KIND.to_owned(),
            name: self.meta().name.clone(),
            uid: self.meta().uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// Implements [`Object`](crate::Object) for a type with a field `metadata: ObjectMeta`.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct ReplicaSet {
///     metadata: windlass_sdk::ObjectMeta,
/// }
///
/// windlass_sdk::object!(ReplicaSet: "apps", "v1", "replicasets", "ReplicaSet");
/// ```
#[macro_export]
macro_rules! object {
    ($type:ty: $group:literal, $version:literal, $plural:literal, $kind:literal) => {
        impl $crate::Object for $type {
            const RESOURCE: $crate::ApiResource = $crate::ApiResource {
                group: $group,
                version: $version,
                plural: $plural,
            };
            const KIND: &'static str = $kind;

            fn meta(&self) -> &$crate::ObjectMeta {
                &self.metadata
            }
        }
    };
}

impl ObjectKey {
    /// The key of an object; the namespace is empty for cluster-scoped ones.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Labels and annotations.
pub type StringMap = BTreeMap<String, String>;

/// The metadata that controllers read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    /// Unique in its namespace and collection.
    pub name: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Unique in time and space.
    pub uid: String,
    /// Changes with every write.
    pub resource_version: String,
    /// Changes with every change of what is wanted.
    pub generation: i64,
    /// When the server created it.
    pub creation_timestamp: Option<Timestamp>,
    /// When its deletion was asked for.
    pub deletion_timestamp: Option<Timestamp>,
    /// Labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: StringMap,
    /// Annotations.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: StringMap,
    /// Owners, the controlling one among them.
    #[serde(deserialize_with = "null_as_default")]
    pub owner_references: Vec<OwnerReference>,
    /// What must happen before it can go.
    #[serde(deserialize_with = "null_as_default")]
    pub finalizers: Vec<String>,
}

impl ObjectMeta {
    /// The owner that manages this object.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }

    /// Whether the controlling owner has this UID.
    #[must_use]
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner.uid == uid)
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// Whether this finalizer keeps it from going.
    #[must_use]
    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|present| present == finalizer)
    }

    /// An annotation's value.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// Reads an explicit `null` as the empty value, as Go does.
pub fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One owner of an object. Written in the order in which Kubernetes writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// The owner's name.
    pub name: String,
    /// The owner's UID.
    pub uid: String,
    /// Whether it manages the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether foreground deletion of the owner waits for the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// A typed object together with the JSON it was read from, for writing it back with
/// every field that its type does not know.
///
/// Only with a watch whose view is whole objects: a PUT of a pruned body loses the rest.
#[derive(Clone, Debug)]
pub struct Snapshot<T> {
    value: T,
    json: Box<RawValue>,
}

impl<T> Snapshot<T> {
    /// The typed object, and the JSON ready to be edited.
    #[must_use]
    pub fn into_parts(self) -> (T, Document) {
        let document = self.document();
        (self.value, document)
    }

    /// The JSON, ready to be edited.
    #[must_use]
    pub fn document(&self) -> Document {
        Document::new(self.json.get())
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Snapshot<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // From bytes, as everything else is read: a second kind of source would double the code of every type.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_slice(json.get().as_bytes()).map_err(serde::de::Error::custom)?;
        Ok(Self { value, json })
    }
}

impl<T: Object> Object for Snapshot<T> {
    const RESOURCE: ApiResource = T::RESOURCE;
    const KIND: &'static str = T::KIND;

    fn meta(&self) -> &ObjectMeta {
        self.value.meta()
    }
}
