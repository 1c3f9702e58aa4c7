//! Wraps what a guest may call and how it is called, so that both sides go into a log.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use windlass_core::api_error::ApiError;
use windlass_core::key::{ObjectKey, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{
    Ambient, ApiRequest, Delta, DeltaBatch, Discovery, Event, EventSink, Guest, LogLevel, ObjectReader,
    ObjectWriter, QueueItem, QueueSink, ReadError, Services, SyncId,
};
use windlass_engine::instance::{Driver, Instance};

use super::entry::{Batch, Change, Entry, Question, Request};
use super::log::Log;
use super::turns::{Paced, Turns};

/// One instance that is recorded.
pub(crate) struct Session {
    log: Arc<Log>,
    turns: Arc<Turns>,
}

impl Session {
    pub(crate) fn new(log: Log) -> Self {
        let log = Arc::new(log);
        let at_rest = Arc::clone(&log);
        Self {
            turns: Arc::new(Turns::new(move || at_rest.at_rest())),
            log,
        }
    }

    /// What the instance may call: the same, and recorded.
    pub(crate) fn services(&self, inner: Services) -> Services {
        let recorded = Arc::new(Recorded {
            log: Arc::clone(&self.log),
            turns: Arc::clone(&self.turns),
            inner: inner.clone(),
        });
        Services {
            reader: recorded.clone(),
            writer: recorded.clone(),
            events: recorded.clone(),
            queue: recorded.clone(),
            discovery: recorded.clone(),
            ambient: recorded,
            config: inner.config,
        }
    }

    /// The instance itself: the same, and recorded.
    pub(crate) fn attach(
        self,
        instance: Instance,
        driver: Driver,
    ) -> (Box<dyn Guest>, BoxFuture<'static, GuestFailure>) {
        let paced = Paced::new(driver, self.turns.clone());
        let log = Arc::clone(&self.log);
        let driver = async move {
            let failure = paced.await;
            log.append(&Entry::Failed {
                label: failure.label().to_owned(),
                message: failure.to_string(),
            });
            failure
        };
        let guest = RecordedGuest {
            instance: Arc::new(instance),
            log: self.log,
            turns: self.turns,
        };
        (Box::new(guest), driver.boxed())
    }
}

/// What a guest calls.
struct Recorded {
    log: Arc<Log>,
    turns: Arc<Turns>,
    inner: Services,
}

type Objects = Result<Vec<Arc<Object>>, ReadError>;

impl Recorded {
    fn read(&self, question: Question, objects: Objects) -> Objects {
        let answer = objects
            .as_ref()
            .map(|objects| objects.iter().map(|object| object.body().clone()).collect())
            .map_err(Clone::clone);
        self.log.append(&Entry::Read { question, answer });
        objects
    }
}

impl ObjectReader for Recorded {
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        let object = self.inner.reader.get(watch, key);
        let objects = object.map(|object| object.into_iter().collect());
        let objects = self.read(Question::Get(watch, key.clone()), objects)?;
        Ok(objects.into_iter().next())
    }

    fn list(&self, watch: WatchId, namespace: Option<&str>, selector: &str) -> Objects {
        let objects = self.inner.reader.list(watch, namespace, selector);
        let question = Question::List(watch, namespace.map(str::to_owned), selector.to_owned());
        self.read(question, objects)
    }

    fn by_index(&self, watch: WatchId, index: &str, value: &str) -> Objects {
        let objects = self.inner.reader.by_index(watch, index, value);
        let question = Question::ByIndex(watch, index.to_owned(), value.to_owned());
        self.read(question, objects)
    }

    fn by_owner(&self, watch: WatchId, uid: &str) -> Objects {
        let objects = self.inner.reader.by_owner(watch, uid);
        self.read(Question::ByOwner(watch, uid.to_owned()), objects)
    }

    fn orphans(&self, watch: WatchId, namespace: &str) -> Objects {
        let objects = self.inner.reader.orphans(watch, namespace);
        self.read(Question::Orphans(watch, namespace.to_owned()), objects)
    }
}

impl ObjectWriter for Recorded {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        let call = self.log.next_call();
        self.log.append(&Entry::Request {
            call,
            sync,
            request: Request::from(&request),
        });
        let answering = self.inner.writer.call(sync, request);
        let (log, turns) = (Arc::clone(&self.log), Arc::clone(&self.turns));
        async move {
            let answer = answering.await;
            turns.wait().await;
            log.append(&Entry::Answer {
                call,
                answer: answer.clone(),
            });
            answer
        }
        .boxed()
    }
}

impl EventSink for Recorded {
    fn record(&self, event: Event) {
        self.log.append(&Entry::Event(event.clone()));
        self.inner.events.record(event);
    }
}

impl QueueSink for Recorded {
    fn add(&self, items: Vec<QueueItem>) {
        self.log.append(&Entry::Queue(items.clone()));
        self.inner.queue.add(items);
    }
}

impl Discovery for Recorded {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<ResourceInfo> {
        let answer = self.inner.discovery.resolve(group, version, kind);
        self.log.append(&Entry::Resolve {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            answer: answer.clone(),
        });
        answer
    }
}

impl Ambient for Recorded {
    fn now(&self) -> std::time::Duration {
        let now = self.inner.ambient.now();
        self.log.append(&Entry::Now(now));
        now
    }

    fn monotonic_nanos(&self) -> u64 {
        let nanos = self.inner.ambient.monotonic_nanos();
        self.log.append(&Entry::Monotonic(nanos));
        nanos
    }

    fn random(&self) -> u64 {
        let number = self.inner.ambient.random();
        self.log.append(&Entry::Random(number));
        number
    }

    fn logs(&self, level: LogLevel) -> bool {
        let logs = self.inner.ambient.logs(level);
        self.log.append(&Entry::Logs(level, logs));
        logs
    }
}

/// A guest whose calls wait for their turn.
struct RecordedGuest {
    instance: Arc<Instance>,
    log: Arc<Log>,
    turns: Arc<Turns>,
}

type Calling<T> = BoxFuture<'static, Result<T, GuestFailure>>;

impl RecordedGuest {
    fn call<T: Send + 'static>(
        &self,
        told: Entry,
        call: impl FnOnce(&Instance) -> Calling<T> + Send + 'static,
        returned: impl FnOnce(&T) -> Option<Entry> + Send + 'static,
    ) -> Calling<T> {
        let (give, given) = oneshot::channel();
        let (instance, log) = (Arc::clone(&self.instance), Arc::clone(&self.log));
        self.turns.queue(Box::new(move || {
            log.append(&told);
            // A caller that no longer waits has called all the same.
            let _ = give.send(call(&instance));
            true
        }));
        let (instance, log) = (Arc::clone(&self.instance), Arc::clone(&self.log));
        async move {
            let Ok(calling) = given.await else {
                return Err(instance.closed().await);
            };
            let result = calling.await?;
            if let Some(entry) = returned(&result) {
                log.append(&entry);
            }
            Ok(result)
        }
        .boxed()
    }
}

impl Guest for RecordedGuest {
    fn start(&self) -> Calling<()> {
        self.call(Entry::Start, Guest::start, |()| Some(Entry::Started))
    }

    fn sync(&self, id: SyncId, key: ObjectKey) -> Calling<Result<Outcome, SyncError>> {
        let told = Entry::Sync {
            sync: id,
            key: key.clone(),
        };
        let returned = move |result: &Result<Outcome, SyncError>| {
            Some(Entry::Synced {
                sync: id,
                result: result.clone(),
            })
        };
        self.call(told, move |instance| instance.sync(id, key), returned)
    }

    fn observe(&self, batches: Vec<DeltaBatch>) -> Calling<()> {
        let told = Entry::Observe(batches.iter().map(Batch::from).collect());
        self.call(told, move |instance| instance.observe(batches), |()| None)
    }

    fn map(&self, watch: WatchId, delta: Delta) -> Calling<Vec<ObjectKey>> {
        let call = self.log.next_call();
        let told = Entry::Map {
            call,
            watch,
            change: Change::new(&delta, true),
        };
        let returned = move |keys: &Vec<ObjectKey>| {
            Some(Entry::Mapped {
                call,
                keys: keys.clone(),
            })
        };
        self.call(told, move |instance| instance.map(watch, delta), returned)
    }

    fn closed(&self) -> BoxFuture<'static, GuestFailure> {
        self.instance.closed()
    }
}
