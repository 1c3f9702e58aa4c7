//! A project on an author's machine: built, run on an embedded cluster beside the stock
//! guests. What `build`, `dev` and `test` share.

pub(crate) mod objects;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use windlass_build::project::Project;
use windlass_build::toolchain::Toolchains;
use windlass_build::{Artifact, Options};

use crate::guests;

const OWN_INTERFACES: &str = "windlass:controller/";

/// A project, and how it is built.
#[derive(Clone)]
pub(crate) struct Workbench {
    pub(crate) project: Arc<Project>,
    options: Arc<Options>,
}

impl Workbench {
    /// Opens the project in a folder.
    pub(crate) fn open(
        folder: &Path,
        out: Option<PathBuf>,
        toolchains: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let project = Project::open(folder)?;
        let default = || guests::cache_folder(None).map(|cache| cache.join("toolchains"));
        let toolchains = toolchains
            .or_else(default)
            .context("there is no home folder to install toolchains in; name one with --toolchains")?;
        let toolchains = Toolchains::in_folder(toolchains);
        Ok(Self {
            project: Arc::new(project),
            options: Arc::new(Options { out, toolchains }),
        })
    }

    /// Builds it, away from the threads that serve.
    pub(crate) async fn build(&self) -> anyhow::Result<Artifact> {
        let (project, options) = (Arc::clone(&self.project), Arc::clone(&self.options));
        let building = tokio::task::spawn_blocking(move || windlass_build::build(&project, &options));
        Ok(building.await.context("the build was aborted")??)
    }

    /// What is to be said of a build.
    pub(crate) fn summary(&self, artifact: &Artifact) -> Result<String, std::fmt::Error> {
        let Artifact { path, built, took } = artifact;
        let (own, foreign): (Vec<&String>, Vec<&String>) = built
            .imports
            .iter()
            .partition(|name| name.starts_with(OWN_INTERFACES));
        let mut out = String::new();
        writeln!(
            out,
            "Built:    {} from {} in {:.1} s",
            path.display(),
            self.project.language,
            took.as_secs_f64()
        )?;
        writeln!(out, "Size:     {} KiB", built.size.div_ceil(1024))?;
        writeln!(out, "Imports:  {}", interfaces(&own))?;
        if !foreign.is_empty() {
            writeln!(
                out,
                "          {} of WASI, all of them without anything behind",
                foreign.len()
            )?;
        }
        let exports: Vec<&String> = built
            .exports
            .iter()
            .filter(|name| name.starts_with(OWN_INTERFACES))
            .collect();
        writeln!(out, "Exports:  {}", interfaces(&exports))?;
        Ok(out)
    }

    /// Writes what a host is to run, and to log, beside the component, and returns where.
    pub(crate) fn configuration(&self, module_config: &str, log: &str) -> anyhow::Result<PathBuf> {
        let project = &self.project;
        let config: Value = serde_json::from_str(module_config).context("--module-config is not JSON")?;
        let component = project.component();
        let folder = component.parent().context("a component is in a folder")?;
        let file = component
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let mut modules: Vec<Value> = crate::stock::names()
            .filter(|name| *name != project.name)
            .map(|name| json!({"name": name, "source": {"stock": name}, "limits": {"apiQps": 0}}))
            .collect();
        modules.push(json!({
            "name": project.name, "source": {"file": file}, "grantDeclared": true, "config": config,
        }));
        let configuration = json!({
            "apiVersion": "windlass.dev/v1alpha1", "kind": "HostConfiguration",
            "leaderElection": {"enabled": false}, "log": {"level": log}, "modules": modules,
        });
        let path = folder.join("dev.yaml");
        // JSON is YAML.
        std::fs::write(&path, configuration.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// A client of the cluster that a kubeconfig names.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("the kubeconfig just written")?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Names of interfaces without package and version.
fn interfaces(names: &[&String]) -> String {
    let short = |name: &&String| {
        let name = name.strip_prefix(OWN_INTERFACES).unwrap_or(name);
        name.split('@').next().unwrap_or(name).to_owned()
    };
    names.iter().map(short).collect::<Vec<_>>().join(", ")
}
