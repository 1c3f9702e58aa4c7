//! One API object as the host keeps it: compact JSON bytes plus an index into them.
//!
//! An [`Object`] stores no string twice: name, namespace, UID, labels and controlling
//! owner are ranges of its body. Only a body that spells one of them with JSON escapes
//! gets a decoded copy beside it. Everything beyond the metadata is skipped, not parsed.
//!
//! Promises: the bytes are kept as given; accessors never fail and never allocate unless
//! they say so. Pruning is not done here: whoever fills a cache decides what to keep.

mod envelope;
mod labels;

use std::ops::Range;

use bytes::Bytes;

pub use self::labels::Labels;
use crate::key::ObjectKey;

/// The controlling owner of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerRef<'a> {
    /// Such as `apps/v1`.
    pub api_version: &'a str,
    /// Such as `ReplicaSet`.
    pub kind: &'a str,
    /// Name.
    pub name: &'a str,
    /// UID.
    pub uid: &'a str,
}

impl<'a> ControllerRef<'a> {
    /// The API group of the owner; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &'a str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether the owner is of this kind, in any version.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.kind == kind && self.group() == group
    }
}

/// An API object: its bytes and where in them the host finds what it needs itself.
#[derive(Clone, Debug)]
pub struct Object {
    body: Bytes,
    /// The strings below, decoded, when the body spells one of them with escapes.
    decoded: Option<Box<str>>,
    resource_version: u64,
    name: Span,
    namespace: Span,
    uid: Span,
    /// Raw JSON of `metadata.labels`; empty without labels.
    labels: Span,
    controller: Option<ControllerSpans>,
    deleting: bool,
}

/// A range of the body, or of the decoded strings. 8 bytes instead of the 16 of a
/// `Range<usize>`: there is one per string of every cached object.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct ControllerSpans {
    api_version: Span,
    kind: Span,
    name: Span,
    uid: Span,
}

/// The bytes are not an API object.
#[derive(Debug, thiserror::Error)]
pub enum ParseObjectError {
    /// Not JSON, no `metadata.name`, or metadata of the wrong types.
    #[error("not an API object: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than 4 GiB.
    #[error("not an API object: {0} bytes are more than any server stores")]
    TooLong(usize),
}

impl Object {
    /// Parses the metadata of an object and keeps its bytes as they are.
    ///
    /// # Errors
    /// When the bytes are not JSON or have no `metadata.name`.
    pub fn parse(body: Bytes) -> Result<Self, ParseObjectError> {
        envelope::parse(body)
    }

    /// Namespace and name, as a key of its own. May allocate for a name of more than
    /// 23 bytes; [`Object::name`] and [`Object::namespace`] never do.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace(), self.name())
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text(self.name)
    }

    /// Namespace; empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text(self.namespace)
    }

    /// UID; empty if the object has none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.text(self.uid)
    }

    /// Resource version as a number, as clients may compare it since Kubernetes 1.35; 0 if absent.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.resource_version
    }

    /// Whether it has a deletion timestamp.
    #[must_use]
    pub fn deleting(&self) -> bool {
        self.deleting
    }

    /// The owner with `controller: true`.
    #[must_use]
    pub fn controller(&self) -> Option<ControllerRef<'_>> {
        self.controller.map(|spans| ControllerRef {
            api_version: self.text(spans.api_version),
            kind: self.text(spans.kind),
            name: self.text(spans.name),
            uid: self.text(spans.uid),
        })
    }

    /// Labels, read anew from the body at each call.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels::parse(self.body.get(self.labels.range()).unwrap_or_default())
    }

    /// JSON bytes of the object, as far as the cache keeps it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Bytes of memory this object takes, its body included, without the allocator's own.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.body.len() + self.decoded.as_ref().map_or(0, |decoded| decoded.len())
    }

    fn text(&self, span: Span) -> &str {
        let source = self
            .decoded
            .as_ref()
            .map_or(self.body.as_ref(), |decoded| decoded.as_bytes());
        // Spans are made from strings, so neither step can fail.
        source
            .get(span.range())
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
