//! `windlass run`: modules against any API server until a signal.

use std::process::ExitCode;
use std::sync::Arc;

use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_manager::host::Platform;
use windlass_manager::record::Recorder;

use super::dry_run::dry_run;
use crate::args::RunArgs;
use crate::guests::{self, Setup};
use crate::logging::Logging;
use crate::replicas::Election;
use crate::signals::{Hangups, Signals};

pub(crate) async fn run(args: RunArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    until(args, logging, std::future::pending(), || None).await
}

/// Runs modules until a signal, or until `over` resolves. `recorder` is made once the
/// modules are loaded.
pub(crate) async fn until(
    args: RunArgs,
    logging: &Logging,
    over: impl Future<Output = ()>,
    recorder: impl FnOnce() -> Option<Arc<Recorder>>,
) -> anyhow::Result<ExitCode> {
    if args.dry_run {
        return dry_run(args).await;
    }
    let mut signals = Signals::listen()?;
    let mut hangups = Hangups::listen()?;
    // Configuration and guests first: their errors need no cluster.
    let setup = Setup::configured(&args.host, logging, &args.config).await?;
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
    let identity = guests::identity();
    let platform = Platform::start(client, &identity).await?;
    let election = match setup.configuration() {
        Some(configuration) => Election::start(&configuration.leader_election, &identity, &options).await?,
        None => None,
    };
    let replicas = election.as_ref().map(|election| election.replicas.clone());
    let mut hosting = setup
        .start_recorded(&platform, None, replicas, recorder())
        .await?;
    tokio::select! {
        () = over => {}
        () = signals.next() => {}
        () = hosting.follow(&mut hangups) => {}
    }
    let grace = hosting.shutdown_grace();
    tracing::info!(?grace, "stopping");
    let stopping = async {
        let telemetry = hosting.stop().await;
        if let Some(election) = election {
            election.stop().await;
        }
        tokio::join!(platform.stop(grace), telemetry.stop(grace));
    };
    Ok(signals.stop(stopping).await)
}
