//! A client that sends bytes and reads what comes until the server closes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_telemetry::server::{self, ServerConfig, ServerHandle};

use crate::fake::FakeHost;

/// A server of a fake host at a free port.
pub(crate) async fn serve() -> anyhow::Result<ServerHandle> {
    let config = ServerConfig {
        address: "127.0.0.1:0".parse()?,
        ..ServerConfig::default()
    };
    Ok(server::start(config, Arc::new(FakeHost::default())).await?)
}

/// A response, head and body.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends a request that closes the connection afterwards. `headers` are whole lines.
pub(crate) async fn request(address: SocketAddr, line: &str, headers: &str) -> anyhow::Result<Answer> {
    let host = if headers.contains("Host:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let text = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Answer {
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Sends a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    request(address, &format!("GET {path}"), "").await
}
