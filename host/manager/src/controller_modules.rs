//! Modules as objects of the cluster: `ControllerModule`, a custom resource.
//!
//! Follows the objects (`follow`), says what each comes to beside the modules of the
//! file ([`roll`]), and writes into its status what became of it (`report`). The host
//! gets plain entries and does not know where they come from; what bounds an object is in
//! [`crate::config::controller_modules`]. Deliberately not here: finalizers. An object
//! that is deleted is gone at once, and its module drains.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_cluster::client::ApiClient;
use windlass_cluster::module_client::ModuleClientError;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::object::Object;
use windlass_core::selector::Selector;

pub mod definition;
pub mod object;
pub mod roll;
pub mod status;

mod follow;
mod known;
mod report;
mod schema;

use self::follow::{Follower, Objects};
use self::object::ControllerModule;
use self::report::{Report, Teller};
use self::roll::{Judged, Roll};
use self::status::Reporter;
use crate::config::{HostConfiguration, ModuleEntry};
use crate::host::{Host, Platform};
use crate::mandate::Replicas;

/// The objects that a host follows. Dropping it ends everything.
pub struct ControllerModules {
    selector: watch::Sender<Option<String>>,
    objects: watch::Receiver<Objects>,
    roll: Roll,
    judged: Vec<Judged>,
    reports: watch::Sender<Arc<Report>>,
    tasks: [Task; 2],
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ControllerModules {
    /// Follows none before [`ControllerModules::join`] was called. `reporter` is what objects
    /// call this host.
    ///
    /// # Errors
    /// When the names cannot stand in a request.
    pub fn start(
        platform: &Platform,
        reporter: Reporter,
        replicas: Option<Replicas>,
    ) -> Result<Self, ModuleClientError> {
        let (objects, followed) = watch::channel(Objects::default());
        let (selector, selectors) = watch::channel(None);
        let (reports, reported) = watch::channel(Arc::default());
        let client = platform.client.clone();
        let teller = Teller::new(
            client.clone(),
            platform.budget.seat(),
            reporter,
            replicas,
            reported,
        )?;
        let follower = Follower::new(
            client,
            platform.discovery.clone(),
            platform.informers.clone(),
            objects,
        );
        Ok(Self {
            selector,
            objects: followed,
            roll: Roll::default(),
            judged: Vec::new(),
            reports,
            tasks: [
                Task(tokio::spawn(follower.run(selectors))),
                Task(tokio::spawn(teller.run())),
            ],
        })
    }

    /// Waits until the objects are others than [`ControllerModules::join`] has seen.
    /// Cancelling loses nothing.
    pub async fn changed(&mut self) {
        if self.objects.changed().await.is_err() {
            // The task that follows them has ended.
            std::future::pending::<()>().await;
        }
    }

    /// The modules of the file and those of the objects, as a configuration has them.
    pub fn join(&mut self, configuration: &HostConfiguration, file: &[ModuleEntry]) -> Vec<ModuleEntry> {
        let settings = &configuration.controller_modules;
        let selector = settings.enabled.then(|| settings.selector.clone());
        self.selector.send_if_modified(|present| {
            let changed = *present != selector;
            present.clone_from(&selector);
            changed
        });
        let objects = Arc::clone(&self.objects.borrow_and_update());
        let objects: &[_] = if settings.enabled { &objects } else { &[] };
        let judged = self.roll.call(objects, file, configuration);
        if !entries(&judged).eq(entries(&self.judged)) {
            tracing::info!(modules = entries(&judged).count(), "ControllerModules changed");
        }
        self.judged = judged;
        let objects = entries(&self.judged).map(|entry| ModuleEntry::clone(entry));
        file.iter().cloned().chain(objects).collect()
    }

    /// Says what became of the objects that were joined last, now that the host has their
    /// modules, and goes on saying so.
    pub fn report(&self, host: &Host) {
        self.reports.send_replace(Arc::new(Report {
            judged: self.judged.clone(),
            modules: host.modules(),
            is_on: self.selector.borrow().is_some(),
        }));
    }

    /// Ends everything. Objects keep what was said last.
    pub async fn stop(mut self) {
        for Task(task) in &mut self.tasks {
            task.abort();
            if let Err(error) = task.await {
                if !error.is_cancelled() {
                    tracing::error!(%error, "following ControllerModules ended badly");
                }
            }
        }
    }
}

/// The objects that a selector picks at this moment, by name; nothing if the API server
/// does not serve them.
///
/// # Errors
/// When it cannot be asked, or answers something else, or the selector is none.
pub async fn list(
    client: &ApiClient,
    selector: &str,
) -> Result<Option<Vec<Arc<ControllerModule>>>, ApiError> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Box<RawValue>>,
    }
    let unexpected =
        |error: String| ApiError::local(ApiErrorKind::Other, format!("ControllerModules: {error}"));
    let selector = Selector::parse(selector).map_err(|error| unexpected(error.to_string()))?;
    let body = match client.get(&follow::resource().path(""), "application/json").await {
        Ok(body) => body,
        Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let list: List = serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
    let mut objects = Vec::new();
    for item in list.items {
        let body = Bytes::from(item.get().to_owned());
        let object = Object::parse(body).map_err(|error| unexpected(error.to_string()))?;
        if selector.matches(&object.labels()) {
            let object = ControllerModule::of(&object).map_err(|error| unexpected(error.to_string()))?;
            objects.push(Arc::new(object));
        }
    }
    Ok(Some(objects))
}

fn entries(judged: &[Judged]) -> impl Iterator<Item = &Arc<ModuleEntry>> {
    judged.iter().filter_map(Judged::entry)
}
