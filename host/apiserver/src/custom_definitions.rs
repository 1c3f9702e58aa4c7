//! Custom resource definitions: what they say becomes routes
//! (`staging/src/k8s.io/apiextensions-apiserver`).
//!
//! Versions of one definition share their storage and differ in `apiVersion` and schema.
//! Deliberately absent: conversion by webhook (versions differ in name alone, whatever the
//! definition asks for) and rules in CEL, which are accepted and not enforced.

mod names;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api::Api;
use crate::custom::{Column, CustomRules, CustomSchema, ScalePaths};
use crate::delete;
use crate::delete_options::{DeleteOptions, Propagation};
use crate::meta;
use crate::object::{Head, Key, Revision, Stored};
use crate::registry::CustomVersions;
use crate::resource::{Resource, ResourceSpec, Storage, Subresource, View};
use crate::store::Collection;
use crate::types::structural::{self, Schema};
use crate::update::{self, Part};

/// Keeps a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn texts(value: &Value, path: &str) -> Vec<SmolStr> {
    list(value, path)
        .iter()
        .filter_map(Value::as_str)
        .map(SmolStr::from)
        .collect()
}

/// Completes a new definition.
pub(crate) fn prepare_for_create(definition: &mut Value) {
    let kind = text(definition, "/spec/names/kind").to_owned();
    let mut finalizers: Vec<String> = meta::finalizers(definition)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    meta::set(definition, "finalizers", json!(finalizers));
    let stored: Vec<Value> = storage_version(definition).into_iter().collect();
    if let Some(names) = definition
        .pointer_mut("/spec/names")
        .and_then(Value::as_object_mut)
    {
        names
            .entry("singular")
            .or_insert_with(|| kind.to_lowercase().into());
        names
            .entry("listKind")
            .or_insert_with(|| format!("{kind}List").into());
    }
    if let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("conversion")
            .or_insert_with(|| json!({"strategy": "None"}));
    }
    definition["status"] = json!({"storedVersions": stored});
}

/// Remembers which versions objects may be stored in.
pub(crate) fn prepare_for_update(definition: &mut Value) {
    let Some(stored) = storage_version(definition) else {
        return;
    };
    if let Some(status) = definition.get_mut("status").and_then(Value::as_object_mut) {
        let known = status.entry("storedVersions").or_insert_with(|| json!([]));
        if let Some(known) = known.as_array_mut().filter(|known| !known.contains(&stored)) {
            known.push(stored);
        }
    }
}

fn storage_version(definition: &Value) -> Option<Value> {
    let versions = list(definition, "/spec/versions");
    let stored = versions.iter().find(|version| version["storage"] == true)?;
    Some(stored["name"].clone())
}

/// Serves what a definition says, and says so in its status.
pub(crate) fn establish(api: &Api, name: &str) {
    let definitions = Arc::clone(&api.registry.known().custom_definitions);
    let key = Key::new("", name);
    let Ok(stored) = update::existing(&definitions, &key) else {
        return;
    };
    let definition = stored.parse();
    let names = names::decide(&api.registry.table(), &definition);
    if names.are_accepted() && !stored.deleting() {
        api.registry.set_custom(
            text(&definition, "/spec/group"),
            text(&definition, "/spec/names/plural"),
            versions(api, &definition),
        );
        if !names::accepted(&definition) {
            note_expressions(name, &definition);
        }
    }
    // Failing means that the definition is gone, and withdrawn by whoever removed it.
    let _ = update::change(api, &definitions, &key, Part::Everything, false, |old| {
        Ok(names.report(old))
    });
}

/// Says that rules in CEL are not enforced.
fn note_expressions(name: &str, definition: &Value) {
    let versions = list(definition, "/spec/versions");
    if versions
        .iter()
        .any(|version| structural::has_expressions(&version["schema"]))
    {
        tracing::warn!(
            definition = name,
            "the rules in x-kubernetes-validations are accepted and not enforced"
        );
    }
}

/// One resource per served version, and that of the stored one.
fn versions(api: &Api, definition: &Value) -> CustomVersions {
    let versions = list(definition, "/spec/versions");
    let group = text(definition, "/spec/group");
    let collection = collection(api, definition);
    let storage_version = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map_or("", |version| text(version, "/name"));
    let kind = text(definition, "/spec/names/kind");
    let head = Head::new(&format!("{group}/{storage_version}"), kind);
    let schemas = Schemas::new(api, definition, storage_version);
    let resource = |version: &Value| {
        let name = text(version, "/name");
        let stored = name == storage_version;
        let shown = || View::Version(Head::new(&format!("{group}/{name}"), kind));
        Resource {
            spec: spec(definition, version),
            storage: Storage::Objects(Arc::clone(&collection)),
            view: if stored { View::Stored } else { shown() },
            head: head.clone(),
            custom: Some(rules(version, &schemas)),
        }
    };
    let is_served = |version: &&Value| version["served"] == true;
    let unserved = versions.iter().find(|version| version["storage"] == true);
    CustomVersions {
        served: versions.iter().filter(is_served).map(resource).collect(),
        unserved: unserved.filter(|version| !is_served(version)).map(resource),
    }
}

/// The collection that the definition's objects are in already, or a new one.
fn collection(api: &Api, definition: &Value) -> Arc<Collection> {
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let table = api.registry.table();
    let known = table.all().find(|resource| resource.spec.is(group, plural));
    known
        .and_then(|resource| resource.collection())
        .cloned()
        .unwrap_or_else(|| api.store.collection(None))
}

fn spec(definition: &Value, version: &Value) -> ResourceSpec {
    let name = |path: &str| SmolStr::from(text(definition, path));
    let subresources = [
        ("/subresources/scale", Subresource::Scale),
        ("/subresources/status", Subresource::Status),
    ];
    ResourceSpec {
        group: name("/spec/group"),
        version: text(version, "/name").into(),
        plural: name("/spec/names/plural"),
        singular: name("/spec/names/singular"),
        kind: name("/spec/names/kind"),
        list_kind: name("/spec/names/listKind"),
        short_names: texts(definition, "/spec/names/shortNames"),
        categories: texts(definition, "/spec/names/categories"),
        namespaced: text(definition, "/spec/scope") == "Namespaced",
        subresources: subresources
            .into_iter()
            .filter(|(path, _)| version.pointer(path).is_some())
            .map(|(_, part)| part)
            .collect(),
    }
}

/// The schemas of a definition's versions.
struct Schemas {
    by_version: HashMap<String, Arc<CustomSchema>>,
    stored: Arc<CustomSchema>,
    since: Revision,
}

impl Schemas {
    fn new(api: &Api, definition: &Value, storage_version: &str) -> Self {
        let schema = |version: &Value| {
            let source = version
                .pointer("/schema/openAPIV3Schema")
                .cloned()
                .unwrap_or_default();
            let parsed = Schema::parse(&source);
            (
                text(version, "/name").to_owned(),
                Arc::new(CustomSchema { source, parsed }),
            )
        };
        let by_version: HashMap<_, _> = list(definition, "/spec/versions").iter().map(schema).collect();
        let stored = by_version.get(storage_version).cloned().unwrap_or_default();
        // Objects written under the very same schema as the stored version's are as they should be.
        let (group, plural) = (
            text(definition, "/spec/group"),
            text(definition, "/spec/names/plural"),
        );
        let table = api.registry.table();
        let before = table
            .stored()
            .find(|resource| resource.spec.is(group, plural) && resource.spec.version == storage_version);
        let before = before.and_then(|resource| resource.custom.as_ref());
        let same = before.filter(|custom| custom.stored_schema.source == stored.source);
        Self {
            since: same.map_or_else(|| api.store.revision(), |custom| custom.schema_since),
            by_version,
            stored,
        }
    }
}

fn rules(version: &Value, schemas: &Schemas) -> CustomRules {
    let own = |value: &Value, path: &str| text(value, path).to_owned();
    let columns = list(version, "/additionalPrinterColumns")
        .iter()
        .map(|column| Column {
            name: own(column, "/name"),
            kind: own(column, "/type"),
            format: own(column, "/format"),
            description: own(column, "/description"),
            priority: column["priority"].as_i64().unwrap_or_default(),
            path: own(column, "/jsonPath"),
        });
    let scale = version.pointer("/subresources/scale").map(|scale| ScalePaths {
        spec_replicas: own(scale, "/specReplicasPath"),
        status_replicas: own(scale, "/statusReplicasPath"),
        label_selector: scale
            .get("labelSelectorPath")
            .and_then(Value::as_str)
            .map(str::to_owned),
    });
    let schema = schemas.by_version.get(text(version, "/name")).cloned();
    CustomRules {
        schema: schema.unwrap_or_default(),
        stored_schema: Arc::clone(&schemas.stored),
        schema_since: schemas.since,
        columns: columns.collect(),
        has_status: version.pointer("/subresources/status").is_some(),
        scale,
        selectable: list(version, "/selectableFields")
            .iter()
            .map(|field| own(field, "/jsonPath"))
            .collect(),
    }
}

/// Stops serving a definition that is gone. Others may have waited for its names.
pub(crate) fn withdraw(api: &Api, definition: &Value) {
    let group = text(definition, "/spec/group");
    let plural = text(definition, "/spec/names/plural");
    api.registry.set_custom(group, plural, CustomVersions::default());
    let definitions = &api.registry.known().custom_definitions;
    let Some(collection) = definitions.collection() else {
        return;
    };
    for other in collection.list(None, &|_| true).0 {
        let parsed = other.parse();
        if text(&parsed, "/spec/group") == group && !names::accepted(&parsed) {
            establish(api, &other.key().name);
        }
    }
}

/// Deletes the objects of a definition that is going, then lets it go; whether it is gone.
pub(crate) fn clean_up(api: &Api, definition: &Stored) -> bool {
    let parsed = definition.parse();
    let (group, plural) = (text(&parsed, "/spec/group"), text(&parsed, "/spec/names/plural"));
    let table = api.registry.table();
    let stored = table.stored().find(|resource| resource.spec.is(group, plural));
    if let Some((resource, collection)) = stored.and_then(|resource| Some((resource, resource.collection()?)))
    {
        let options = DeleteOptions {
            propagation: Some(Propagation::Background),
            ..DeleteOptions::default()
        };
        for object in collection.list(None, &|_| true).0 {
            // One that is gone meanwhile is what was wanted.
            let _ = delete::delete(api, resource, object.key(), &options);
        }
        if collection.len() > 0 {
            return false;
        }
    }
    let definitions = Arc::clone(&api.registry.known().custom_definitions);
    let released = update::change(
        api,
        &definitions,
        definition.key(),
        Part::Everything,
        false,
        |old| {
            let mut new = old.clone();
            let left: Vec<&str> = meta::finalizers(old)
                .into_iter()
                .filter(|finalizer| *finalizer != FINALIZER)
                .collect();
            meta::set(
                &mut new,
                "finalizers",
                if left.is_empty() { Value::Null } else { json!(left) },
            );
            Ok(new)
        },
    );
    released.is_ok()
}
