//! Runs a server until interrupted: `serve <kubeconfig> [http-port]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use windlass_apiserver::{Scheme, ServerConfig, start};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .unwrap_or_else(|| "windlass.kubeconfig".to_owned());
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let http = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let server = start(ServerConfig {
        http,
        ..ServerConfig::default()
    })
    .await?;
    server.write_kubeconfig(Path::new(&path), Scheme::Https)?;
    println!(
        "{} {} {}",
        server.url(Scheme::Http).unwrap_or_default(),
        server.token(),
        path
    );
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
