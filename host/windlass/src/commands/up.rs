//! `windlass up`: an embedded cluster until a signal.

use std::process::ExitCode;
use std::time::Instant;

use windlass_manager::host::Host;
use windlass_manager::module::Module;

use crate::args::UpArgs;
use crate::embedded::Cluster;
use crate::guests;
use crate::signals::Signals;

pub(crate) async fn up(args: UpArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let (cluster, modules) =
        tokio::try_join!(Cluster::start(&args.cluster, &args.kubeconfig), modules(&args))?;
    let grace = args.host.shutdown_grace;
    let mut host = Host::start(&cluster.platform, modules, grace, None)?;
    let ready = tokio::select! {
        () = host.wait_until_running() => Ok(()),
        error = cluster_ended(&mut signals) => error,
    };
    if ready.is_ok() {
        announce(&args, &cluster, &host, started);
    }
    let failure = match ready {
        Ok(()) => tokio::select! {
            () = signals.next() => None,
            error = host.failed() => Some(error),
        },
        Err(Interrupted) => None,
    };
    let code = signals
        .stop(async {
            host.stop().await;
            cluster.stop(grace).await;
        })
        .await;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(code),
    }
}

/// A signal came before everything was up.
struct Interrupted;

async fn cluster_ended(signals: &mut Signals) -> Result<(), Interrupted> {
    signals.next().await;
    Err(Interrupted)
}

async fn modules(args: &UpArgs) -> anyhow::Result<Vec<Module>> {
    if args.no_modules {
        return Ok(Vec::new());
    }
    let engine = guests::engine(args.host.cache_dir.as_deref())?;
    match &args.config {
        Some(file) => guests::configured(&engine, file).await,
        None => guests::all_stock(&engine).await,
    }
}

fn announce(args: &UpArgs, cluster: &Cluster, host: &Host, started: Instant) {
    let names: Vec<&str> = host.modules().iter().map(|module| module.name.as_str()).collect();
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
    anstream::println!(
        "Cluster up in {:.2} s at {}: {nodes}; {guests}.\n\n  export KUBECONFIG={}\n  \
         kubectl create deployment web --image=nginx --replicas=3\n  kubectl get pods --watch\n\nCtrl-C stops it.",
        started.elapsed().as_secs_f64(),
        cluster.address(),
        kubeconfig.display(),
    );
}
