//! Custom resource definitions: what they say becomes routes
//! (`staging/src/k8s.io/apiextensions-apiserver`).
//!
//! Objects are served schemaless: no pruning, no defaulting, no validation beyond their
//! metadata. Versions of one definition share their storage and differ in `apiVersion`.

use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api::Api;
use crate::custom::{Column, CustomRules, ScalePaths};
use crate::delete;
use crate::delete_options::{DeleteOptions, Propagation};
use crate::meta;
use crate::object::{Head, Key, Stored};
use crate::resource::{Resource, ResourceSpec, Storage, Subresource, View};
use crate::store::Collection;
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
    let stored = list(definition, "/spec/versions")
        .iter()
        .find(|version| version["storage"] == true);
    let stored: Vec<Value> = stored
        .map(|version| version["name"].clone())
        .into_iter()
        .collect();
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

/// Serves what a definition says, and says so in its status.
pub(crate) fn establish(api: &Api, name: &str) {
    let definitions = Arc::clone(&api.registry.known().custom_definitions);
    let key = Key::new("", name);
    let Ok(stored) = update::existing(&definitions, &key) else {
        return;
    };
    let definition = stored.parse();
    let group = text(&definition, "/spec/group");
    let conflict = conflict(api, &definition);
    if conflict.is_none() && !stored.deleting() {
        api.registry.set_custom(
            group,
            text(&definition, "/spec/names/plural"),
            resources(api, &definition),
        );
    }
    // Failing means that the definition is gone, and withdrawn by whoever removed it.
    let _ = update::change(api, &definitions, &key, Part::Everything, false, |old| {
        Ok(with_status(old, conflict.as_deref()))
    });
}

/// The kind or plural that another resource of the group already has.
fn conflict(api: &Api, definition: &Value) -> Option<String> {
    let table = api.registry.table();
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let kind = text(definition, "/spec/names/kind");
    let others = table.group_versions().flat_map(|(_, resources)| resources);
    let mut others = others.filter(|other| other.spec.group == group && other.spec.plural != plural);
    others
        .any(|other| other.spec.kind == kind)
        .then(|| format!("\"{kind}\" is already in use"))
}

fn with_status(definition: &Value, conflict: Option<&str>) -> Value {
    let mut new = definition.clone();
    let before = list(definition, "/status/conditions");
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let same = |other: &&Value| other["type"] == kind && other["status"] == status;
        let time = before
            .iter()
            .find(same)
            .and_then(|other| other["lastTransitionTime"].as_str());
        let time = time.map_or_else(meta::now, str::to_owned);
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
    };
    let conditions = match conflict {
        None => vec![
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
            ),
        ],
        Some(why) => vec![
            condition("NamesAccepted", "False", "KindConflict", why),
            condition(
                "Established",
                "False",
                "NotAccepted",
                "not all names are accepted",
            ),
        ],
    };
    let known = |kind: &Value| conditions.iter().any(|condition| condition["type"] == *kind);
    let kept = before.iter().filter(|other| !known(&other["type"])).cloned();
    let all: Vec<Value> = kept.chain(conditions.iter().cloned()).collect();
    new["status"]["conditions"] = all.into();
    if conflict.is_none() {
        new["status"]["acceptedNames"] = definition.pointer("/spec/names").cloned().unwrap_or_default();
    }
    new
}

/// One resource per served version.
fn resources(api: &Api, definition: &Value) -> Vec<Resource> {
    let versions = list(definition, "/spec/versions");
    let group = text(definition, "/spec/group");
    let collection = collection(api, definition);
    let storage_version = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map_or("", |version| text(version, "/name"));
    let kind = text(definition, "/spec/names/kind");
    let head = Head::new(&format!("{group}/{storage_version}"), kind);
    let served = versions.iter().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let name = text(version, "/name");
            let stored = name == storage_version;
            let shown = || View::Version(Head::new(&format!("{group}/{name}"), kind));
            Resource {
                spec: spec(definition, version),
                storage: Storage::Objects(Arc::clone(&collection)),
                view: if stored { View::Stored } else { shown() },
                head: head.clone(),
                custom: Some(rules(version)),
            }
        })
        .collect()
}

/// The collection that the definition's objects are in already, or a new one.
fn collection(api: &Api, definition: &Value) -> Arc<Collection> {
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let table = api.registry.table();
    let mut resources = table.group_versions().flat_map(|(_, resources)| resources);
    let served = resources.find(|resource| resource.spec.is(group, plural));
    served
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

fn rules(version: &Value) -> CustomRules {
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
    CustomRules {
        columns: columns.collect(),
        has_status: version.pointer("/subresources/status").is_some(),
        scale,
        selectable: list(version, "/selectableFields")
            .iter()
            .map(|field| own(field, "/jsonPath"))
            .collect(),
    }
}

/// Stops serving a definition that is gone.
pub(crate) fn withdraw(api: &Api, definition: &Value) {
    api.registry.set_custom(
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
        Vec::new(),
    );
}

/// Deletes the objects of a definition that is going, then lets it go; whether it is gone.
pub(crate) fn clean_up(api: &Api, definition: &Stored) -> bool {
    let parsed = definition.parse();
    let (group, plural) = (text(&parsed, "/spec/group"), text(&parsed, "/spec/names/plural"));
    let table = api.registry.table();
    let served = table.stored().find(|resource| resource.spec.is(group, plural));
    if let Some((resource, collection)) = served.and_then(|resource| Some((resource, resource.collection()?)))
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
