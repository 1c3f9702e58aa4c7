//! `windlass dev`: a project on an embedded cluster, built and reloaded on every save.
//!
//! The component lies where the host looks for it, so that a build that succeeds is
//! reloaded as on any other host; one that fails leaves the last good one serving.

mod manifests;
mod sources;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use windlass_manager::host::ModuleHandle;
use windlass_telemetry::status::RecentSync;

use self::manifests::Manifests;
use self::sources::Sources;
use crate::args::DevArgs;
use crate::embedded::Cluster;
use crate::guests::{Hosting, Setup};
use crate::logging::Logging;
use crate::output::{one_line, out, outln};
use crate::signals::{Hangups, Signals};
use crate::workbench::{Workbench, client};

/// How often sources, manifests and syncs are looked at.
const PERIOD: Duration = Duration::from_millis(200);

pub(crate) async fn dev(args: DevArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut hangups = Hangups::listen()?;
    let workbench = Workbench::open(&args.folder, None, args.toolchains.clone())?;
    let project = Arc::clone(&workbench.project);
    let mut watched = Watched {
        sources: Sources::of(&project.folder),
        workbench: workbench.clone(),
    };
    let building = async {
        tokio::select! {
            () = watched.first_build() => true,
            () = signals.next() => false,
        }
    };
    let (cluster, is_built) = tokio::try_join!(Cluster::start(&args.cluster, &args.kubeconfig), async {
        Ok(building.await)
    })?;
    if !is_built {
        cluster.stop(Duration::ZERO).await;
        return Ok(ExitCode::SUCCESS);
    }
    let config = workbench.configuration(&args.module_config, "info")?;
    let client = client(&args.kubeconfig).await?;
    let mut manifests = Manifests::of(&project.folder, client);
    manifests.apply("crds").await;
    let setup = Setup::configured(&args.host, logging, &config).await?;
    let mut hosting = setup.start(&cluster.platform, None, None).await?;
    let settled = tokio::select! {
        () = hosting.host.wait_until_settled() => true,
        () = signals.next() => false,
    };
    if settled {
        manifests.apply("examples").await;
        announce(&args, &cluster, &hosting)?;
        let module = module(&hosting, &project.name);
        tokio::select! {
            () = signals.next() => {}
            () = hosting.follow(&mut hangups) => {}
            () = work(&mut watched, &mut manifests, module) => {}
        }
    }
    let grace = hosting.shutdown_grace();
    let stopping = async {
        let telemetry = hosting.stop().await;
        tokio::join!(cluster.stop(grace), telemetry.stop(grace));
    };
    Ok(signals.stop(stopping).await)
}

/// Builds and applies what is saved, and tells of syncs.
async fn work(watched: &mut Watched, manifests: &mut Manifests, module: Option<ModuleHandle>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Some(module) = &module {
            told = tell_syncs(&module.controller.syncs.snapshot().recent, told);
        }
        for folder in ["crds", "examples"] {
            manifests.apply(folder).await;
        }
        if watched.sources.have_changed() {
            watched.build().await;
        }
    }
}

/// Says what ended since last time, oldest first. Returns the number of the newest.
fn tell_syncs(newest_first: &[RecentSync], told: u64) -> u64 {
    let new = newest_first.iter().rev().filter(|sync| sync.id > told);
    for sync in new {
        let milliseconds = sync.duration * 1000.0;
        let what = sync.result.name();
        // Whoever reads has gone with the terminal; the signal follows.
        let _ = match &sync.error {
            None => outln!("synced {} in {milliseconds:.1} ms: {what}", sync.key),
            Some(error) => outln!("synced {} in {milliseconds:.1} ms: {what}: {error}", sync.key),
        };
    }
    newest_first
        .iter()
        .map(|sync| sync.id)
        .max()
        .unwrap_or(told)
        .max(told)
}

fn module(hosting: &Hosting, name: &str) -> Option<ModuleHandle> {
    let modules = hosting.host.modules();
    modules.into_iter().find(|module| module.name == name)
}

/// The project, and whether somebody saved something of it.
struct Watched {
    workbench: Workbench,
    sources: Sources,
}

impl Watched {
    /// Builds until it succeeds, each time after something was saved.
    async fn first_build(&mut self) {
        while !self.build().await {
            while !self.sources.have_changed() {
                tokio::time::sleep(PERIOD).await;
            }
        }
    }

    /// Whether it succeeded. Says what came of it either way.
    async fn build(&self) -> bool {
        let built = self.workbench.build().await;
        let said = built.and_then(|artifact| out!("{}", self.workbench.summary(&artifact)?));
        if let Err(error) = &said {
            let error = one_line(error);
            anstream::eprintln!("error: {error}\nThe last good build stays; save to build again.");
        }
        said.is_ok()
    }
}

fn announce(args: &DevArgs, cluster: &Cluster, hosting: &Hosting) -> anyhow::Result<()> {
    let kubeconfig = std::fs::canonicalize(&args.kubeconfig).unwrap_or_else(|_| args.kubeconfig.clone());
    let status = hosting.status.as_ref().map_or_else(String::new, |status| {
        format!("  Status page: http://{}/\n", status.address())
    });
    outln!(
        "\nCluster up at {}. Save a file to build and reload it.\n\n  export KUBECONFIG={}\n{status}\nCtrl-C stops it.\n",
        cluster.address(),
        kubeconfig.display(),
    )
}
