//! Greets whom a Greeting names, in a ConfigMap that the Greeting owns.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_sdk::{
    Condition, ConditionStatus, Controller, Error, Lister, Manifest, Object, ObjectKey, ObjectMeta,
    Orphans, Outcome, PatchType, StringMap, SyncContext, Watch, export, object, recorder,
};

/// A Greeting, as far as this controller reads it: parsing costs more than anything else here.
#[derive(Deserialize)]
struct Greeting {
    metadata: ObjectMeta,
    spec: GreetingSpec,
    #[serde(default)]
    status: GreetingStatus,
}

#[derive(Deserialize)]
struct GreetingSpec {
    name: String,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GreetingStatus {
    observed_generation: i64,
    message: String,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct ConfigMap {
    metadata: ObjectMeta,
    #[serde(default)]
    data: StringMap,
}

object!(Greeting: "example.com", "v1", "greetings", "Greeting");
object!(ConfigMap: "", "v1", "configmaps", "ConfigMap");

/// Listers read the host's caches; their numbers are places in the manifest's watches.
const GREETINGS: Lister<Greeting> = Lister::new(0);
const CONFIG_MAPS: Lister<ConfigMap> = Lister::new(1);

struct Greeter;

impl Controller for Greeter {
    fn manifest() -> Manifest {
        let config_maps = Watch::new::<ConfigMap>().fields(&["data.message"]);
        Manifest::new("__NAME__", env!("CARGO_PKG_VERSION"))
            .workers(10)
            // A Greeting that changes is synced; a ConfigMap that changes has its owner synced.
            .watch(Watch::new::<Greeting>().enqueue_itself())
            .watch(config_maps.enqueue_owner::<Greeting>(Orphans::Ignore))
            // What is watched may be read. All other calls need a permission.
            .permit(&["example.com"], &["greetings/status"], &["patch"])
            .permit(&[""], &["configmaps"], &["create", "patch"])
            // Some clusters ask this of whoever makes a Greeting the owner of something.
            .permit(&["example.com"], &["greetings/finalizers"], &["update"])
    }

    fn new() -> Self {
        Self
    }

    /// Makes the world as one Greeting wants it. Why it is called does not matter: it looks
    /// at what there is, and changes what is not right. What fails is tried again, later and later.
    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        let Some(greeting) = GREETINGS.get(&key)? else {
            // It is gone, and the garbage collector takes what it owned.
            return Ok(Outcome::Done);
        };
        if greeting.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        let message = format!("Hello, {}!", greeting.spec.name);
        let is_ours = ensure_config_map(sync, &greeting, &message).await?;
        update_status(sync, &greeting, message, is_ours).await?;
        Ok(match is_ours {
            true => Outcome::Done,
            // Nobody tells us when it goes, for it has another owner or none.
            false => Outcome::RequeueAfter(Duration::from_secs(30)),
        })
    }
}

/// Creates or corrects the ConfigMap, unless it is somebody else's.
async fn ensure_config_map(
    sync: &SyncContext,
    greeting: &Greeting,
    message: &str,
) -> Result<bool, Error> {
    let (key, client) = (greeting.key(), sync.client::<ConfigMap>());
    let data = json!({ "message": message });
    match CONFIG_MAPS.get(&key)? {
        None => {
            let owners = [greeting.controller_reference()];
            let metadata = json!({ "name": key.name, "ownerReferences": owners });
            let config_map = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data,
            });
            client.create(&key.namespace, &config_map).await?;
            recorder::normal(
                greeting,
                "Created",
                format!("Created ConfigMap {}", key.name),
            );
        }
        Some(found) if !found.metadata.is_controlled_by(&greeting.metadata.uid) => {
            return Ok(false);
        }
        Some(found) if found.data.get("message").is_some_and(|it| it == message) => {}
        Some(_) => {
            let patch = json!({ "data": data });
            client.patch(&key, PatchType::MergePatch, &patch).await?;
        }
    }
    Ok(true)
}

/// Writes the status if it is another one. Writing always would sync the key for ever.
async fn update_status(
    sync: &SyncContext,
    greeting: &Greeting,
    message: String,
    is_ours: bool,
) -> Result<(), Error> {
    let mut status = greeting.status.clone();
    let mut ready = match is_ours {
        true => Condition::new("Ready", ConditionStatus::True, "Greeted", message.as_str()),
        false => {
            let why = format!("ConfigMap {} is somebody else's", greeting.metadata.name);
            Condition::new("Ready", ConditionStatus::False, "Conflict", why)
        }
    };
    ready.observed_generation = Some(greeting.metadata.generation);
    Condition::set(&mut status.conditions, ready);
    status.observed_generation = greeting.metadata.generation;
    status.message = if is_ours { message } else { String::new() };
    if status != greeting.status {
        let (key, patch) = (greeting.key(), json!({ "status": status }));
        let client = sync.client::<Greeting>();
        client
            .patch_status(&key, PatchType::MergePatch, &patch)
            .await?;
    }
    Ok(())
}

export!(Greeter);
