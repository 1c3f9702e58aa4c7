//! A server that answers as a test says, byte for byte, and remembers what it was asked.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request: its first line, its headers and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

type Answers = dyn FnMut(&Asked) -> Vec<u8> + Send;

/// The server. It ends with the value.
pub(crate) struct Script {
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Starts a server; `answers` gives the whole answer to each request. The connection
    /// is closed after each.
    pub(crate) async fn start(answers: impl FnMut(&Asked) -> Vec<u8> + Send + 'static) -> Self {
        Self::start_with(None, Box::new(answers)).await
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(
        tls: TlsAcceptor,
        answers: impl FnMut(&Asked) -> Vec<u8> + Send + 'static,
    ) -> Self {
        Self::start_with(Some(tls), Box::new(answers)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>, mut answers: Box<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => serve(stream, &log, &mut answers).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &log, &mut answers).await;
                        }
                    }
                }
            }
        });
        Self { host, asked, task }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Asked>>,
    answers: &mut Box<Answers>,
) {
    // What is not HTTP is answered as Go's server answers TLS.
    let answer = match read(&mut stream).await {
        Some(request) => {
            log.lock().push(request.clone());
            answers(&request)
        }
        None => status("400 Bad Request"),
    };
    // The peer may have seen enough.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read_buf(&mut bytes).await.ok()?;
        if read == 0 || !bytes.starts_with(b"GET") && !bytes.starts_with(b"HEAD") && !bytes.starts_with(b"P")
        {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut asked = Asked {
        line: head.lines().next()?.to_owned(),
        body: String::new(),
        head,
    };
    let length: usize = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    asked.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Some(asked)
}

/// An answer with its length. To `HEAD` it must be given without a body.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// An empty answer.
pub(crate) fn status(status: &str) -> Vec<u8> {
    answer(status, "", b"")
}
