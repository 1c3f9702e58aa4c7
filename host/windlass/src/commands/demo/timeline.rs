//! The live timeline: who did what, when. Equal deeds in a row become one line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use windlass_core::api_error::ApiError;
use windlass_core::key::ObjectKey;
use windlass_core::seams::{ApiRequest, ApiVerb};
use windlass_manager::calls::CallTap;

use crate::output::{one_line, outln};

/// How long a line waits for more of its kind.
const GATHER: Duration = Duration::from_millis(15);
/// Names shown in one line before the rest is counted.
const NAMES: usize = 2;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

enum Message {
    Deed {
        at: Instant,
        who: String,
        deed: String,
        name: String,
    },
    Headline(String),
    Done(Duration),
}

/// Prints what it is told, in the order in which it is told.
pub(crate) struct Timeline {
    started: Instant,
    messages: Mutex<Option<mpsc::UnboundedSender<Message>>>,
    printer: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
}

impl Timeline {
    pub(crate) fn start(started: Instant) -> Arc<Self> {
        // Unbounded: bounded by what a tour of a minute does.
        let (sender, receiver) = mpsc::unbounded_channel();
        let printer = tokio::spawn(print(started, receiver));
        Arc::new(Self {
            started,
            messages: Mutex::new(Some(sender)),
            printer: Mutex::new(Some(printer)),
        })
    }

    /// Listens to the API calls of the guests.
    pub(crate) fn tap(self: &Arc<Self>) -> Arc<dyn CallTap> {
        Arc::new(Tap(Arc::clone(self)))
    }

    /// Somebody did something to an object.
    pub(crate) fn deed(&self, who: &str, deed: impl Into<String>, name: &str) {
        self.send(Message::Deed {
            at: Instant::now(),
            who: who.to_owned(),
            deed: deed.into(),
            name: name.to_owned(),
        });
    }

    pub(crate) async fn headline(&self, title: &str) {
        self.send(Message::Headline(title.to_owned()));
        tokio::task::yield_now().await;
    }

    pub(crate) async fn done(&self, took: Duration) {
        // What happened because of the step's last moment belongs above the line.
        tokio::time::sleep(GATHER * 2).await;
        self.send(Message::Done(took));
    }

    /// Prints what is left and ends.
    pub(crate) async fn finish(&self) {
        drop(self.messages.lock().take());
        let printer = self.printer.lock().take();
        if let Some(printer) = printer {
            match printer.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(error = one_line(&error), "the timeline ended early"),
                Err(error) => tracing::error!(%error, "the timeline ended badly"),
            }
        }
        tracing::debug!(elapsed = ?self.started.elapsed(), "timeline finished");
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &*self.messages.lock() {
            // The printer ends before the sender is gone only when it cannot print.
            let _ = sender.send(message);
        }
    }
}

async fn print(started: Instant, mut messages: mpsc::UnboundedReceiver<Message>) -> anyhow::Result<()> {
    let mut gathered: Option<Gathered> = None;
    loop {
        let message = match &gathered {
            Some(_) => match tokio::time::timeout(GATHER, messages.recv()).await {
                Ok(message) => message,
                Err(_) => {
                    flush(started, gathered.take())?;
                    continue;
                }
            },
            None => messages.recv().await,
        };
        match message {
            Some(Message::Deed { at, who, deed, name }) => match &mut gathered {
                Some(line) if line.who == who && line.deed == deed => line.names.push(name),
                _ => {
                    flush(started, gathered.take())?;
                    gathered = Some(Gathered {
                        at,
                        who,
                        deed,
                        names: vec![name],
                    });
                }
            },
            Some(Message::Headline(title)) => {
                flush(started, gathered.take())?;
                outln!("\n{BOLD}{title}{BOLD:#}")?;
            }
            Some(Message::Done(took)) => {
                flush(started, gathered.take())?;
                outln!(
                    "          {DIM}done in {:.0} ms{DIM:#}",
                    took.as_secs_f64() * 1000.0
                )?;
            }
            None => {
                return flush(started, gathered.take());
            }
        }
    }
}

struct Gathered {
    at: Instant,
    who: String,
    deed: String,
    names: Vec<String>,
}

fn flush(started: Instant, gathered: Option<Gathered>) -> anyhow::Result<()> {
    let Some(Gathered { at, who, deed, names }) = gathered else {
        return Ok(());
    };
    let style = color(&who);
    let shown = names
        .iter()
        .take(NAMES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = if names.len() > NAMES {
        format!(" and {} more", names.len() - NAMES)
    } else {
        String::new()
    };
    let at = at.duration_since(started).as_secs_f64();
    outln!("  {DIM}{at:>6.3} s{DIM:#}  {style}{who:<18}{style:#} {deed} {shown}{more}")
}

fn color(who: &str) -> Style {
    let color = match who {
        "you" => return BOLD,
        "deployment" => AnsiColor::Blue,
        "replicaset" => AnsiColor::Magenta,
        "scheduler" => AnsiColor::Yellow,
        "garbage-collector" => AnsiColor::Red,
        _ => AnsiColor::Green,
    };
    color.on_default()
}

struct Tap(Arc<Timeline>);

impl CallTap for Tap {
    fn called(&self, module: &str, request: &ApiRequest, answer: &Result<Bytes, ApiError>) {
        let Some(verb) = verb(request) else { return };
        let singular = request
            .resource
            .plural
            .strip_suffix('s')
            .unwrap_or(&request.resource.plural);
        let name = match answer {
            Ok(body) => name_of(&request.key, body),
            Err(error) => {
                self.0.deed(
                    module,
                    format!("fails to {} {singular}: {error}:", request.verb.name()),
                    &request.key.name,
                );
                return;
            }
        };
        self.0.deed(module, format!("{verb} {singular}"), &name);
    }
}

/// The verb in words; nothing for reads and for status writes, which would drown the rest.
fn verb(request: &ApiRequest) -> Option<&'static str> {
    match (&request.verb, request.subresource.as_str()) {
        (ApiVerb::Create(_), "binding") => Some("binds"),
        (_, "status") | (ApiVerb::Get | ApiVerb::List(_), _) => None,
        (ApiVerb::Create(_), _) => Some("creates"),
        (ApiVerb::Update(_), _) => Some("updates"),
        (ApiVerb::Patch(..), _) => Some("patches"),
        (ApiVerb::Delete(_), _) => Some("deletes"),
    }
}

/// The name asked for, or the one that the server made up.
fn name_of(key: &ObjectKey, body: &[u8]) -> String {
    if !key.name.is_empty() {
        return key.name.to_string();
    }
    let object: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
