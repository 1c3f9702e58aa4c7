//! `windlass dev`: a project of a user's own is built, run and reloaded as it is saved.
//! Skipped where the guests in Go could not be built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tempfile::TempDir;
use windlass_tests::process::{Process, repository};
use windlass_tests::wait;

const EXPIRED: &str = "2020-01-01T00:00:00Z";

/// A folder as an author has it, outside this repository.
struct Project {
    folder: TempDir,
    process: Process,
}

impl Project {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let sdk = repository().canonicalize()?.join("sdk/go");
        let module = "github.com/windlass-dev/windlass/sdk/go";
        std::fs::write(
            path.join("go.mod"),
            format!(
                "module example.org/mine\n\ngo 1.24\n\nrequire {module} v0.0.0\n\nreplace {module} => {}\n",
                sdk.display()
            ),
        )?;
        std::fs::copy(sdk.join("examples/ttl/main.go"), path.join("main.go"))?;
        std::fs::write(
            path.join("windlass.yaml"),
            "apiVersion: windlass.dev/v1alpha1\nkind: Project\nname: mine\nlanguage: go\n",
        )?;
        std::fs::create_dir(path.join("crds"))?;
        std::fs::write(path.join("crds/gadgets.yaml"), DEFINITION)?;
        std::fs::create_dir(path.join("examples"))?;
        std::fs::write(
            path.join("examples/gadget.yaml"),
            "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: first}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n",
        )?;
        let kubeconfig = path.join("windlass.kubeconfig");
        let arguments = [
            "dev",
            &*path.to_string_lossy(),
            "--listen",
            "127.0.0.1:0",
            "--status-address",
            "none",
            "--kubeconfig",
            &*kubeconfig.to_string_lossy(),
        ];
        let process = Process::start(&arguments, &path.join("dev.log"))?;
        Ok(Self { folder, process })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.path("windlass.kubeconfig"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Waits until the terminal shows this so many times.
    async fn until_shown(&self, text: &str, times: usize) -> Result<()> {
        let shown = || async {
            ensure!(self.path("main.go").exists());
            Ok(self.process.output())
        };
        wait::until(text, shown, |output| output.matches(text).count() >= times).await?;
        Ok(())
    }

    fn edit(&self, from: &str, to: &str) -> Result<()> {
        let source = std::fs::read_to_string(self.path("main.go"))?;
        ensure!(source.contains(from), "{source}");
        Ok(std::fs::write(self.path("main.go"), source.replace(from, to))?)
    }
}

const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn has_go(component: &Path) -> bool {
    let go = Command::new("go").arg("version").output();
    component.exists() && go.is_ok_and(|output| output.status.success())
}

async fn expire(maps: &Api<ConfigMap>, name: &str) -> Result<()> {
    let annotations = json!({"ttl.windlass.dev/expires": EXPIRED});
    let map = json!({"metadata": {"name": name, "annotations": annotations}});
    maps.create(&PostParams::default(), &serde_json::from_value(map)?)
        .await?;
    Ok(())
}

#[tokio::test]
async fn what_is_saved_is_built_and_reloaded_and_what_does_not_build_is_told() -> Result<()> {
    if !has_go(&repository().join("target/guests/ttl-go.wasm")) {
        println!("skipped: Go is not installed, or ttl-go is not built; run `cargo xtask languages`");
        return Ok(());
    }
    let mut project = Project::start()?;
    project.until_shown("Cluster up at", 1).await?;
    let client = project.client().await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    ensure!(maps.get_opt("plain").await?.is_some(), "the example is there");
    ensure!(
        project
            .process
            .output()
            .contains("file=crds/gadgets.yaml objects=1")
    );
    expire(&maps, "one").await?;
    project.until_shown("synced default/one", 1).await?;

    // A line that says something else, and the guest says so.
    project.edit("\"expired\"", "\"is over\"")?;
    project.until_shown("Built: ", 2).await?;
    project.until_shown("controller replaced", 1).await?;
    expire(&maps, "two").await?;
    project.until_shown("is over", 1).await?;

    // What does not compile is shown with its place, and the last good one goes on.
    project.edit("\"is over\"", "\"is over")?;
    project.until_shown("main.go:", 1).await?;
    project.until_shown("The last good build stays", 1).await?;
    expire(&maps, "three").await?;
    project.until_shown("is over", 2).await?;
    project.edit("\"is over", "\"is past\"")?;
    project.until_shown("Built: ", 3).await?;
    project.until_shown("controller replaced", 2).await?;
    expire(&maps, "four").await?;
    project.until_shown("is past", 1).await?;

    // A saved example is applied again.
    std::fs::write(
        project.path("examples/gadget.yaml"),
        "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: second}\n",
    )?;
    project
        .until_shown("file=examples/gadget.yaml objects=1", 1)
        .await?;
    project.process.signal("INT")?;
    let code = project.process.wait(wait::LIMIT)?;
    code.filter(|code| *code == 0).context("it stops in order")?;
    Ok(())
}
