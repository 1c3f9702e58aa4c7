//! An OTLP collector for tests, which can be busy, slow, hostile or away.
//!
//! Owns what it received, as the protocol's JSON says it; a request that says anything
//! that the protocol does not know fails the test that looks at it. A crate of its own,
//! because both the exporter's tests and those of whole hosts need one.

mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use wire::{Attributed, Data, Metric, Point, Span, Status};

/// How long something may take to arrive. Generous, because it only decides how long a
/// failing test takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A collector on loopback. Ends when dropped, and refuses connections from then on.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Whether requests wait for their answers.
    held: watch::Sender<bool>,
    /// Ticks with each request that arrived or was answered.
    progress: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    answered: Vec<Request>,
    answers: VecDeque<(u16, String)>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its first line and headers, in lower case.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
    /// How it was answered.
    pub code: u16,
}

impl Request {
    fn is_taken(&self, path: &str) -> bool {
        self.code == 200 && self.head.starts_with(&format!("post {path} http/1.1\r\n"))
    }

    /// What it says that sent it.
    ///
    /// # Errors
    /// When it is not OTLP.
    pub fn resource(&self) -> Result<Vec<(String, String)>> {
        wire::resource(&self.body)
    }

    /// Its spans.
    ///
    /// # Errors
    /// When it is not OTLP.
    pub fn spans(&self) -> Result<Vec<Span>> {
        wire::spans(&self.body)
    }
}

impl Collector {
    /// One that takes everything, at a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    /// One at the place of another that has ended.
    ///
    /// # Errors
    /// When somebody else is there.
    pub async fn at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            held: watch::Sender::new(false),
            progress: watch::Sender::new(0),
        });
        Ok(Self {
            address: listener.local_addr()?,
            task: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next request with this status and body, the one after that with what
    /// is asked for next, and everything else with 200.
    pub fn answer(&self, code: u16, body: &str) {
        self.shared.state().answers.push_back((code, body.to_owned()));
    }

    /// Takes requests and answers none, until [`Collector::release`].
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Answers what waits, and everything from now on.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Requests that have arrived and have no answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        let state = self.shared.state();
        state.arrived - state.answered.len()
    }

    /// Requests that were answered.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().answered.clone()
    }

    /// The spans of all requests that were answered with 200.
    ///
    /// # Errors
    /// When one of them is not OTLP.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let mut spans = Vec::new();
        for request in self.requests() {
            if request.is_taken("/v1/traces") {
                spans.extend(request.spans()?);
            }
        }
        Ok(spans)
    }

    /// The metrics of the latest request with metrics that was answered with 200.
    ///
    /// # Errors
    /// When it is not OTLP, or there is none.
    pub fn metrics(&self) -> Result<Vec<Metric>> {
        let requests = self.requests();
        let latest = requests
            .iter()
            .rev()
            .find(|request| request.is_taken("/v1/metrics"));
        wire::metrics(&latest.context("no metrics were taken")?.body)
    }

    /// Waits until something is true of what arrived.
    ///
    /// # Errors
    /// When it does not become true.
    pub async fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let mut progress = self.shared.progress.subscribe();
        let waiting = async {
            while !holds(self) {
                progress.changed().await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(LIMIT, waiting)
            .await
            .with_context(|| format!("waited {LIMIT:?} for: {what}"))?
    }

    /// Waits until so many requests were answered, and returns the last of them.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn request(&self, number: usize) -> Result<Request> {
        let what = format!("request {number}");
        self.wait_until(&what, |collector| collector.requests().len() >= number)
            .await?;
        let requests = self.requests();
        requests.into_iter().nth(number - 1).context(what)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progressed(&self) {
        self.progress.send_modify(|progress| *progress += 1);
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let (head, body) = read(&mut stream).await?;
        let (code, answer) = {
            let mut state = self.state();
            state.arrived += 1;
            state.answers.pop_front().unwrap_or((200, "{}".to_owned()))
        };
        self.progressed();
        self.held.subscribe().wait_for(|held| !held).await?;
        let length = answer.len();
        let answer =
            format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}");
        // Noted before it is sent, so that whoever knows the answer finds the request.
        self.state().answered.push(Request { head, body, code });
        self.progressed();
        stream.write_all(answer.as_bytes()).await?;
        Ok(())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // The exporter went away, which is its right.
            drop(shared.serve(stream).await);
        });
    }
}

/// Head and body of a request.
async fn read(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0_u8; 8192]);
    loop {
        let read = stream.read(&mut chunk).await?;
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Some(request) = complete(&bytes) {
            return Ok(request);
        }
        anyhow::ensure!(read > 0, "the request ends in the middle");
    }
}

/// Head and body of a request, once all of it is there.
fn complete(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?
        .parse()
        .ok()?;
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some((head, body.to_vec()))
}
