//! The component: the contract on one side, [`Scheduler`] on the other.
//!
//! A pending pod is a key. A sync decides without waiting, so decisions are serial, and then waits for the
//! binding or for the status patch, so those overlap.

mod plugin_calls;

use std::cell::{RefCell, RefMut};
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use windlass_sdk::recorder::{self, Event, EventType, ObjectReference};
use windlass_sdk::{
    ApiResource, Batch, Client, Controller, DeltaKind, Error, Item, Manifest, ObjectKey, Observer, Outcome,
    PatchType, SyncContext, Watch, config, enqueue, enqueue_after, error, monotonic, time, warn,
};

use crate::config::{Config, ConfigJson};
use crate::decision::{Assignment, ConditionChange, Decision, Failure};
use crate::external::Available;
use crate::model::PodKey;
use crate::queue::QueueItem;
use crate::scheduler::{Resource, Scheduler};

/// What upstream calls its default profile; events name it as their source.
const NAME: &str = "default-scheduler";
/// How many bindings and patches may be in flight.
const IN_FLIGHT: u32 = 256;
/// A key that is no pod: time to look for pods that have waited too long.
const FLUSH: &str = "flush-leftovers";
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);
/// The server's limit on an event's note.
const NOTE_LIMIT: usize = 1024;

const PODS: ApiResource = ApiResource {
    group: "",
    version: "v1",
    plural: "pods",
};

/// The watches, in the manifest's order, with what of each object is needed.
const WATCHES: [(Resource, ApiResource, &[&str]); 7] = [
    (Resource::Pods, PODS, &POD_FIELDS),
    (
        Resource::Nodes,
        ApiResource {
            group: "",
            version: "v1",
            plural: "nodes",
        },
        &[
            "spec.unschedulable",
            "spec.taints",
            "status.allocatable",
            "status.images",
            "status.declaredFeatures",
        ],
    ),
    (
        Resource::Namespaces,
        ApiResource {
            group: "",
            version: "v1",
            plural: "namespaces",
        },
        &[],
    ),
    (
        Resource::Services,
        ApiResource {
            group: "",
            version: "v1",
            plural: "services",
        },
        &["spec.selector"],
    ),
    (
        Resource::ReplicationControllers,
        ApiResource {
            group: "",
            version: "v1",
            plural: "replicationcontrollers",
        },
        &["spec.selector"],
    ),
    (
        Resource::ReplicaSets,
        ApiResource {
            group: "apps",
            version: "v1",
            plural: "replicasets",
        },
        &["spec.selector"],
    ),
    (
        Resource::StatefulSets,
        ApiResource {
            group: "apps",
            version: "v1",
            plural: "statefulsets",
        },
        &["spec.selector"],
    ),
];

const POD_FIELDS: [&str; 35] = [
    "spec.nodeName",
    "spec.schedulerName",
    "spec.priority",
    "spec.nodeSelector",
    "spec.affinity",
    "spec.tolerations",
    "spec.topologySpreadConstraints",
    "spec.overhead",
    "spec.resources",
    "spec.schedulingGates",
    "spec.volumes.image",
    "spec.containers.name",
    "spec.containers.image",
    "spec.containers.resources",
    "spec.containers.ports",
    "spec.containers.restartPolicy",
    "spec.containers.restartPolicyRules",
    "spec.initContainers.name",
    "spec.initContainers.image",
    "spec.initContainers.resources",
    "spec.initContainers.ports",
    "spec.initContainers.restartPolicy",
    "spec.initContainers.restartPolicyRules",
    "spec.hostNetwork",
    "spec.hostUsers",
    "status.phase",
    "status.nominatedNodeName",
    "status.conditions.type",
    "status.conditions.status",
    "status.conditions.reason",
    "status.conditions.message",
    "status.conditions.observedGeneration",
    "status.containerStatuses.name",
    "status.containerStatuses.resources",
    "status.containerStatuses.allocatedResources",
];

/// The controller: one instance per component.
pub struct SchedulerGuest {
    /// Or what is wrong with the configuration, which fails the start.
    scheduler: Result<RefCell<Scheduler>, String>,
}

impl Controller for SchedulerGuest {
    fn manifest() -> Manifest {
        let available = plugin_calls::available();
        let watches = WATCHES.iter().fold(
            Manifest::new(NAME, env!("CARGO_PKG_VERSION")),
            |manifest, (watched, resource, fields)| {
                let watch = Watch::of(*resource).observe();
                manifest.watch(if fields.is_empty() {
                    watch.metadata()
                } else {
                    watch.fields(&with_those_of_plugins(*watched, fields, &available))
                })
            },
        );
        watches
            .workers(IN_FLIGHT)
            .permit(&[""], &["pods/binding"], &["create"])
            .permit(&[""], &["pods/status"], &["patch"])
            .api_budget(10_000, 10_000)
    }

    fn new() -> Self {
        Self {
            scheduler: configured().map(RefCell::new),
        }
    }

    async fn start(&self) -> Result<(), String> {
        self.scheduler.as_ref().map_err(Clone::clone)?;
        enqueue_after(ObjectKey::new("", FLUSH), FLUSH_INTERVAL);
        Ok(())
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        if key.namespace.is_empty() && key.name == FLUSH {
            self.with(|scheduler| scheduler.flush_leftovers(now_ms()))?;
            return Ok(Outcome::RequeueAfter(FLUSH_INTERVAL));
        }
        let pod = PodKey::new(&key.namespace, &key.name);
        match self.with(|scheduler| scheduler.schedule(&pod, now_ms()))? {
            Decision::Nothing => {}
            Decision::Later(after_ms) => return Ok(Outcome::RequeueAfter(Duration::from_millis(after_ms))),
            Decision::Deleting {
                uid,
                resource_version,
            } => {
                let message = format!("skip schedule deleting pod: {}/{}", key.namespace, key.name);
                record_failure(reference(&pod, &uid, &resource_version), message);
            }
            Decision::Bind(assignment) => self.bind(sync, &key, &assignment).await?,
            Decision::Fail(failure) => report(sync, &key, failure).await,
        }
        Ok(Outcome::Done)
    }
}

/// What is read of a resource: by the scheduler, and by its plugins.
fn with_those_of_plugins<'a>(
    resource: Resource,
    fields: &[&'a str],
    available: &'a [Available],
) -> Vec<&'a str> {
    let mut all = fields.to_vec();
    for plugin in available {
        let more = match resource {
            Resource::Pods => &plugin.pod_fields,
            Resource::Nodes => &plugin.node_fields,
            _ => continue,
        };
        all.extend(more.iter().map(String::as_str));
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Observer for SchedulerGuest {
    fn observe(&self, batches: Vec<Batch>) {
        let observed = self.with(|scheduler| {
            let now_ms = now_ms();
            for batch in batches {
                observe_batch(scheduler, batch, now_ms);
            }
        });
        // A wrong configuration is reported by `start`, before any key can be synced.
        drop(observed);
    }
}

impl SchedulerGuest {
    /// Lets the scheduler do something, and hands the keys that came of it to the host.
    fn with<T>(&self, act: impl FnOnce(&mut Scheduler) -> T) -> Result<T, Error> {
        let cell = self
            .scheduler
            .as_ref()
            .map_err(|message| Error::Terminal(message.clone()))?;
        let mut scheduler: RefMut<'_, Scheduler> = cell.borrow_mut();
        let result = act(&mut scheduler);
        let items: Vec<Item> = scheduler.take_items().into_iter().map(item).collect();
        if !items.is_empty() {
            enqueue(&items);
        }
        Ok(result)
    }

    async fn bind(&self, sync: &SyncContext, key: &ObjectKey, assignment: &Assignment) -> Result<(), Error> {
        let binding = Binding::new(assignment);
        let bound = pods(sync).create_subresource(key, "binding", &binding).await;
        self.with(|scheduler| scheduler.conclude(assignment, bound.is_ok(), now_ms()))?;
        match bound {
            Ok(()) => record_success(assignment),
            Err(error) => {
                let failure =
                    self.with(|scheduler| scheduler.bind_failed(assignment, &error.to_string(), now_ms()))?;
                if let Some(failure) = failure {
                    report(sync, key, failure).await;
                }
            }
        }
        Ok(())
    }
}

fn configured() -> Result<Scheduler, String> {
    let available = plugin_calls::available();
    let config = Config::resolve(config::<ConfigJson>()?, &available)?;
    Scheduler::with_plugins(config, &available, plugin_calls::calls())
}

fn observe_batch(scheduler: &mut Scheduler, batch: Batch, now_ms: u64) {
    let watch = usize::try_from(batch.watch)
        .ok()
        .and_then(|watch| WATCHES.get(watch));
    let Some((resource, ..)) = watch else { return };
    for delta in batch.deltas {
        let key = PodKey {
            namespace: delta.key.namespace.into(),
            name: delta.key.name.into(),
        };
        if delta.kind == DeltaKind::Deleted {
            scheduler.delete(*resource, &key, now_ms);
        } else if let Err(message) = scheduler.upsert(*resource, &key, &delta.body, delta.initial, now_ms) {
            error!(
                "an object cannot be read",
                namespace = key.namespace,
                error = message
            );
        }
    }
}

/// Reports a pod that cannot be placed: an event, and the condition if that says something else.
async fn report(sync: &SyncContext, key: &ObjectKey, failure: Failure) {
    record_failure(
        reference(&failure.key, &failure.uid, &failure.resource_version),
        failure.message.clone(),
    );
    if failure.condition == ConditionChange::None {
        return;
    }
    let patch = StatusPatch::new(&failure);
    match pods(sync)
        .patch_status(key, PatchType::StrategicMergePatch, &patch)
        .await
    {
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => warn!(
            "cannot write why a pod is not scheduled",
            name = key.name,
            error = error
        ),
    }
}

fn pods(sync: &SyncContext) -> Client<IgnoredAny> {
    Client::of(sync, PODS)
}

fn item(item: QueueItem) -> Item {
    let PodKey { namespace, name } = item.key;
    let key = ObjectKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    Item {
        key,
        after_ms: item.after_ms,
        priority: item.priority,
    }
}

fn now_ms() -> u64 {
    u64::try_from(monotonic().as_millis()).unwrap_or(u64::MAX)
}

fn record_success(assignment: &Assignment) {
    let PodKey { namespace, name } = &assignment.key;
    recorder::record(Event {
        regarding: reference(&assignment.key, &assignment.uid, &assignment.resource_version),
        event_type: EventType::Normal,
        reason: "Scheduled".to_owned(),
        message: format!("Successfully assigned {namespace}/{name} to {}", assignment.node),
        action: "Binding".to_owned(),
    });
}

fn record_failure(regarding: ObjectReference, message: String) {
    recorder::record(Event {
        regarding,
        event_type: EventType::Warning,
        reason: "FailedScheduling".to_owned(),
        message: truncated(message),
        action: "Scheduling".to_owned(),
    });
}

fn truncated(mut message: String) -> String {
    const SUFFIX: &str = " ...";
    if message.len() > NOTE_LIMIT {
        message.truncate(message.floor_char_boundary(NOTE_LIMIT - SUFFIX.len()));
        message.push_str(SUFFIX);
    }
    message
}

fn reference(key: &PodKey, uid: &str, resource_version: &str) -> ObjectReference {
    ObjectReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: (*key.namespace).to_owned(),
        name: (*key.name).to_owned(),
        uid: uid.to_owned(),
        resource_version: resource_version.to_owned(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Binding<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: BindingMetadata<'a>,
    target: BindingTarget<'a>,
}

#[derive(Serialize)]
struct BindingMetadata<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

#[derive(Serialize)]
struct BindingTarget<'a> {
    kind: &'static str,
    name: &'a str,
}

impl<'a> Binding<'a> {
    fn new(assignment: &'a Assignment) -> Self {
        let PodKey { namespace, name } = &assignment.key;
        Self {
            api_version: "v1",
            kind: "Binding",
            metadata: BindingMetadata {
                namespace,
                name,
                uid: &assignment.uid,
            },
            target: BindingTarget {
                kind: "Node",
                name: &assignment.node,
            },
        }
    }
}

/// A strategic merge patch: conditions merge by type.
#[derive(Serialize)]
struct StatusPatch<'a> {
    /// Another pod of this name is not to be patched.
    metadata: PatchMetadata<'a>,
    status: StatusConditions<'a>,
}

#[derive(Serialize)]
struct PatchMetadata<'a> {
    uid: &'a str,
}

#[derive(Serialize)]
struct StatusConditions<'a> {
    conditions: [Condition<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_transition_time: Option<time::Timestamp>,
    reason: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
}

impl<'a> StatusPatch<'a> {
    fn new(failure: &'a Failure) -> Self {
        let transition = failure.condition == ConditionChange::Transition;
        let condition = Condition {
            kind: "PodScheduled",
            status: "False",
            last_transition_time: transition.then(time::now),
            reason: failure.reason.as_str(),
            message: &failure.message,
            observed_generation: (failure.generation > 0).then_some(failure.generation),
        };
        Self {
            metadata: PatchMetadata { uid: &failure.uid },
            status: StatusConditions {
                conditions: [condition],
            },
        }
    }
}

windlass_sdk::export!(SchedulerGuest, observer);

#[cfg(test)]
mod tests;
