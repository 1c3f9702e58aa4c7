//! One stored object: its exact JSON bytes plus the envelope that the server itself
//! needs, so that reads never parse.
//!
//! Every body begins with `{"apiVersion":…,"kind":…,"metadata":{"resourceVersion":"N"`,
//! which lets the store set the revision, and readers cut out the metadata or swap the
//! version, without touching the rest.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use smol_str::SmolStr;

use crate::types::selectors::Fields;

/// A point in the history of the store.
pub(crate) type Revision = u64;

/// Names an object within its collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: SmolStr,
    pub(crate) name: SmolStr,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Labels of an object.
pub(crate) type Labels = Box<[(SmolStr, SmolStr)]>;

/// The constant beginning of every body of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Head(Arc<str>);

impl Head {
    const METADATA: &'static str = r#"{"resourceVersion":""#;

    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let metadata = Self::METADATA;
        Self(format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{metadata}"#).into())
    }
}

/// What the server needs to know of an object without parsing it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) uid: SmolStr,
    pub(crate) labels: Labels,
    /// Selectable fields that are not empty.
    fields: Box<[(&'static str, SmolStr)]>,
    pub(crate) deleting: bool,
}

/// An object encoded except for its resource version.
#[derive(Debug)]
pub(crate) struct Draft {
    head: Head,
    tail: Vec<u8>,
    metadata_end: usize,
    envelope: Arc<Envelope>,
}

impl Draft {
    /// Encodes an object; its own `apiVersion`, `kind` and resource version do not matter.
    pub(crate) fn encode(head: &Head, object: &Value, fields: Fields) -> Self {
        let mut tail = Vec::with_capacity(1024);
        tail.push(b'"');
        let metadata = object.get("metadata").and_then(Value::as_object);
        for (key, value) in metadata
            .into_iter()
            .flatten()
            .filter(|(key, value)| *key != "resourceVersion" && !is_empty(value))
        {
            write_member(&mut tail, key, value);
        }
        tail.push(b'}');
        let metadata_end = tail.len();
        let rest = object.as_object().into_iter().flatten();
        for (key, value) in
            rest.filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
        {
            write_member(&mut tail, key, value);
        }
        tail.push(b'}');
        Self {
            head: head.clone(),
            tail,
            metadata_end,
            envelope: Arc::new(envelope(object, fields)),
        }
    }

    /// Whether storing this draft would change nothing.
    pub(crate) fn is_same_as(&self, stored: &Stored) -> bool {
        stored.body.get(stored.about.tail_at as usize..) == Some(self.tail.as_slice())
    }

    /// A new object as of a revision.
    pub(crate) fn at(&self, key: Key, revision: Revision) -> Stored {
        self.build(Arc::new(key), Arc::clone(&self.envelope), revision)
    }

    /// The next version of an object. What versions have in common is kept once.
    pub(crate) fn after(&self, previous: &Stored, revision: Revision) -> Stored {
        let About { key, envelope, .. } = &previous.about;
        let envelope = if *envelope == self.envelope {
            envelope
        } else {
            &self.envelope
        };
        self.build(Arc::clone(key), Arc::clone(envelope), revision)
    }

    fn build(&self, key: Arc<Key>, envelope: Arc<Envelope>, revision: Revision) -> Stored {
        let (head, tail) = (self.head.0.as_bytes(), self.tail.as_slice());
        let (body, tail_at) = join(head, revision, tail);
        let about = About {
            key,
            revision,
            envelope,
            head_len: small(head.len()),
            tail_at: small(tail_at),
            metadata_end: small(tail_at + self.metadata_end),
        };
        Stored { about, body }
    }
}

/// A body of exactly the size it needs, and where its tail begins.
fn join(head: &[u8], revision: Revision, tail: &[u8]) -> (Bytes, usize) {
    let digits = revision.to_string();
    let tail_at = head.len() + digits.len();
    let mut body = Vec::with_capacity(tail_at + tail.len());
    body.extend_from_slice(head);
    body.extend_from_slice(digits.as_bytes());
    body.extend_from_slice(tail);
    (body.into(), tail_at)
}

/// Offsets are 32 bits wide: a request body has at most 3 MiB.
fn small(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// An emptied list or map of the metadata is left out, as Go's `omitempty` does.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn write_member(out: &mut Vec<u8>, key: &str, value: &Value) {
    out.push(b',');
    serde_json::to_writer(&mut *out, key).expect("writing JSON to memory cannot fail");
    out.push(b':');
    serde_json::to_writer(&mut *out, value).expect("writing JSON to memory cannot fail");
}

fn envelope(object: &Value, fields: Fields) -> Envelope {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let member = |key: &str| metadata.and_then(|metadata| metadata.get(key));
    let labels = member("labels").and_then(Value::as_object).into_iter().flatten();
    Envelope {
        uid: member("uid").and_then(Value::as_str).unwrap_or_default().into(),
        labels: labels
            .map(|(key, value)| (key.into(), value.as_str().unwrap_or_default().into()))
            .collect(),
        fields: fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        deleting: member("deletionTimestamp").is_some_and(|value| !value.is_null()),
    }
}

/// An object as stored at one revision, without its body.
#[derive(Clone, Debug)]
pub(crate) struct About {
    key: Arc<Key>,
    revision: Revision,
    envelope: Arc<Envelope>,
    head_len: u32,
    tail_at: u32,
    metadata_end: u32,
}

/// An object as stored at one revision. Immutable.
#[derive(Debug)]
pub(crate) struct Stored {
    about: About,
    body: Bytes,
}

impl Stored {
    /// Puts together again what [`Self::about`] and [`Self::body`] gave.
    pub(crate) fn new(about: About, body: Bytes) -> Self {
        Self { about, body }
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    pub(crate) fn key(&self) -> &Key {
        &self.about.key
    }

    pub(crate) fn revision(&self) -> Revision {
        self.about.revision
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.about.envelope
    }

    pub(crate) fn uid(&self) -> &str {
        &self.about.envelope.uid
    }

    pub(crate) fn deleting(&self) -> bool {
        self.about.envelope.deleting
    }

    /// The whole object as JSON.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// `metadata` as JSON.
    pub(crate) fn metadata(&self) -> &[u8] {
        let start = self.about.head_len as usize - Head::METADATA.len();
        &self.body[start..self.about.metadata_end as usize]
    }

    /// The value of a selectable field; none if it is empty.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.envelope()
            .fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The object parsed.
    pub(crate) fn parse(&self) -> Value {
        serde_json::from_slice(&self.body).expect("stored bodies were written by the encoder")
    }

    /// The same object under another revision, as a deletion reports it.
    pub(crate) fn at(&self, revision: Revision) -> Self {
        let About {
            head_len,
            tail_at,
            metadata_end,
            ..
        } = self.about;
        let (head, tail) = (&self.body[..head_len as usize], &self.body[tail_at as usize..]);
        let (body, moved) = join(head, revision, tail);
        let about = About {
            revision,
            tail_at: small(moved),
            metadata_end: small(metadata_end as usize - tail_at as usize + moved),
            ..self.about.clone()
        };
        Self { about, body }
    }

    /// The same object under another `apiVersion`.
    pub(crate) fn under(&self, head: &Head) -> Bytes {
        let mut body = Vec::with_capacity(head.0.len() + self.body.len());
        body.extend_from_slice(head.0.as_bytes());
        body.extend_from_slice(&self.body[self.about.head_len as usize..]);
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft() -> Draft {
        let object = json!({
            "metadata": {"name": "a", "uid": "u", "labels": {"x": "y"}, "resourceVersion": "77"},
            "spec": {"text": "\"quoted\""},
        });
        Draft::encode(&Head::new("v1", "Pod"), &object, Fields::new())
    }

    #[test]
    fn a_stored_object_is_valid_json_with_its_revision() {
        let stored = draft().at(Key::new("n", "a"), 5);
        let value = stored.parse();
        assert_eq!(value["metadata"]["resourceVersion"], "5");
        assert_eq!(
            (&value["apiVersion"], &value["kind"]),
            (&json!("v1"), &json!("Pod"))
        );
        assert_eq!(value["spec"]["text"], "\"quoted\"");
        assert_eq!(stored.envelope().labels.as_ref(), &[("x".into(), "y".into())]);
    }

    #[test]
    fn a_deletion_changes_nothing_but_the_revision() {
        let stored = draft().at(Key::new("n", "a"), 99);
        let deleted = stored.at(100);
        let mut expected = stored.parse();
        expected["metadata"]["resourceVersion"] = "100".into();
        assert_eq!(deleted.parse(), expected);
        assert_eq!(
            serde_json::from_slice::<Value>(deleted.metadata()).unwrap(),
            expected["metadata"]
        );
    }

    #[test]
    fn an_unchanged_object_is_recognised_at_any_revision() {
        assert!(draft().is_same_as(&draft().at(Key::new("n", "a"), 123_456)));
        let other = Draft::encode(
            &Head::new("v1", "Pod"),
            &json!({"metadata": {"name": "b"}}),
            Fields::new(),
        );
        assert!(!other.is_same_as(&draft().at(Key::new("n", "a"), 1)));
    }

    #[test]
    fn the_version_can_be_swapped_without_parsing() {
        let body = draft()
            .at(Key::new("n", "a"), 3)
            .under(&Head::new("example.com/v2", "Pod"));
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&value["apiVersion"], &value["metadata"]["resourceVersion"]),
            (&json!("example.com/v2"), &json!("3"))
        );
    }
}
