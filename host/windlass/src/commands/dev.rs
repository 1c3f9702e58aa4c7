//! `windlass dev`: a project on an embedded cluster, built and reloaded on every save.
//!
//! The component lies where the host looks for it, so that a build that succeeds is
//! reloaded as on any other host; one that fails leaves the last good one serving.

mod manifests;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use windlass_build::Options;
use windlass_build::project::Project;
use windlass_build::toolchain::Toolchains;
use windlass_manager::host::ModuleHandle;
use windlass_telemetry::status::RecentSync;

use self::manifests::Manifests;
use self::sources::Sources;
use super::build::{summary, toolchains};
use crate::args::DevArgs;
use crate::embedded::Cluster;
use crate::guests::{Hosting, Setup};
use crate::logging::Logging;
use crate::output::{one_line, out, outln};
use crate::signals::{Hangups, Signals};

/// How often sources, manifests and syncs are looked at.
const PERIOD: Duration = Duration::from_millis(200);

pub(crate) async fn dev(args: DevArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut hangups = Hangups::listen()?;
    let project = Arc::new(Project::open(&args.folder)?);
    let mut workbench = Workbench::new(Arc::clone(&project), &args)?;
    let building = async {
        tokio::select! {
            () = workbench.first_build() => true,
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
    let config = configuration(&project, &args.module_config)?;
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
            () = work(&mut workbench, &mut manifests, module) => {}
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
async fn work(workbench: &mut Workbench, manifests: &mut Manifests, module: Option<ModuleHandle>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Some(module) = &module {
            told = tell_syncs(&module.controller.syncs.snapshot().recent, told);
        }
        for folder in ["crds", "examples"] {
            manifests.apply(folder).await;
        }
        if workbench.sources.have_changed() {
            workbench.build().await;
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

/// The project, and how it is built.
struct Workbench {
    project: Arc<Project>,
    options: Arc<Options>,
    sources: Sources,
}

impl Workbench {
    fn new(project: Arc<Project>, args: &DevArgs) -> anyhow::Result<Self> {
        let options = Options {
            out: None,
            toolchains: Toolchains::in_folder(toolchains(args.toolchains.clone())?),
        };
        Ok(Self {
            sources: Sources::of(&project.folder),
            project,
            options: Arc::new(options),
        })
    }

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
        let (project, options) = (Arc::clone(&self.project), Arc::clone(&self.options));
        let language = project.language.to_string();
        let building = tokio::task::spawn_blocking(move || windlass_build::build(&project, &options));
        let built = match building.await {
            Ok(Ok(artifact)) => summary(&artifact, &language).map_err(|error| one_line(&error.into())),
            Ok(Err(error)) => Err(one_line(&error.into())),
            Err(_) => Err("the build was aborted".to_owned()),
        };
        match &built {
            Ok(text) => drop(out!("{text}")),
            Err(error) => {
                anstream::eprintln!("error: {error}\nThe last good build stays; save to build again.")
            }
        }
        built.is_ok()
    }
}

/// Writes what the host is to run beside the component, and returns where.
fn configuration(project: &Project, module_config: &str) -> anyhow::Result<PathBuf> {
    let config: serde_json::Value =
        serde_json::from_str(module_config).context("--module-config is not JSON")?;
    let component = project.component();
    let folder = component.parent().context("a component is in a folder")?;
    let file = component
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let mut modules: Vec<serde_json::Value> = crate::stock::names()
        .filter(|name| *name != project.name)
        .map(|name| json!({"name": name, "source": {"stock": name}, "limits": {"apiQps": 0}}))
        .collect();
    modules.push(json!({
        "name": project.name, "source": {"file": file}, "grantDeclared": true, "config": config,
    }));
    let configuration = json!({
        "apiVersion": "windlass.dev/v1alpha1", "kind": "HostConfiguration",
        "leaderElection": {"enabled": false}, "modules": modules,
    });
    let path = folder.join("dev.yaml");
    // JSON is YAML.
    std::fs::write(&path, configuration.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("the kubeconfig just written")?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
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
