//! Runs a version in the shadow of the one that serves.
//!
//! A shadow does not watch the cluster and race the other version for what it sees. It
//! replays the log of the serving instance while that is made: it is told the same things
//! in the same order, its reads get the answers that the serving version got, and so do
//! its writes where they are the same. So the same code shows no difference, and other
//! code shows only what it decided otherwise. What the serving version never asked is
//! answered by the caches, and live reads by the API server, within the shadow's own
//! grants. Nothing that a shadow writes, records or queues goes anywhere.
//!
//! A shadow stands beside the module whose guest has the same name. It follows an instance
//! from its beginning, because a guest's state comes from there; one that is configured
//! later follows the next instance. Among replicas of the host it acts nowhere and needs
//! no lease: it follows what serves on the same replica, and holds caches only meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::mpsc;
use windlass_core::seams::Services;

use super::entry::Entry;
use super::format::{RecordedWatch, watches};
use super::log::Sink;
use super::replay::play;
use super::report::Findings;
use super::script::{Script, Segment};
use crate::module::Module;

/// Differences that are kept for the status page.
const KEPT: usize = 100;
/// Segments that a shadow may be behind before it is let go.
const MAX_BEHIND: usize = 10_000;

/// All shadows of a host. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Shadows(Arc<Mutex<BTreeMap<SmolStr, Shadow>>>);

/// One module that is a shadow.
struct Shadow {
    findings: Arc<Findings>,
    /// What follows, once something does.
    following: Option<Arc<Module>>,
    /// The module beside which it stands, once there is one.
    beside: Option<SmolStr>,
    /// `None` until it follows; until then the instances that began wait.
    sessions: Option<mpsc::UnboundedSender<LiveSession>>,
    waiting: Vec<LiveSession>,
}

/// What a shadow found out.
#[derive(Clone, Debug)]
pub struct ShadowView {
    /// The module that is the shadow.
    pub module: Arc<Module>,
    /// What it found, and goes on finding.
    pub findings: Arc<Findings>,
}

/// The log of a serving instance, while it is made.
pub(crate) struct LiveSession {
    module: SmolStr,
    guest: SmolStr,
    watches: Vec<RecordedWatch>,
    segments: mpsc::UnboundedReceiver<Counted>,
    behind: Arc<Behind>,
}

/// How far a shadow is behind.
#[derive(Default)]
struct Behind {
    segments: AtomicUsize,
    too_far: AtomicBool,
}

/// A segment that counts as long as it lives.
struct Counted(Segment, Arc<Behind>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.segments.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shadows {
    /// A module will be a shadow. To be called before any module begins.
    pub(crate) fn expect(&self, module: &SmolStr) {
        let mut shadows = self.0.lock();
        shadows.entry(module.clone()).or_insert_with(|| Shadow {
            findings: Arc::new(Findings::keeping(KEPT)),
            following: None,
            beside: None,
            sessions: None,
            waiting: Vec::new(),
        });
    }

    /// It is one no more.
    pub(crate) fn forget(&self, module: &str) {
        self.0.lock().remove(module);
    }

    /// The shadow of a module, if it has one.
    #[must_use]
    pub fn beside(&self, module: &str) -> Option<ShadowView> {
        let shadows = self.0.lock();
        let found = shadows
            .values()
            .find(|shadow| shadow.beside.as_deref() == Some(module))?;
        Some(ShadowView {
            module: found.following.clone()?,
            findings: Arc::clone(&found.findings),
        })
    }

    /// Where the log of an instance that is about to serve goes.
    pub(crate) fn begin(&self, module: &Module) -> Vec<Box<dyn Sink>> {
        let guest = &module.guest.manifest.name;
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for shadow in self.0.lock().values_mut() {
            if shadow.guest().is_some_and(|shadowed| shadowed != guest) {
                continue;
            }
            let (segments, received) = mpsc::unbounded_channel();
            let behind = Arc::new(Behind::default());
            let session = LiveSession {
                module: module.name.clone(),
                guest: guest.clone(),
                watches: watches(&module.guest.manifest),
                segments: received,
                behind: Arc::clone(&behind),
            };
            sinks.push(Box::new(LiveSink::new(segments, behind)));
            shadow.offer(session);
        }
        sinks
    }

    /// From now on the module follows what serves beside it.
    pub(crate) fn follow(&self, module: &Arc<Module>) -> mpsc::UnboundedReceiver<LiveSession> {
        self.expect(&module.name);
        let (sessions, received) = mpsc::unbounded_channel();
        if let Some(shadow) = self.0.lock().get_mut(&module.name) {
            shadow.following = Some(Arc::clone(module));
            shadow.sessions = Some(sessions);
            for session in std::mem::take(&mut shadow.waiting) {
                shadow.offer(session);
            }
        }
        received
    }

    fn findings(&self, module: &str) -> Option<Arc<Findings>> {
        self.0
            .lock()
            .get(module)
            .map(|shadow| Arc::clone(&shadow.findings))
    }
}

impl Shadow {
    /// The name of the guest that follows.
    fn guest(&self) -> Option<&SmolStr> {
        Some(&self.following.as_ref()?.guest.manifest.name)
    }

    fn offer(&mut self, session: LiveSession) {
        match &self.sessions {
            Some(sessions) if self.guest() == Some(&session.guest) => {
                self.beside = Some(session.module.clone());
                // One that no longer listens is about to be replaced, and starts anew then.
                drop(sessions.send(session));
            }
            Some(_) => {}
            None => self.waiting.push(session),
        }
    }
}

/// Cuts the log of a serving instance into segments for a shadow.
struct LiveSink {
    /// `None` once the shadow is gone or too far behind.
    segments: Option<mpsc::UnboundedSender<Counted>>,
    behind: Arc<Behind>,
    current: Segment,
    /// Whether the segment before anything was told has been sent.
    opened: bool,
}

impl LiveSink {
    fn new(segments: mpsc::UnboundedSender<Counted>, behind: Arc<Behind>) -> Self {
        Self {
            segments: Some(segments),
            behind,
            current: Segment::default(),
            opened: false,
        }
    }

    fn send(&mut self) {
        let segment = std::mem::take(&mut self.current);
        if self.opened && segment.told.is_none() && segment.done.is_empty() {
            return;
        }
        self.opened = true;
        if self.behind.segments.fetch_add(1, Ordering::Relaxed) >= MAX_BEHIND {
            self.behind.too_far.store(true, Ordering::Release);
            self.segments = None;
        }
        let segment = Counted(segment, Arc::clone(&self.behind));
        if let Some(segments) = &self.segments {
            if segments.send(segment).is_err() {
                self.segments = None;
            }
        }
    }
}

impl Sink for LiveSink {
    fn append(&mut self, entry: &Entry) {
        if self.segments.is_none() {
            return;
        }
        if entry.is_told() {
            self.send();
            self.current.told = Some(entry.clone());
        } else {
            self.current.done.push(entry.clone());
        }
    }

    fn at_rest(&mut self) {
        if self.segments.is_some() {
            self.send();
        }
    }
}

impl Drop for LiveSink {
    fn drop(&mut self) {
        if self.segments.is_some() {
            self.send();
        }
    }
}

/// Runs an instance of a shadow beside one that serves, to the end of either.
pub(crate) async fn run(shadows: &Shadows, module: &Module, live: Services, session: LiveSession) {
    let Some(findings) = shadows.findings(&module.name) else {
        return;
    };
    let LiveSession {
        watches,
        mut segments,
        behind,
        module: beside,
        ..
    } = session;
    tracing::info!(controller = %module.name, %beside, "shadow follows an instance");
    let guest = &module.guest;
    let script = Script::new(&watches, &guest.manifest, guest.exports, Some(live), findings);
    let script = Arc::new(script);
    let Some(first) = segments.recv().await else {
        return;
    };
    script.push(first.into_segment());
    script.open();
    let limits = module.limits.clone();
    let more = async move || segments.recv().await.map(Counted::into_segment);
    let failure = play(guest, limits, module.config.clone(), &script, more).await;
    if behind.too_far.load(Ordering::Acquire) {
        tracing::warn!(controller = %module.name, %beside, "shadow fell behind, it waits for the next instance");
        return;
    }
    script.finish(failure.as_ref());
}

impl Counted {
    fn into_segment(mut self) -> Segment {
        std::mem::take(&mut self.0)
    }
}
