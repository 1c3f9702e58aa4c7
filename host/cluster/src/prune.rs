//! From the bytes a server sent to the bytes a cache keeps.
//!
//! One pass reads the envelope, drops `metadata.managedFields` and whatever the declared
//! views do not ask for, and puts the resource's own `apiVersion` and `kind` in front:
//! list items lack them, and metadata-only answers call themselves something else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;
use windlass_core::key::{ObjectKey, ResourceInfo};
use windlass_core::manifest::View;
use windlass_core::object::{ControllerRef, ObjectMeta};

use crate::json::{Cursor, Malformed, unescape};

/// The bytes are not an API object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PruneError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("object without metadata.name")]
    Nameless,
}

/// How much of each object is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    Full,
    /// `apiVersion`, `kind`, `metadata` and these fields; nothing more if there are none.
    Fields(Fields),
}

impl Projection {
    pub(crate) const METADATA: Self = Self::Fields(Fields(BTreeMap::new()));

    /// Whether the server may send `PartialObjectMetadata`.
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(self, Self::Fields(fields) if fields.0.is_empty())
    }

    /// Whether it keeps all that another does.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Full, _) => true,
            (Self::Fields(_), Self::Full) => false,
            (Self::Fields(fields), Self::Fields(others)) => fields.include(others),
        }
    }

    /// Extends it by what a view and its indexes need.
    pub(crate) fn include<'p>(&mut self, view: &View, index_paths: impl IntoIterator<Item = &'p str>) {
        if *view == View::Full {
            *self = Self::Full;
        }
        if let Self::Fields(fields) = self {
            if let View::Fields(paths) = view {
                paths.iter().for_each(|path| fields.insert(path));
            }
            index_paths.into_iter().for_each(|path| fields.insert(path));
        }
    }
}

/// Field names, and below each what is kept of it: nothing below means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<SmolStr, Fields>);

impl Fields {
    fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|(name, below)| {
            let kept = self.0.get(name);
            kept.is_some_and(|kept| kept.0.is_empty() || (!below.0.is_empty() && kept.include(below)))
        })
    }

    fn insert(&mut self, path: &str) {
        let always_kept = |name| matches!(name, "metadata" | "apiVersion" | "kind" | "");
        if always_kept(path.split('.').next().unwrap_or_default()) {
            return;
        }
        self.insert_below(path.split('.'), Whole::Never);
    }

    fn insert_below<'p>(&mut self, mut path: impl Iterator<Item = &'p str>, whole: Whole) {
        match path.next() {
            None => self.0.clear(),
            // An empty node below the root keeps everything already.
            Some(_) if whole == Whole::WhenEmpty && self.0.is_empty() => {}
            Some(name) => {
                let known = self.0.contains_key(name);
                let field = self.0.entry(name.into()).or_default();
                field.insert_below(path, if known { Whole::WhenEmpty } else { Whole::Never });
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Never,
    WhenEmpty,
}

/// Prunes the objects of one resource.
pub(crate) struct Pruner {
    head: Vec<u8>,
    projection: Projection,
}

impl Pruner {
    pub(crate) fn new(source: &ResourceInfo, projection: Projection) -> Self {
        let api_version = source.resource.api_version();
        let head = format!(r#"{{"apiVersion":"{api_version}","kind":"{}""#, source.kind).into_bytes();
        Self { head, projection }
    }

    pub(crate) fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Writes what is kept of an object to `body`, which is cleared first.
    pub(crate) fn prune(&self, object: &[u8], body: &mut Vec<u8>) -> Result<ObjectMeta, PruneError> {
        body.clear();
        body.extend_from_slice(&self.head);
        let mut envelope = Envelope::default();
        let mut cursor = Cursor::new(object);
        cursor.members(|cursor, key| match key {
            b"apiVersion" | b"kind" => cursor.skip_value(),
            b"metadata" => {
                body.extend_from_slice(br#","metadata":{"#);
                let empty = body.len();
                cursor.members(|cursor, key| envelope.member(cursor, key, body, empty))?;
                body.push(b'}');
                Ok(())
            }
            _ => self.member(cursor, key, body),
        })?;
        cursor.end()?;
        body.push(b'}');
        envelope.finish()
    }

    fn member<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        key: &'a [u8],
        body: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let below = match &self.projection {
            Projection::Full => None,
            Projection::Fields(fields) => match field(fields, key) {
                Some(below) => Some(below),
                None => return cursor.skip_value(),
            },
        };
        body.push(b',');
        push_key(key, body);
        match below {
            Some(below) => project(cursor, below, body),
            None => copy_value(cursor, body),
        }
    }
}

fn field<'f>(fields: &'f Fields, key: &[u8]) -> Option<&'f Fields> {
    fields.0.get(std::str::from_utf8(key).ok()?)
}

fn push_key(key: &[u8], body: &mut Vec<u8>) {
    body.push(b'"');
    body.extend_from_slice(key);
    body.extend_from_slice(b"\":");
}

fn copy_value(cursor: &mut Cursor<'_>, body: &mut Vec<u8>) -> Result<(), Malformed> {
    body.extend_from_slice(cursor.value()?);
    Ok(())
}

/// Copies the kept part of a value, item by item where it is a list.
fn project(cursor: &mut Cursor<'_>, fields: &Fields, body: &mut Vec<u8>) -> Result<(), Malformed> {
    if fields.0.is_empty() {
        return copy_value(cursor, body);
    }
    match cursor.peek() {
        Some(b'{') => {
            body.push(b'{');
            let empty = body.len();
            cursor.members(|cursor, key| {
                let Some(below) = field(fields, key) else {
                    return cursor.skip_value();
                };
                separate(body, empty);
                push_key(key, body);
                project(cursor, below, body)
            })?;
            body.push(b'}');
        }
        Some(b'[') => {
            body.push(b'[');
            let empty = body.len();
            cursor.items(|cursor| {
                separate(body, empty);
                project(cursor, fields, body)
            })?;
            body.push(b']');
        }
        _ => copy_value(cursor, body)?,
    }
    Ok(())
}

fn separate(body: &mut Vec<u8>, empty: usize) {
    if body.len() > empty {
        body.push(b',');
    }
}

#[derive(Default)]
struct Envelope<'a> {
    name: Cow<'a, str>,
    namespace: Cow<'a, str>,
    uid: Cow<'a, str>,
    resource_version: u64,
    deleting: bool,
    controller: Option<Owner<'a>>,
}

#[derive(Default)]
struct Owner<'a> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    name: Cow<'a, str>,
    uid: Cow<'a, str>,
    controller: bool,
}

impl<'a> Envelope<'a> {
    /// Copies one member of `metadata`, unless it is `managedFields`, and remembers it.
    fn member(
        &mut self,
        cursor: &mut Cursor<'a>,
        key: &'a [u8],
        body: &mut Vec<u8>,
        empty: usize,
    ) -> Result<(), Malformed> {
        let value = cursor.value()?;
        if key == b"managedFields" {
            return Ok(());
        }
        separate(body, empty);
        push_key(key, body);
        body.extend_from_slice(value);
        match key {
            b"name" => self.name = text(value),
            b"namespace" => self.namespace = text(value),
            b"uid" => self.uid = text(value),
            b"resourceVersion" => self.resource_version = text(value).parse().unwrap_or(0),
            b"deletionTimestamp" => self.deleting = value.first() == Some(&b'"'),
            b"ownerReferences" if value.first() == Some(&b'[') => self.owners(value)?,
            _ => {}
        }
        Ok(())
    }

    fn owners(&mut self, value: &'a [u8]) -> Result<(), Malformed> {
        Cursor::new(value).items(|cursor| {
            let mut owner = Owner::default();
            cursor.members(|cursor, key| {
                let value = cursor.value()?;
                match key {
                    b"apiVersion" => owner.api_version = text(value),
                    b"kind" => owner.kind = text(value),
                    b"name" => owner.name = text(value),
                    b"uid" => owner.uid = text(value),
                    b"controller" => owner.controller = value == b"true",
                    _ => {}
                }
                Ok(())
            })?;
            if owner.controller && self.controller.is_none() {
                self.controller = Some(owner);
            }
            Ok(())
        })
    }

    fn finish(self) -> Result<ObjectMeta, PruneError> {
        if self.name.is_empty() {
            return Err(PruneError::Nameless);
        }
        let controller = self.controller.map(|owner| {
            Arc::new(ControllerRef {
                api_version: owner.api_version.into(),
                kind: owner.kind.into(),
                name: owner.name.into(),
                uid: owner.uid.into(),
            })
        });
        Ok(ObjectMeta {
            key: ObjectKey {
                namespace: self.namespace.into(),
                name: self.name.into(),
            },
            uid: self.uid.into(),
            resource_version: self.resource_version,
            deleting: self.deleting,
            controller,
        })
    }
}

/// The string that a value is; empty if it is none.
fn text(value: &[u8]) -> Cow<'_, str> {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .and_then(unescape)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use windlass_core::key::Resource;

    use super::*;

    fn pods(projection: Projection) -> Pruner {
        let source = ResourceInfo {
            resource: Resource::new("", "v1", "pods"),
            kind: "Pod".into(),
            namespaced: true,
        };
        Pruner::new(&source, projection)
    }

    fn pruned(projection: Projection, object: &Value) -> (ObjectMeta, Value) {
        let mut body = Vec::new();
        let meta = pods(projection)
            .prune(object.to_string().as_bytes(), &mut body)
            .unwrap();
        (meta, serde_json::from_slice(&body).unwrap())
    }

    fn pod() -> Value {
        json!({
            "metadata": {
                "name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "42",
                "labels": { "a": "b" },
                "managedFields": [{ "manager": "x", "fieldsV1": { "f:spec": {} } }],
                "ownerReferences": [
                    { "apiVersion": "v1", "kind": "Other", "name": "o", "uid": "u8" },
                    { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u9", "controller": true }
                ]
            },
            "spec": { "nodeName": "n1", "containers": [{ "name": "c", "image": "i", "env": [] }] },
            "status": { "phase": "Running" }
        })
    }

    #[test]
    fn managed_fields_go_and_everything_else_stays() {
        let (meta, body) = pruned(Projection::Full, &pod());
        let mut expected = pod();
        expected["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        expected["apiVersion"] = "v1".into();
        expected["kind"] = "Pod".into();
        assert_eq!(body, expected);
        assert_eq!(
            (
                meta.key.to_string().as_str(),
                meta.uid.as_str(),
                meta.resource_version
            ),
            ("shop/web-1", "u1", 42)
        );
        assert_eq!(meta.controller.unwrap().uid, "u9");
        assert!(!meta.deleting);
    }

    #[test]
    fn a_view_keeps_its_paths_through_lists() {
        let mut projection = Projection::METADATA;
        projection.include(
            &View::Fields(vec!["spec.containers.image".into()]),
            ["status.phase", "metadata.name"],
        );
        let (_, body) = pruned(projection, &pod());
        assert_eq!(body["spec"], json!({ "containers": [{ "image": "i" }] }));
        assert_eq!(body["status"], json!({ "phase": "Running" }));
        assert_eq!(body["metadata"]["labels"], json!({ "a": "b" }));
    }

    #[test]
    fn a_wider_path_swallows_a_narrower_one_in_either_order() {
        for paths in [["spec", "spec.nodeName"], ["spec.nodeName", "spec"]] {
            let mut projection = Projection::METADATA;
            projection.include(&View::Fields(paths.map(SmolStr::from).to_vec()), []);
            let (_, body) = pruned(projection, &pod());
            assert_eq!(body["spec"], pod()["spec"], "{paths:?}");
        }
    }

    #[test]
    fn a_projection_includes_what_keeps_no_more() {
        let fields = |paths: &[&str]| {
            let mut projection = Projection::METADATA;
            projection.include(&View::Fields(paths.iter().map(SmolStr::new).collect()), []);
            projection
        };
        let wide = fields(&["spec", "status.phase"]);
        for narrow in [&["spec"][..], &["spec.nodeName", "status.phase"], &[]] {
            assert!(wide.includes(&fields(narrow)), "{narrow:?}");
            assert!(Projection::Full.includes(&fields(narrow)), "{narrow:?}");
        }
        for other in [&["status"][..], &["status.podIP"], &["data"]] {
            assert!(!wide.includes(&fields(other)), "{other:?}");
        }
        assert!(!wide.includes(&Projection::Full));
        assert!(Projection::METADATA.includes(&Projection::METADATA));
    }

    #[test]
    fn metadata_alone_needs_no_more_from_the_server() {
        let mut projection = Projection::METADATA;
        projection.include(&View::Metadata, ["metadata.labels"]);
        assert!(projection.is_metadata());
        let (_, body) = pruned(projection.clone(), &pod());
        assert_eq!(body.get("spec"), None);
        projection.include(&View::Full, []);
        assert_eq!(projection, Projection::Full);
    }

    #[test]
    fn a_partial_object_takes_the_name_of_what_it_is_part_of() {
        let partial = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": { "name": "a" } });
        let (_, body) = pruned(Projection::METADATA, &partial);
        assert_eq!(
            (&body["kind"], &body["apiVersion"]),
            (&json!("Pod"), &json!("v1"))
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let mut body = Vec::new();
        let prune = |text: &str, body: &mut Vec<u8>| pods(Projection::Full).prune(text.as_bytes(), body);
        assert!(matches!(prune("{}", &mut body), Err(PruneError::Nameless)));
        assert!(matches!(prune("[]", &mut body), Err(PruneError::Malformed(_))));
        assert!(matches!(
            prune(r#"{"metadata":{"name":"a"}"#, &mut body),
            Err(PruneError::Malformed(_))
        ));
        assert!(matches!(
            prune(r#"{"metadata":null}"#, &mut body),
            Err(PruneError::Malformed(_))
        ));
    }
}
