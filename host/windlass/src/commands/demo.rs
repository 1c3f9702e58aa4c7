//! `windlass demo`: a scripted tour. An ordinary client drives a Deployment on an
//! embedded cluster; the timeline shows which guest does what, as it happens.

mod script;
mod timeline;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use windlass_manager::host::ModuleHandle;

use self::script::{Script, Step};
use self::timeline::Timeline;
use crate::args::{ClusterArgs, DemoArgs};
use crate::embedded::Cluster;
use crate::guests::Setup;
use crate::logging::Logging;
use crate::output::outln;
use crate::signals::Signals;

/// How long one step may take before the demo gives up.
const STEP_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn demo(args: DemoArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let kubeconfig = folder.path().join("kubeconfig");
    let cluster_args = cluster_args(&args);
    let host_args = args.host.without_status();
    let (cluster, setup) = tokio::try_join!(
        Cluster::start(&cluster_args, &kubeconfig),
        Setup::all_stock(&host_args, logging)
    )?;
    let timeline = Timeline::start(started);
    let hosting = setup.start(&cluster.platform, Some(timeline.tap()), None).await?;
    let host = &hosting.host;
    host.wait_until_running().await;
    let kubeconfig = Kubeconfig::read_from(&kubeconfig).context("the kubeconfig just written")?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let script = Script::new(kube::Client::try_from(config)?, Arc::clone(&timeline));
    outln!(
        "{} simulated nodes and four guests, up in {:.0} ms.",
        args.nodes,
        millis(started.elapsed())
    )?;
    let outcome = tokio::select! {
        outcome = play(&script, &timeline) => outcome,
        () = signals.next() => Err(anyhow::anyhow!("interrupted")),
    };
    timeline.finish().await;
    let summed_up = summary(&host.modules(), started);
    let grace = hosting.shutdown_grace();
    hosting.stop().await;
    cluster.stop(grace).await;
    outcome.and(summed_up).map(|()| ExitCode::SUCCESS)
}

fn cluster_args(args: &DemoArgs) -> ClusterArgs {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    ClusterArgs {
        nodes: args.nodes,
        listen: any_port,
        listen_http: any_port,
        pod_start_latency: Duration::from_millis(50),
        pod_stop_latency: Duration::from_millis(20),
        pod_gc_quarantine: Duration::from_secs(40),
    }
}

async fn play(script: &Script, timeline: &Timeline) -> anyhow::Result<()> {
    let watching = script.watch_pods();
    let playing = async {
        for step in Step::ALL {
            timeline.headline(step.title()).await;
            let began = Instant::now();
            let what = || format!("step \"{}\"", step.title());
            tokio::time::timeout(STEP_LIMIT, script.play(step))
                .await
                .with_context(|| format!("{} did not end within {STEP_LIMIT:?}", what()))?
                .with_context(what)?;
            timeline.done(began.elapsed()).await;
        }
        Ok(())
    };
    tokio::select! {
        outcome = playing => outcome,
        error = watching => Err(error.context("watching the pods")),
    }
}

fn summary(modules: &[ModuleHandle], started: Instant) -> anyhow::Result<()> {
    outln!(
        "\n{:<20} {:>7} {:>7} {:>12} {:>9}",
        "guest",
        "syncs",
        "errors",
        "mean sync",
        "restarts"
    )?;
    for module in modules {
        let status = module.controller.syncs.snapshot();
        let (syncs, errors) = (status.total(), status.error_total());
        let mean_ms = status.latency.sum * 1000.0 / syncs.max(1) as f64;
        let restarts: u64 = module.controller.failures().values().sum();
        outln!(
            "{:<20} {syncs:>7} {errors:>7} {:>9.2} ms {restarts:>9}",
            module.name,
            mean_ms
        )?;
    }
    outln!(
        "\nDone in {:.1} s. Next: windlass up",
        started.elapsed().as_secs_f64()
    )
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
