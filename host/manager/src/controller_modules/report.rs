//! Writes the status of objects.
//!
//! One replica tells of each object: the one that leads its module, or where none does
//! (an object without a module, a sharded module, one that every replica runs) the holder
//! of the Lease `<group>.controllermodules`. Promises: nothing is written that is there
//! already; a write counts only for the version of the object that it was made for, and
//! is made again for a newer one; an object is not written more than once a second, all
//! together not more than [`QPS`] a second, and one that somebody else writes too more and
//! more rarely.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{join_all, select_all};
use jiff::Timestamp;
use serde_json::json;
use smol_str::{SmolStr, format_smolstr};
use tokio::sync::watch;
use tokio::time::Instant;
use windlass_cluster::call_budget::Seat;
use windlass_cluster::client::ApiClient;
use windlass_cluster::lease::LeaderContest;
use windlass_cluster::module_client::{ModuleClient, ModuleClientConfig, ModuleClientError};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::ObjectKey;
use windlass_core::lease::group::Leadership;
use windlass_core::object::Object;
use windlass_core::permission::Grants;
use windlass_core::rate_limiter::{Backoff, BackoffConfig};
use windlass_core::seams::{ApiRequest, ApiVerb, ObjectWriter, PatchType};

use super::definition::{GROUP, PLURAL};
use super::follow::resource;
use super::known::{Known, PACE};
use super::object::ControllerModule;
use super::roll::Judged;
use super::status::{ControllerModuleStatus, Reporter, released, status_of};
use crate::config::leadership::LeadershipMode;
use crate::host::ModuleHandle;
use crate::mandate::Replicas;
use crate::permissions::rule;
use crate::supervisor::ModuleStatus;

/// Writes per second over all objects.
const QPS: u32 = 20;
/// Writes at once after a pause.
const BURST: u32 = 50;
/// Writes under way at one time.
const AT_ONCE: usize = 4;
/// What happens together is written together.
const COLLECT: Duration = Duration::from_millis(100);
/// Between two tries to write.
const AGAIN: BackoffConfig = BackoffConfig {
    initial: Duration::from_secs(1),
    factor: 2.0,
    cap: Duration::from_secs(60),
    jitter: 0.5,
    reset_after: Duration::from_secs(120),
};
/// Tries to tell an object that it is followed no more; each may meet another writer.
const RELEASE_TRIES: u32 = 5;

/// The objects, what became of them, and the modules that there are.
#[derive(Default)]
pub(super) struct Report {
    pub(super) judged: Vec<Judged>,
    pub(super) modules: Vec<ModuleHandle>,
    /// Whether objects are followed at all.
    pub(super) is_on: bool,
}

/// What one judged object comes to at the moment.
struct Told<'a> {
    judged: &'a Judged,
    module: Option<ModuleStatus>,
}

/// See the module.
pub(super) struct Teller {
    client: ModuleClient,
    reporter: Reporter,
    replicas: Option<Replicas>,
    /// For what no module's Lease decides; none without replicas, or before it is needed.
    contest: Option<Contest>,
    reports: watch::Receiver<Arc<Report>>,
    /// By object.
    known: BTreeMap<SmolStr, Known>,
    /// Objects that may still be there and are followed no more, and tries that are left.
    leaving: BTreeMap<SmolStr, (SmolStr, u32)>,
    again: Backoff,
    trouble: Option<String>,
}

struct Contest {
    contest: LeaderContest,
    leadership: watch::Receiver<Leadership>,
}

impl Teller {
    /// # Errors
    /// When the names cannot stand in a request.
    pub(super) fn new(
        client: ApiClient,
        seat: Seat,
        reporter: Reporter,
        replicas: Option<Replicas>,
        reports: watch::Receiver<Arc<Report>>,
    ) -> Result<Self, ModuleClientError> {
        let status = format!("{PLURAL}/status");
        let config = ModuleClientConfig {
            module: PLURAL.into(),
            field_manager: "windlass".into(),
            event_source: "windlass".into(),
            grants: Grants(vec![
                rule(&[GROUP], &[PLURAL], &["get"]),
                rule(&[GROUP], &[&status], &["patch"]),
            ]),
            qps: QPS,
            burst: BURST,
            seat,
            max_in_flight: AT_ONCE,
            impersonate: None,
            tenure: None,
        };
        Ok(Self {
            client: ModuleClient::new(client, config, None)?,
            reporter,
            replicas,
            contest: None,
            reports,
            known: BTreeMap::new(),
            leaving: BTreeMap::new(),
            again: Backoff::new(AGAIN),
            trouble: None,
        })
    }

    /// Tells until nobody reports anything any more.
    pub(super) async fn run(mut self) {
        loop {
            let report = Arc::clone(&self.reports.borrow_and_update());
            self.take_part(&report);
            self.take(&report);
            // From before it is looked at, so that no change is missed.
            let mut statuses: Vec<_> = report
                .modules
                .iter()
                .map(|module| module.status.clone())
                .collect();
            for status in &mut statuses {
                status.mark_unchanged();
            }
            let next = self.tell(&report).await;
            let changed = async {
                let mut changes: Vec<_> = statuses.iter_mut().map(|status| still(status).boxed()).collect();
                changes.push(self.leadership_changed().boxed());
                select_all(changes).await;
            };
            let mut reports = self.reports.clone();
            tokio::select! {
                reported = reports.changed() => if reported.is_err() { return },
                () = changed => {}
                () = until(next) => {}
            }
            tokio::time::sleep(COLLECT).await;
        }
    }

    /// Joins the contest for what has no leader, from the first time that there is something.
    fn take_part(&mut self, report: &Report) {
        if let (true, None, Some(replicas)) = (report.is_on, &self.contest, &self.replicas) {
            // No module's Lease has such a name, because theirs are DNS labels.
            let contest = replicas
                .elector
                .lead(&format_smolstr!("{}.{PLURAL}", replicas.group));
            let leadership = contest.leadership();
            self.contest = Some(Contest { contest, leadership });
        }
        if let Some(Contest { contest, leadership }) = &mut self.contest {
            if matches!(&*leadership.borrow_and_update(), Leadership::HandingOver { .. }) {
                contest.step_down();
            }
        }
    }

    /// Remembers which objects there are, and which are no longer reported.
    fn take(&mut self, report: &Report) {
        let present: BTreeMap<&SmolStr, &Judged> = report
            .judged
            .iter()
            .map(|judged| (&judged.object.name, judged))
            .collect();
        let gone = self.known.extract_if(.., |name, _| !present.contains_key(name));
        self.leaving
            .extend(gone.map(|(name, known)| (name, (known.uid, RELEASE_TRIES))));
        for Judged { object, .. } in present.into_values() {
            self.leaving.remove(&object.name);
            let is_same = self
                .known
                .get(&object.name)
                .is_some_and(|known| known.uid == object.uid);
            if !is_same {
                self.known.insert(object.name.clone(), Known::of(object));
            }
        }
    }

    /// Writes what is not there yet. Returns when to look again by itself.
    async fn tell(&mut self, report: &Report) -> Option<Instant> {
        let (now, mut next) = (Instant::now(), None);
        let mut writes = Vec::new();
        for judged in &report.judged {
            let told = Told::of(judged, report);
            let Some(known) = self.known.get_mut(&judged.object.name) else {
                continue;
            };
            if !tells(&told, self.contest.as_ref()) {
                continue;
            }
            let object = Arc::clone(known.newest(&judged.object));
            let status = told.status(&object, &self.reporter);
            if status == object.status {
                continue;
            }
            if known.not_before > now {
                next = Some(earliest(next, known.not_before));
                continue;
            }
            known.not_before = now + known.pace(&object, &self.reporter);
            writes.push((object, status));
        }
        let writing = writes
            .iter()
            .map(|(object, status)| write(&self.client, object, status));
        let answers = join_all(writing).await;
        let mut failed = false;
        for ((object, _), answer) in writes.iter().zip(answers) {
            failed |= !self.wrote(object, answer);
        }
        if failed {
            let delay = self.again.next_delay(std::time::Instant::now());
            next = Some(earliest(next, Instant::now() + delay));
        }
        match self.release().await {
            Some(at) => Some(earliest(next, at)),
            None => next,
        }
    }

    /// Takes up how a write ended. Returns whether there is nothing to try again.
    fn wrote(
        &mut self,
        object: &ControllerModule,
        answer: Result<Option<ControllerModule>, ApiError>,
    ) -> bool {
        match answer {
            Ok(written) => {
                self.trouble = None;
                if let Some(known) = self.known.get_mut(&object.name) {
                    known.written = written.map(Arc::new);
                }
                true
            }
            // As a rule the watch brings the newer version, or that it is gone.
            Err(error) if matches!(error.kind, ApiErrorKind::Conflict | ApiErrorKind::NotFound) => {
                tracing::debug!(object = %object.name, error = %error.message, "status not written");
                false
            }
            Err(error) => {
                if self.trouble.as_ref() != Some(&error.message) {
                    tracing::warn!(object = %object.name, error = %error.message, "cannot write the status of a ControllerModule, will try again");
                    self.trouble = Some(error.message);
                }
                false
            }
        }
    }

    /// Tells objects that are followed no more, if nobody else follows them now.
    async fn release(&mut self) -> Option<Instant> {
        if !leads(self.contest.as_ref()) {
            self.leaving.clear();
            return None;
        }
        let leaving = std::mem::take(&mut self.leaving);
        for (name, (uid, tries)) in leaving {
            match self.release_one(&name, &uid).await {
                Ok(()) => {}
                Err(error) if tries > 1 => {
                    tracing::debug!(object = %name, error = %error.message, "status not written, will try again");
                    self.leaving.insert(name, (uid, tries - 1));
                }
                Err(error) => {
                    tracing::warn!(object = %name, error = %error.message, "cannot tell a ControllerModule that it is followed no more");
                }
            }
        }
        (!self.leaving.is_empty()).then(|| Instant::now() + PACE)
    }

    async fn release_one(&self, name: &SmolStr, uid: &SmolStr) -> Result<(), ApiError> {
        let request = ApiRequest {
            resource: resource(),
            key: ObjectKey::new("", name),
            subresource: SmolStr::default(),
            verb: ApiVerb::Get,
        };
        let body = match self.client.call(0, request).await {
            Ok(body) => body,
            Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(object) = read(body) else { return Ok(()) };
        let is_ours = object.status.host.as_deref() == Some(self.reporter.host.as_str());
        if object.uid != *uid || !is_ours {
            return Ok(());
        }
        let status = released(&object, &self.reporter, Timestamp::now());
        write(&self.client, &object, &status).await.map(|_| ())
    }

    async fn leadership_changed(&self) {
        match &self.contest {
            Some(Contest { leadership, .. }) => {
                let mut leadership = leadership.clone();
                still(&mut leadership).await;
            }
            None => std::future::pending().await,
        }
    }
}

impl<'a> Told<'a> {
    fn of(judged: &'a Judged, report: &Report) -> Self {
        let handle = judged.entry().and_then(|_| {
            let modules = report.modules.iter();
            modules
                .into_iter()
                .find(|module| module.name == judged.object.name)
        });
        Self {
            judged,
            module: handle.map(|handle| handle.status.borrow().clone()),
        }
    }

    fn status(&self, object: &ControllerModule, reporter: &Reporter) -> ControllerModuleStatus {
        let judgement = &self.judged.judgement;
        status_of(
            object,
            judgement,
            self.module.as_ref(),
            reporter,
            Timestamp::now(),
        )
    }
}

/// Whether this replica tells of an object.
fn tells(told: &Told<'_>, contest: Option<&Contest>) -> bool {
    let mode = told.judged.entry().map(|entry| entry.leadership.mode);
    match (contest, &told.module, mode) {
        (Some(_), Some(module), Some(LeadershipMode::Lease)) => module.acts,
        _ => leads(contest),
    }
}

/// Whether this replica tells of what has no leader; alone it always does.
fn leads(contest: Option<&Contest>) -> bool {
    contest.is_none_or(|contest| {
        let leadership = contest.leadership.borrow();
        leadership.tenure().is_some_and(|tenure| tenure.is_valid_now())
    })
}

/// Writes a status to the version of the object that it was made for, and gives what the
/// object is then.
async fn write(
    client: &ModuleClient,
    object: &ControllerModule,
    status: &ControllerModuleStatus,
) -> Result<Option<ControllerModule>, ApiError> {
    let metadata = json!({"resourceVersion": object.resource_version.to_string(), "uid": object.uid});
    let patch = json!({"metadata": metadata, "status": status});
    let request = ApiRequest {
        resource: resource(),
        key: ObjectKey::new("", &object.name),
        subresource: "status".into(),
        verb: ApiVerb::Patch(PatchType::Merge, patch.to_string().into()),
    };
    Ok(read(client.call(0, request).await?))
}

fn read(body: bytes::Bytes) -> Option<ControllerModule> {
    ControllerModule::of(&Object::parse(body).ok()?).ok()
}

/// Waits for news, for ever when there can be none.
async fn still<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn earliest(one: Option<Instant>, other: Instant) -> Instant {
    one.map_or(other, |one| one.min(other))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
