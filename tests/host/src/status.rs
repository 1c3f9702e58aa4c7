//! What a host in a process of its own says of itself, over HTTP.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::wait;

/// Waits until a process that was started with `--status-address 127.0.0.1:0` says where
/// its status is.
///
/// # Errors
/// When it does not.
pub async fn address_of(process: &Process) -> Result<SocketAddr> {
    let address = || async {
        let output = process.output();
        let line = output.lines().find(|line| line.contains("serving status"));
        Ok(line
            .and_then(|line| line.split_once("address="))
            .and_then(|(_, address)| address.split_whitespace().next()?.parse().ok()))
    };
    let found = wait::until("a status address", address, Option::is_some).await?;
    found.context("there is one")
}

/// What the host answers to a GET.
///
/// # Errors
/// When it does not answer with 200.
pub async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    Ok(body.to_owned())
}

/// The whole status.
///
/// # Errors
/// When there is none.
pub async fn status(address: SocketAddr) -> Result<Value> {
    Ok(serde_json::from_str(&get(address, "/api/v1/status").await?)?)
}

/// The sum of all samples of a metric; nothing if it has none.
///
/// # Errors
/// When the host does not answer.
pub async fn metric(address: SocketAddr, name: &str) -> Result<Option<f64>> {
    let text = get(address, "/metrics").await?;
    let samples: Vec<f64> = text
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    Ok((!samples.is_empty()).then(|| samples.iter().sum()))
}
