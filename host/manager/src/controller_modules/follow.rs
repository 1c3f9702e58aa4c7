//! The objects that a host follows, as they are now.
//!
//! Waits for the definition to exist, then subscribes to the shared informer of the
//! resource, and lets go of it when the definition goes. Promises: what was seen stays
//! while the API server cannot be asked; a missing definition is said once, with what to
//! do, and costs nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use smol_str::SmolStr;
use tokio::sync::watch;
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::object_watch::{ObjectWatch, Observed};
use windlass_cluster::registry::InformerRegistry;
use windlass_cluster::subscription::Subscription;
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::manifest::{EnqueueRule, EventKinds, View, WatchSpec, WatchTarget};
use windlass_core::seams::ObjectReader;

use super::definition;
use super::object::ControllerModule;

/// Between two looks for what discovery does not show yet, though its definition is there.
const SOON: Duration = Duration::from_millis(250);
/// The same while the definition itself cannot be looked at.
const LATER: Duration = Duration::from_secs(5);

/// All objects, by name.
pub(super) type Objects = Arc<Vec<Arc<ControllerModule>>>;

/// Follows objects and publishes them.
pub(super) struct Follower {
    client: ApiClient,
    discovery: Arc<DiscoveryCache>,
    informers: InformerRegistry,
    objects: watch::Sender<Objects>,
    /// Whether it was said that nothing is served.
    has_complained: bool,
}

/// The resource.
pub(super) fn resource() -> Resource {
    Resource::new(definition::GROUP, definition::VERSION, definition::PLURAL)
}

impl Follower {
    pub(super) fn new(
        client: ApiClient,
        discovery: Arc<DiscoveryCache>,
        informers: InformerRegistry,
        objects: watch::Sender<Objects>,
    ) -> Self {
        Self {
            client,
            discovery,
            informers,
            objects,
            has_complained: false,
        }
    }

    /// Follows the objects that a selector picks; none while there is no selector. Runs
    /// until nobody can say anything else any more.
    pub(super) async fn run(mut self, mut selectors: watch::Receiver<Option<String>>) {
        loop {
            let selector = selectors.borrow_and_update().clone();
            let following = async {
                match selector {
                    Some(selector) => self.follow(&selector).await,
                    None => self.publish(Vec::new()),
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                changed = selectors.changed() => if changed.is_err() { return },
                () = following => {}
            }
        }
    }

    async fn follow(&mut self, selector: &str) {
        let definitions = Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        let key = ObjectKey::new("", definition::NAME);
        let watch = match ObjectWatch::new(self.client.clone(), &definitions, key) {
            Ok(watch) => watch,
            Err(error) => {
                tracing::error!(error = %error.message, "cannot follow ControllerModules");
                return;
            }
        };
        let observed = watch.observed();
        tokio::select! {
            () = watch.run() => {}
            () = self.follow_definition(observed, selector) => {}
        }
    }

    /// Ends when nobody watches the definition any more.
    async fn follow_definition(&mut self, mut observed: watch::Receiver<Observed>, selector: &str) {
        loop {
            let Some(uid) = self.served(&mut observed).await else {
                return;
            };
            let subscription = match self.informers.subscribe(&[watch_spec(selector)]) {
                Ok(subscription) => subscription,
                Err(error) => {
                    tracing::error!(%error, "cannot follow ControllerModules");
                    return;
                }
            };
            tracing::info!(selector, "following ControllerModules");
            tokio::select! {
                () = self.follow_objects(subscription) => {}
                _ = observed.wait_for(|observed| is_gone(observed, uid.as_deref())) => {}
            }
            self.publish(Vec::new());
        }
    }

    /// Waits until the API server serves the resource, and gives the UID of its definition
    /// if it may be looked at. Nothing if that will never be known.
    async fn served(&mut self, observed: &mut watch::Receiver<Observed>) -> Option<Option<SmolStr>> {
        loop {
            let present = observed.borrow_and_update().clone();
            let again = match &present {
                Observed::Unknown => None,
                Observed::Absent => {
                    self.complain();
                    None
                }
                Observed::Present(body) => match Definition::established(body) {
                    None => None,
                    Some(_) if !self.discovers().await => Some(SOON),
                    Some(uid) => return Some(Some(uid)),
                },
                Observed::Unreachable(_) => {
                    if self.discovers().await {
                        return Some(None);
                    }
                    self.complain();
                    Some(LATER)
                }
            };
            let pause = async {
                match again {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = observed.changed() => changed.ok()?,
                () = pause => {}
            }
        }
    }

    /// Whether discovery shows the resource now: what it showed earlier may be gone.
    async fn discovers(&mut self) -> bool {
        if let Err(error) = self.discovery.refresh().await {
            tracing::debug!(error = %error.message, "discovery failed, will look for ControllerModules again");
            return false;
        }
        let found = self.discovery.lookup(&resource()).is_some();
        if found {
            self.has_complained = false;
        }
        found
    }

    fn complain(&mut self) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::error!(
                definition = definition::NAME,
                "the API server does not serve ControllerModules, so there are none; apply their definition: \
                 windlass config crd | kubectl apply -f -"
            );
        }
    }

    /// Publishes the objects each time one of them changes. Never ends.
    async fn follow_objects(&self, mut subscription: Subscription) {
        let lister = subscription.lister();
        loop {
            subscription.next().await;
            if !subscription.has_synced() {
                continue;
            }
            match lister.list(0, None, "") {
                Ok(objects) => self.publish(objects.iter().filter_map(|object| read(object)).collect()),
                Err(error) => tracing::error!(%error, "cannot list ControllerModules"),
            }
        }
    }

    fn publish(&self, mut objects: Vec<Arc<ControllerModule>>) {
        objects.sort_by(|one, other| one.name.cmp(&other.name));
        self.objects.send_if_modified(|present| {
            let changed = **present != objects;
            if changed {
                *present = Arc::new(objects);
            }
            changed
        });
    }
}

fn read(object: &windlass_core::object::Object) -> Option<Arc<ControllerModule>> {
    match ControllerModule::of(object) {
        Ok(object) => Some(Arc::new(object)),
        Err(error) => {
            tracing::error!(object = %object.key(), %error, "a ControllerModule cannot be read");
            None
        }
    }
}

fn watch_spec(selector: &str) -> WatchSpec {
    WatchSpec {
        target: WatchTarget::One(resource()),
        label_selector: selector.to_owned(),
        view: View::Full,
        enqueue: EnqueueRule::None,
        on: EventKinds::ALL,
        observe: false,
        old_bodies: false,
        indexes: Vec::new(),
    }
}

/// What matters of a definition.
#[derive(Deserialize)]
struct Definition {
    metadata: DefinitionMeta,
    #[serde(default)]
    status: DefinitionStatus,
}

#[derive(Deserialize)]
struct DefinitionMeta {
    #[serde(default)]
    uid: SmolStr,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DefinitionStatus {
    conditions: Vec<DefinitionCondition>,
}

#[derive(Deserialize)]
struct DefinitionCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Definition {
    /// The UID of a definition whose names were accepted and which is served.
    fn established(body: &[u8]) -> Option<SmolStr> {
        let definition: Self = serde_json::from_slice(body).ok()?;
        let mut conditions = definition.status.conditions.iter();
        let is_established =
            conditions.any(|condition| condition.kind == "Established" && condition.status == "True");
        is_established.then_some(definition.metadata.uid)
    }
}

/// Whether the definition of this UID is gone, or another has taken its place.
fn is_gone(observed: &Observed, uid: Option<&str>) -> bool {
    match observed {
        Observed::Absent => true,
        Observed::Present(body) => match (Definition::established(body), uid) {
            (Some(now), Some(uid)) => now != uid,
            (now, _) => now.is_none(),
        },
        Observed::Unknown | Observed::Unreachable(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn definition(uid: &str, established: &str) -> Observed {
        let body = format!(
            r#"{{"metadata":{{"name":"a","uid":"{uid}"}},"status":{{"conditions":[{{"type":"Established","status":"{established}"}}]}}}}"#
        );
        Observed::Present(Bytes::from(body))
    }

    #[test]
    fn a_definition_is_gone_when_it_is_absent_withdrawn_or_another() {
        let gone = |observed| is_gone(&observed, Some("1"));
        assert!(gone(Observed::Absent) && gone(definition("2", "True")) && gone(definition("1", "False")));
        assert!(!gone(definition("1", "True")));
        assert!(!gone(Observed::Unreachable("no".to_owned())));
        // It could not be looked at before, and now it can.
        assert!(!is_gone(&definition("1", "True"), None));
    }
}
