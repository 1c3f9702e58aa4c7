//! What the server answers, over a real connection.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use windlass_telemetry::server::{self, ServerConfig, StartError};
use windlass_telemetry::status::HostStatus;

use crate::fake::FakeHost;
use crate::http::{get, request, serve};

#[tokio::test]
async fn health_is_answered_as_kubernetes_answers_it() -> anyhow::Result<()> {
    let server = serve().await?;
    let address = server.address();
    let live = get(address, "/livez").await?;
    assert_eq!((live.code(), live.body.as_str()), ("200", "ok"));
    let ready = get(address, "/readyz?verbose").await?;
    assert_eq!(ready.code(), "500");
    assert!(
        ready
            .body
            .contains("[-]module/checkout-operator failed: reason withheld\n")
    );
    let excluded = get(address, "/readyz?exclude=module/checkout-operator").await?;
    assert_eq!((excluded.code(), excluded.body.as_str()), ("200", "ok"));
    server.set_stopping();
    let stopping = get(address, "/readyz?exclude=module/checkout-operator").await?;
    assert!(stopping.body.contains("[-]shutdown failed: reason withheld\n"));
    assert_eq!(get(address, "/livez").await?.code(), "200");
    assert_eq!(get(address, "/readyz/nothing").await?.code(), "404");
    Ok(())
}

#[tokio::test]
async fn the_status_reads_back_as_what_it_was() -> anyhow::Result<()> {
    let server = serve().await?;
    let answer = get(server.address(), "/api/v1/status").await?;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let status: HostStatus = serde_json::from_str(&answer.body)?;
    assert_eq!(status.api_version, "status.windlass.dev/v1");
    assert_eq!(status.modules.len(), 4);
    assert_eq!(
        serde_json::to_value(&status)?,
        serde_json::from_str::<serde_json::Value>(&answer.body)?
    );
    // An older reader meets a newer host, and the other way round.
    let foreign = r#"{"apiVersion":"status.windlass.dev/v1","modules":[{"name":"x","news":1}],"more":{}}"#;
    assert_eq!(serde_json::from_str::<HostStatus>(foreign)?.modules[0].name, "x");
    Ok(())
}

#[tokio::test]
async fn nothing_but_reading_is_possible() -> anyhow::Result<()> {
    let server = serve().await?;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let answer = request(server.address(), &format!("{method} /"), "").await?;
        assert_eq!(
            (answer.code(), answer.header("allow")),
            ("405", Some("GET, HEAD")),
            "{method}"
        );
    }
    let head = request(server.address(), "HEAD /metrics", "").await?;
    assert_eq!((head.code(), head.body.as_str()), ("200", ""));
    assert_eq!(get(server.address(), "/../Cargo.toml").await?.code(), "404");
    Ok(())
}

#[tokio::test]
async fn pages_of_other_sites_are_not_answered() -> anyhow::Result<()> {
    let server = serve().await?;
    let answer = request(
        server.address(),
        "GET /api/v1/status",
        "Host: rebound.example\r\n",
    )
    .await?;
    assert_eq!(answer.code(), "421");
    let answer = get(server.address(), "/").await?;
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    Ok(())
}

#[tokio::test]
async fn assets_are_not_sent_twice() -> anyhow::Result<()> {
    let server = serve().await?;
    for path in [
        "/",
        "/style.css",
        "/page.js",
        "/views.js",
        "/charts.js",
        "/format.js",
        "/icon.svg",
    ] {
        let first = get(server.address(), path).await?;
        assert_eq!(first.code(), "200", "{path}");
        let etag = first.header("etag").expect("assets have tags").to_owned();
        let again = request(
            server.address(),
            &format!("GET {path}"),
            &format!("If-None-Match: {etag}\r\n"),
        )
        .await?;
        assert_eq!((again.code(), again.body.as_str()), ("304", ""), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn live_samples_begin_with_the_history_and_end_with_the_server() -> anyhow::Result<()> {
    let config = ServerConfig {
        address: "127.0.0.1:0".parse()?,
        sample_period: std::time::Duration::from_millis(20),
        ..ServerConfig::default()
    };
    let server = server::start(config, Arc::new(FakeHost::default())).await?;
    let mut stream = BufReader::new(TcpStream::connect(server.address()).await?);
    stream
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut events = Vec::new();
    while events.len() < 3 {
        let mut line = String::new();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the stream ended");
        if let Some(event) = line.strip_prefix("event: ") {
            events.push(event.trim().to_owned());
        }
    }
    assert_eq!(events, ["history", "sample", "sample"]);
    server.shutdown().await;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await?;
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends in order");
    Ok(())
}

#[tokio::test]
async fn heads_without_end_are_refused() -> anyhow::Result<()> {
    let server = serve().await?;
    let many: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
    assert_eq!(
        request(server.address(), "GET /livez", &many).await?.code(),
        "431"
    );
    let long = format!("X-Long: {}\r\n", "y".repeat(32 * 1024));
    let refused = request(server.address(), "GET /livez", &long).await;
    // The server may close before all of it is sent.
    assert!(refused.map_or(true, |answer| answer.code() == "431"));
    Ok(())
}

#[tokio::test]
async fn an_address_in_use_is_named() -> anyhow::Result<()> {
    let server = serve().await?;
    let config = ServerConfig {
        address: server.address(),
        ..ServerConfig::default()
    };
    let error = server::start(config, Arc::new(FakeHost::default()))
        .await
        .expect_err("two servers at one address");
    assert!(matches!(error, StartError::AddressInUse { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot serve status and metrics on {}: the address is in use; stop what listens there or choose another",
            server.address()
        )
    );
    Ok(())
}
