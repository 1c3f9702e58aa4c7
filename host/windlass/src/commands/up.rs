//! `windlass up`: an embedded cluster until a signal.

use std::process::ExitCode;
use std::time::Instant;

use crate::args::UpArgs;
use crate::embedded::Cluster;
use crate::guests::{Hosting, Setup};
use crate::logging::Logging;
use crate::output::{one_line, outln};
use crate::signals::{Hangups, Signals};

pub(crate) async fn up(args: UpArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let mut hangups = Hangups::listen()?;
    let (cluster, setup) = tokio::try_join!(
        Cluster::start(&args.cluster, &args.kubeconfig),
        setup(&args, logging)
    )?;
    let mut hosting = setup.start(&cluster.platform, None, None).await?;
    let interrupted = tokio::select! {
        () = hosting.host.wait_until_settled() => false,
        () = signals.next() => true,
    };
    if !interrupted {
        if let Err(error) = announce(&args, &cluster, &hosting, started) {
            tracing::warn!(error = one_line(&error), "the cluster is up, and nobody is told");
        }
        tokio::select! {
            () = signals.next() => {}
            () = hosting.follow(&mut hangups) => {}
        }
    }
    let grace = hosting.shutdown_grace();
    let stopping = async {
        let telemetry = hosting.stop().await;
        tokio::join!(cluster.stop(grace), telemetry.stop(grace));
    };
    Ok(signals.stop(stopping).await)
}

async fn setup(args: &UpArgs, logging: &Logging) -> anyhow::Result<Setup> {
    match &args.config {
        _ if args.no_modules => Setup::empty(&args.host, logging).await,
        Some(file) => Setup::configured(&args.host, logging, file).await,
        None => Setup::all_stock(&args.host, logging).await,
    }
}

fn announce(args: &UpArgs, cluster: &Cluster, hosting: &Hosting, started: Instant) -> anyhow::Result<()> {
    let names: Vec<_> = hosting
        .host
        .modules()
        .into_iter()
        .map(|module| module.name)
        .collect();
    let guests = if names.is_empty() {
        "no modules".to_owned()
    } else {
        names.join(", ")
    };
    let nodes = if args.cluster.nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{} nodes", args.cluster.nodes)
    };
    let kubeconfig = std::fs::canonicalize(&args.kubeconfig).unwrap_or_else(|_| args.kubeconfig.clone());
    let status = match &hosting.status {
        Some(status) => format!("  Status page: http://{}/\n\n", status.address()),
        None => String::new(),
    };
    outln!(
        "Cluster up in {:.2} s at {}: {nodes}; {guests}.\n\n  export KUBECONFIG={}\n  \
         kubectl create deployment web --image=nginx --replicas=3\n  kubectl get pods --watch\n\n{status}Ctrl-C stops it.",
        started.elapsed().as_secs_f64(),
        cluster.address(),
        kubeconfig.display(),
    )
}
