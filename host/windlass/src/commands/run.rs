//! `windlass run`: modules against any API server until a signal.

use std::process::ExitCode;

use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_manager::host::{Host, Platform};

use crate::args::RunArgs;
use crate::guests;
use crate::signals::Signals;

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    // Configuration and guests first: their errors need no cluster.
    let engine = guests::engine(args.host.cache_dir.as_deref())?;
    let modules = guests::configured(&engine, &args.config).await?;
    let options = ConnectOptions {
        kubeconfig: args.kubeconfig,
        context: args.context,
        ..ConnectOptions::default()
    };
    let client = ApiClient::connect(&options).await?;
    let version = client.check().await?;
    tracing::info!(
        address = client.address(),
        version = version.git_version,
        "connected to the API server"
    );
    let platform = Platform::start(client, &instance_name()).await?;
    let grace = args.host.shutdown_grace;
    let mut host = Host::start(&platform, modules, grace, None)?;
    let failure = tokio::select! {
        () = signals.next() => None,
        error = host.failed() => Some(error),
    };
    let code = signals
        .stop(async {
            host.stop().await;
            platform.stop(grace).await;
        })
        .await;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(code),
    }
}

/// Names this process in events: the machine's name, or the pod's inside a cluster.
fn instance_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() {
        "windlass".to_owned()
    } else {
        name.trim().to_owned()
    }
}
