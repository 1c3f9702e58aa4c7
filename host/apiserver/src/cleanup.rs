//! The server's own controller: empties namespaces that are going
//! (`pkg/controller/namespace/deletion`), removes the objects of custom resource
//! definitions that are going, and restores what every namespace must have.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::custom_definitions;
use crate::delete;
use crate::delete_options::{DeleteOptions, Propagation};
use crate::history::{Change, Event};
use crate::meta;
use crate::namespaces::{self, FINALIZER, ROOT_CA};
use crate::object::{Key, Stored};
use crate::resource::Resource;
use crate::subscription::{Interest, Lagged, Subscription};
use crate::update::{self, Part};

/// How often unfinished work is looked at again without being told.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until the server drains.
pub(crate) async fn run(api: Arc<Api>) {
    let known = api.registry.known();
    let mut accounts = subscribe(&known.service_accounts, "default");
    let mut root_cas = subscribe(&known.config_maps, ROOT_CA);
    let mut unfinished = false;
    loop {
        tokio::select! {
            () = api.draining.cancelled() => return,
            () = api.cleanup.notified() => {}
            () = tokio::time::sleep(RETRY), if unfinished => {}
            events = accounts.next() => match events {
                Ok(events) => restore(&api, &events),
                Err(Lagged) => {
                    accounts = subscribe(&known.service_accounts, "default");
                    furnish_all(&api);
                }
            },
            events = root_cas.next() => match events {
                Ok(events) => restore(&api, &events),
                Err(Lagged) => {
                    root_cas = subscribe(&known.config_maps, ROOT_CA);
                    furnish_all(&api);
                }
            },
        }
        unfinished = clean_up(&api).await;
    }
}

fn subscribe(resource: &Resource, name: &str) -> Subscription {
    let collection = resource
        .collection()
        .expect("service accounts and config maps are stored");
    collection.watch_now(Interest::Name(name.into()))
}

/// Makes good for events that were missed.
fn furnish_all(api: &Api) {
    let namespaces = api.registry.known().namespaces.collection();
    for namespace in namespaces
        .map(|namespaces| namespaces.list(None, &|_| true).0)
        .unwrap_or_default()
    {
        namespaces::furnish(api, &namespace.key().name);
        restore_root_ca(api, &Key::new(&namespace.key().name, ROOT_CA));
    }
}

/// Puts back what was deleted, and undoes changes to the published certificate.
fn restore(api: &Api, events: &[Arc<Event>]) {
    for event in events {
        let key = event.object.key();
        match event.change {
            Change::Deleted => namespaces::furnish(api, &key.namespace),
            Change::Modified if key.name == ROOT_CA => restore_root_ca(api, key),
            Change::Added | Change::Modified => {}
        }
    }
}

fn restore_root_ca(api: &Api, key: &Key) {
    let data = json!({"ca.crt": api.ca_pem});
    let config_maps = &api.registry.known().config_maps;
    // Failing means that the object is gone, which another event tells.
    let _ = update::change(api, config_maps, key, Part::Everything, false, |old| {
        let mut new = old.clone();
        new["data"] = data.clone();
        Ok(new)
    });
}

/// One pass over everything that is going; whether something is left.
async fn clean_up(api: &Api) -> bool {
    let known = api.registry.known();
    let mut unfinished = false;
    for namespace in deleting(&known.namespaces) {
        unfinished |= !empty(api, &namespace).await;
    }
    for definition in deleting(&known.custom_definitions) {
        unfinished |= !custom_definitions::clean_up(api, &definition);
    }
    unfinished
}

fn deleting(resource: &Resource) -> Vec<Arc<Stored>> {
    resource
        .collection()
        .map(|collection| collection.list(None, &Stored::deleting).0)
        .unwrap_or_default()
}

/// What is left of a resource in a namespace.
struct Remaining {
    group_resource: String,
    objects: usize,
    finalizers: Vec<String>,
}

/// Deletes the content of a namespace, pods before anything else; whether it is gone.
async fn empty(api: &Api, namespace: &Stored) -> bool {
    let name = &namespace.key().name;
    let pods = Arc::clone(&api.registry.known().pods);
    let mut remaining: Vec<Remaining> = empty_resource(api, &pods, name).into_iter().collect();
    if remaining.is_empty() {
        let table = api.registry.table();
        // As everywhere, objects that no version serves stay where they are.
        let in_namespaces =
            |resource: &&Arc<Resource>| resource.spec.namespaced && table.serves(&resource.spec);
        for resource in table.stored().filter(in_namespaces) {
            remaining.extend(empty_resource(api, resource, name));
            tokio::task::yield_now().await;
        }
    }
    if !remaining.is_empty() {
        report(api, name, &remaining);
        return false;
    }
    let released = update::change(
        api,
        &api.registry.known().namespaces,
        &Key::new("", name),
        Part::Everything,
        false,
        |old| {
            let mut new = old.clone();
            if let Some(finalizers) = new.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
                finalizers.retain(|finalizer| finalizer != FINALIZER);
            }
            Ok(new)
        },
    );
    released.is_ok()
}

fn empty_resource(api: &Api, resource: &Arc<Resource>, namespace: &str) -> Option<Remaining> {
    let collection = resource.collection()?;
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    for object in collection.list(Some(namespace), &|_| true).0 {
        // One that is gone meanwhile is what was wanted.
        let _ = delete::delete(api, resource, object.key(), &options);
    }
    let (left, _) = collection.list(Some(namespace), &|_| true);
    let finalizers = left.iter().flat_map(|object| {
        let object = object.parse();
        meta::finalizers(&object)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let finalizers = finalizers.collect();
    let spec = &resource.spec;
    let group_resource = format!("{}.{}", spec.plural, spec.group);
    (!left.is_empty()).then_some(Remaining {
        group_resource,
        objects: left.len(),
        finalizers,
    })
}

/// Writes into the namespace's status what it waits for.
fn report(api: &Api, name: &str, remaining: &[Remaining]) {
    let conditions = conditions(remaining);
    // Failing means that the namespace is gone.
    let _ = update::change(
        api,
        &api.registry.known().namespaces,
        &Key::new("", name),
        Part::Everything,
        false,
        |old| {
            let mut new = old.clone();
            let before = old
                .pointer("/status/conditions")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            new["status"]["conditions"] = conditions
                .iter()
                .map(|condition| with_time(condition, before))
                .collect();
            Ok(new)
        },
    );
}

/// A condition with the time of its last transition.
fn with_time(condition: &Value, before: &[Value]) -> Value {
    let same = |other: &&Value| other["type"] == condition["type"] && other["status"] == condition["status"];
    let time = before
        .iter()
        .find(same)
        .and_then(|other| other["lastTransitionTime"].as_str());
    let mut condition = condition.clone();
    condition["lastTransitionTime"] = time.map_or_else(meta::now, str::to_owned).into();
    condition
}

fn conditions(remaining: &[Remaining]) -> Vec<Value> {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message});
    let instances =
        |left: &Remaining| format!("{} has {} resource instances", left.group_resource, left.objects);
    let resources: Vec<String> = remaining.iter().map(instances).collect();
    let mut finalizers = std::collections::BTreeMap::<&str, usize>::new();
    for finalizer in remaining.iter().flat_map(|left| &left.finalizers) {
        *finalizers.entry(finalizer).or_default() += 1;
    }
    let finalizers: Vec<String> = finalizers
        .iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let some_resources = format!("Some resources are remaining: {}", resources.join(", "));
    let some_finalizers = format!(
        "Some content in the namespace has finalizers remaining: {}",
        finalizers.join(", ")
    );
    let finalizing = if finalizers.is_empty() {
        let message = "All content-preserving finalizers finished";
        condition(
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            message,
        )
    } else {
        condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            &some_finalizers,
        )
    };
    vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        condition(
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            &some_resources,
        ),
        finalizing,
    ]
}
