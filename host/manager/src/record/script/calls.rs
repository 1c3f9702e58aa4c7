//! Joins the API calls of a replayed guest to those of the recorded one, sync by sync.
//!
//! A call is first joined to one that is the same to the last byte, then to one that does
//! the same to the same object with another body. What is left over on either side once
//! both syncs have ended is a difference. A joined call gets the recorded answer, at the
//! recorded moment; a call that the recorded guest never made gets an invented one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use windlass_core::api_error::ApiError;
use windlass_core::key::ObjectKey;
use windlass_core::outcome::{Outcome, SyncError};
use windlass_core::seams::SyncId;

use crate::record::entry::{CallId, Request};
use crate::record::report::{Difference, DifferenceKind, Findings, write_line};

/// Calls of `start`, and those on behalf of no sync.
const OUTSIDE: SyncId = 0;

/// What the API server answers.
pub(crate) type Answer = Result<Bytes, ApiError>;
/// How a sync ends.
pub(crate) type SyncResult = Result<Outcome, SyncError>;

/// What becomes of a call.
pub(crate) enum Given {
    /// The recorded answer.
    Answer(Answer),
    /// None is recorded, and none will be.
    Unrecorded,
}

/// Gives an answer to whoever asked.
pub(crate) struct Ready {
    to: oneshot::Sender<Given>,
    given: Given,
}

impl Ready {
    /// False if nobody waits for it any more.
    pub(crate) fn give(self) -> bool {
        self.to.send(self.given).is_ok()
    }
}

struct Recorded {
    call: CallId,
    request: Request,
    /// How many calls of the replayed sync were joined before; `None` while this is not.
    joined: Option<usize>,
}

/// A call that nothing is joined to yet.
struct Open {
    sync: SyncId,
    request: Request,
    to: oneshot::Sender<Given>,
}

/// One sync, on both sides.
#[derive(Default)]
struct Sync {
    key: Option<ObjectKey>,
    calls: Vec<Recorded>,
    joined: usize,
    /// Whether a difference was found.
    differs: bool,
    recorded: Option<SyncResult>,
    replayed: Option<SyncResult>,
}

/// See the module.
pub(crate) struct Calls {
    findings: Arc<Findings>,
    syncs: HashMap<SyncId, Sync>,
    open: Vec<Open>,
    /// Answers that nobody has asked for yet.
    early: HashMap<CallId, Answer>,
    /// Joined calls whose answer comes later.
    waiting: HashMap<CallId, oneshot::Sender<Given>>,
    ready: VecDeque<Ready>,
}

impl Calls {
    pub(crate) fn new(findings: Arc<Findings>) -> Self {
        Self {
            findings,
            syncs: HashMap::new(),
            open: Vec::new(),
            early: HashMap::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// An answer that can be given now.
    pub(crate) fn next_ready(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// Both guests begin a sync.
    pub(crate) fn begin(&mut self, sync: SyncId, key: ObjectKey) {
        self.syncs.entry(sync).or_default().key = Some(key);
    }

    /// The recorded guest made a call.
    pub(crate) fn recorded(&mut self, call: CallId, sync: SyncId, request: Request) {
        if request.is_write() {
            self.findings.count_recorded_write();
        }
        self.syncs.entry(sync).or_default().calls.push(Recorded {
            call,
            request: request.clone(),
            joined: None,
        });
        let position = |fits: fn(&Request, &Request) -> bool| {
            let fits = |open: &Open| open.sync == sync && fits(&open.request, &request);
            self.open.iter().position(fits)
        };
        let position = position(Request::eq).or_else(|| position(Request::is_like));
        if let Some(position) = position {
            let open = self.open.remove(position);
            self.ask(open);
        }
    }

    /// The replayed guest makes a call.
    pub(crate) fn asked(&mut self, sync: SyncId, request: Request) -> oneshot::Receiver<Given> {
        let (to, answer) = oneshot::channel();
        self.ask(Open { sync, request, to });
        answer
    }

    fn ask(&mut self, open: Open) {
        // A call on behalf of a sync that has ended, or never was.
        if open.sync != OUTSIDE && !self.syncs.contains_key(&open.sync) {
            return self.extra(open);
        }
        let entry = self.syncs.entry(open.sync).or_default();
        let free = |recorded: &&mut Recorded| recorded.joined.is_none();
        let mut best: Option<&mut Recorded> = None;
        for recorded in entry.calls.iter_mut().filter(free) {
            if recorded.request == open.request {
                best = Some(recorded);
                break;
            }
            if best.is_none() && recorded.request.is_like(&open.request) {
                best = Some(recorded);
            }
        }
        let Some(recorded) = best else {
            return if entry.recorded.is_some() {
                self.extra(open)
            } else {
                self.open.push(open)
            };
        };
        recorded.joined = Some(entry.joined);
        entry.joined += 1;
        let call = recorded.call;
        if open.request == recorded.request {
            if open.request.is_write() {
                self.findings.count_same_write();
            }
        } else {
            let kind = DifferenceKind::changed(&recorded.request, &open.request);
            entry.differs = true;
            self.findings
                .found(Difference::new(open.sync, entry.key.clone(), kind));
        }
        if open.sync == OUTSIDE {
            // It never ends, so it must not pile up.
            entry.calls.retain(|recorded| recorded.call != call);
        }
        match self.early.remove(&call) {
            Some(answer) => self.ready.push_back(Ready {
                to: open.to,
                given: Given::Answer(answer),
            }),
            None => {
                self.waiting.insert(call, open.to);
            }
        }
    }

    /// The recorded guest never made this call.
    fn extra(&mut self, open: Open) {
        if open.request.is_write() {
            let sync = self.syncs.get_mut(&open.sync);
            let key = sync.and_then(|sync| {
                sync.differs = true;
                sync.key.clone()
            });
            let kind = DifferenceKind::ExtraWrite {
                write: write_line(&open.request),
                body: body_text(&open.request),
            };
            self.findings.found(Difference::new(open.sync, key, kind));
        }
        self.ready.push_back(Ready {
            to: open.to,
            given: Given::Unrecorded,
        });
    }

    /// The moment at which the recorded guest got an answer. False if nobody waits for it.
    pub(crate) fn answered(&mut self, call: CallId, answer: Answer) -> bool {
        match self.waiting.remove(&call) {
            Some(to) => to.send(Given::Answer(answer)).is_ok(),
            None => {
                self.early.insert(call, answer);
                false
            }
        }
    }

    /// The recorded guest ended a sync.
    pub(crate) fn recorded_end(&mut self, sync: SyncId, result: SyncResult) {
        self.syncs.entry(sync).or_default().recorded = Some(result);
        let (extra, open): (Vec<Open>, Vec<Open>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &Open| open.sync == sync);
        self.open = open;
        for open in extra {
            self.extra(open);
        }
        self.settle_if_over(sync);
    }

    /// The replayed guest ended a sync.
    pub(crate) fn replayed_end(&mut self, sync: SyncId, result: SyncResult) {
        self.syncs.entry(sync).or_default().replayed = Some(result);
        self.settle_if_over(sync);
    }

    /// Whether no sync is under way on either side.
    pub(crate) fn is_quiet(&self) -> bool {
        self.syncs.keys().all(|sync| *sync == OUTSIDE)
    }

    fn settle_if_over(&mut self, id: SyncId) {
        let over = |sync: &&Sync| sync.recorded.is_some() && sync.replayed.is_some();
        if self.syncs.get(&id).filter(over).is_none() {
            return;
        }
        if let Some(sync) = self.syncs.remove(&id) {
            self.settle(id, sync);
        }
    }

    fn settle(&mut self, id: SyncId, sync: Sync) {
        let writes = || sync.calls.iter().filter(|recorded| recorded.request.is_write());
        let missing = writes().filter(|recorded| recorded.joined.is_none());
        let mut kinds: Vec<DifferenceKind> = missing
            .map(|missing| DifferenceKind::MissingWrite {
                write: write_line(&missing.request),
                body: body_text(&missing.request),
            })
            .collect();
        if kinds.is_empty() && !writes().is_sorted_by_key(|recorded| recorded.joined) {
            let mut replayed: Vec<&Recorded> = writes().collect();
            replayed.sort_by_key(|recorded| recorded.joined);
            kinds.push(DifferenceKind::Order {
                recorded: writes().map(|recorded| write_line(&recorded.request)).collect(),
                replayed: replayed
                    .iter()
                    .map(|joined| write_line(&joined.request))
                    .collect(),
            });
        }
        if sync.recorded != sync.replayed {
            kinds.push(DifferenceKind::Outcome {
                recorded: outcome_text(sync.recorded.as_ref()),
                replayed: outcome_text(sync.replayed.as_ref()),
            });
        }
        if id != OUTSIDE {
            self.findings.count_sync(sync.differs || !kinds.is_empty());
        }
        for kind in kinds {
            self.findings.found(Difference::new(id, sync.key.clone(), kind));
        }
        for recorded in &sync.calls {
            self.early.remove(&recorded.call);
        }
    }

    /// The recording is over: what the recorded guest finished, the replayed one should have.
    pub(crate) fn finish(&mut self) {
        let mut left: Vec<(SyncId, Sync)> = self.syncs.drain().collect();
        left.sort_by_key(|(id, _)| *id);
        for (id, sync) in left {
            if sync.recorded.is_some() {
                let unfinished = Difference::new(id, sync.key.clone(), DifferenceKind::Unfinished);
                self.findings.found(unfinished);
                let replayed = sync.recorded.clone();
                self.settle(
                    id,
                    Sync {
                        replayed,
                        differs: true,
                        ..sync
                    },
                );
            }
        }
    }
}

fn body_text(request: &Request) -> Option<String> {
    let body = request.verb.body()?;
    Some(String::from_utf8_lossy(body).into_owned())
}

fn outcome_text(result: Option<&SyncResult>) -> String {
    match result {
        Some(Ok(Outcome::Done)) => "done".to_owned(),
        Some(Ok(Outcome::RequeueAfter(after))) => format!("requeue after {after:?}"),
        Some(Err(SyncError::Retry(message))) => format!("retry: {message}"),
        Some(Err(SyncError::Terminal(message))) => format!("terminal error: {message}"),
        None => "unfinished".to_owned(),
    }
}
