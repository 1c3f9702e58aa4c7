//! What a replayed guest calls: answered from the log, and by nobody else unless the log
//! has no answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::seams::{
    Ambient, ApiRequest, ApiVerb, Discovery, Event, EventSink, LogLevel, ObjectReader, ObjectWriter,
    QueueItem, QueueSink, ReadError, Services, SyncId,
};

use super::calls::{Answer, Given};
use super::effects::Side;
use super::{Script, invent};
use crate::record::entry::{Question, Request};
use crate::record::report::{DifferenceKind, write_line};

type Objects = Result<Vec<Arc<Object>>, ReadError>;

/// The script as a guest sees it.
struct Prompter(Arc<Script>);

impl Script {
    /// What the replayed guest is instantiated with.
    pub(crate) fn services(self: &Arc<Self>, config: Bytes) -> Services {
        let prompter = Arc::new(Prompter(Arc::clone(self)));
        Services {
            reader: prompter.clone(),
            writer: prompter.clone(),
            events: prompter.clone(),
            queue: prompter.clone(),
            discovery: prompter.clone(),
            ambient: prompter,
            config,
        }
    }
}

impl Prompter {
    /// Asks the log, then the caches.
    fn read(&self, question: Question, live: impl FnOnce(&dyn ObjectReader) -> Objects) -> Objects {
        let script = &self.0;
        let recorded = script.watches.recorded(question.watch());
        let answer = recorded.and_then(|watch| {
            let question = question.clone().of_watch(watch);
            script.state.lock().moment.read(&question)
        });
        match (answer, &script.live) {
            (Some(answer), _) => answer.map(|bodies| bodies.into_iter().filter_map(object).collect()),
            (None, Some(services)) => live(&*services.reader),
            (None, None) => {
                script.found(DifferenceKind::Unanswered {
                    question: format!("lister {question:?}"),
                });
                Ok(Vec::new())
            }
        }
    }
}

fn object(body: Bytes) -> Option<Arc<Object>> {
    Object::parse(body).ok().map(Arc::new)
}

impl ObjectReader for Prompter {
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        let live = |reader: &dyn ObjectReader| Ok(reader.get(watch, key)?.into_iter().collect());
        let objects = self.read(Question::Get(watch, key.clone()), live)?;
        Ok(objects.into_iter().next())
    }

    fn list(&self, watch: WatchId, namespace: Option<&str>, selector: &str) -> Objects {
        let question = Question::List(watch, namespace.map(str::to_owned), selector.to_owned());
        self.read(question, |reader| reader.list(watch, namespace, selector))
    }

    fn by_index(&self, watch: WatchId, index: &str, value: &str) -> Objects {
        let question = Question::ByIndex(watch, index.to_owned(), value.to_owned());
        self.read(question, |reader| reader.by_index(watch, index, value))
    }

    fn by_owner(&self, watch: WatchId, uid: &str) -> Objects {
        let question = Question::ByOwner(watch, uid.to_owned());
        self.read(question, |reader| reader.by_owner(watch, uid))
    }

    fn orphans(&self, watch: WatchId, namespace: &str) -> Objects {
        let question = Question::Orphans(watch, namespace.to_owned());
        self.read(question, |reader| reader.orphans(watch, namespace))
    }
}

impl ObjectWriter for Prompter {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Answer> {
        let script = Arc::clone(&self.0);
        let given = script.state.lock().calls.asked(sync, Request::from(&request));
        async move {
            match given.await {
                Ok(Given::Answer(answer)) => answer,
                Ok(Given::Unrecorded) => script.answer_unrecorded(request).await,
                Err(_) => Err(ApiError::local(ApiErrorKind::Unavailable, "the replay is over")),
            }
        }
        .boxed()
    }
}

impl Script {
    /// Answers a call that the recorded guest never made. A write is answered as if it had
    /// been done, and is not.
    async fn answer_unrecorded(&self, request: ApiRequest) -> Answer {
        let is_write = !matches!(request.verb, ApiVerb::Get | ApiVerb::List(_));
        match &self.live {
            _ if is_write => Ok(invent::answer(&request)),
            Some(live) => live.writer.call(0, request).await,
            None => {
                let question = write_line(&Request::from(&request));
                let message = format!("the recording has no answer to: {question}");
                self.found(DifferenceKind::Unanswered { question });
                Err(ApiError::local(ApiErrorKind::Unavailable, message))
            }
        }
    }
}

impl EventSink for Prompter {
    fn record(&self, event: Event) {
        self.0.state.lock().effects.event(Side::Replayed, &event);
    }
}

impl QueueSink for Prompter {
    fn add(&self, items: Vec<QueueItem>) {
        self.0.state.lock().effects.queue(Side::Replayed, &items);
    }
}

impl Discovery for Prompter {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<ResourceInfo> {
        let script = &self.0;
        let answer = script.state.lock().moment.resolve(group, version, kind);
        match (answer, &script.live) {
            (Some(answer), _) => answer,
            (None, Some(live)) => live.discovery.resolve(group, version, kind),
            (None, None) => {
                script.found(DifferenceKind::Unanswered {
                    question: format!("discovery {group}/{version} {kind}"),
                });
                None
            }
        }
    }
}

impl Ambient for Prompter {
    fn now(&self) -> Duration {
        let now = self.0.state.lock().moment.now();
        let live = || self.0.live.as_ref().map(|live| live.ambient.now());
        now.or_else(live).unwrap_or_default()
    }

    fn monotonic_nanos(&self) -> u64 {
        self.0.state.lock().moment.monotonic()
    }

    fn random(&self) -> u64 {
        self.0.state.lock().moment.random()
    }

    fn logs(&self, level: LogLevel) -> bool {
        self.0.state.lock().moment.logs(level)
    }
}
