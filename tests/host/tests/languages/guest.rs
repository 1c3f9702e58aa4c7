//! One of the guests, and a cluster that runs it.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use windlass_tests::builds::{Build, Builds};
use windlass_tests::in_process::{InProcess, STOCK, from_file, stock};
use windlass_tests::wait;

/// A controller in a language.
pub(crate) struct Guest {
    /// The module's name, which is that of its file.
    pub(crate) name: String,
}

impl Guest {
    /// Nothing if it was not built, which is said.
    pub(crate) fn find(controller: &str, language: &str) -> Option<Self> {
        let name = format!("{controller}-{language}");
        let folder = windlass_tests::process::repository().join("target/guests");
        if folder.join(format!("{name}.wasm")).exists() {
            return Some(Self { name });
        }
        println!("skipped: target/guests/{name}.wasm is not built; run `cargo xtask languages`");
        None
    }

    /// A cluster in which it runs alone.
    pub(crate) async fn alone(&self) -> Result<Running> {
        let builds = Builds::of(&[&self.name])?;
        let module = from_file(&self.name, &format!("{}.wasm", self.name));
        let cluster = InProcess::start(builds.path(), 1, vec![module]).await?;
        Ok(self.running(cluster, builds))
    }

    /// A cluster with these definitions in which it runs beside the stock guests.
    pub(crate) async fn beside_stock(&self, definitions: &[CustomResourceDefinition]) -> Result<Running> {
        let names: Vec<&str> = STOCK.iter().copied().chain([self.name.as_str()]).collect();
        let builds = Builds::of(&names)?;
        let mut cluster = InProcess::start(builds.path(), 2, stock()).await?;
        let api: Api<CustomResourceDefinition> = Api::all(cluster.namespace.client.clone());
        for definition in definitions {
            api.create(&PostParams::default(), definition).await?;
        }
        let mut modules = stock();
        modules.push(from_file(&self.name, &format!("{}.wasm", self.name)));
        cluster.host.apply(modules);
        cluster.host.wait_until_running().await;
        Ok(self.running(cluster, builds))
    }

    fn running(&self, cluster: InProcess, builds: Builds) -> Running {
        Running {
            name: self.name.clone(),
            cluster,
            builds,
        }
    }
}

/// A cluster with the guest.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) cluster: InProcess,
    builds: Builds,
}

impl Running {
    /// The guest comes back as another build, which behaves the same.
    pub(crate) async fn reload(&self) -> Result<()> {
        let served = || async {
            let module = self.cluster.module(&self.name)?;
            let status = module.status.borrow();
            Ok(status.reloads_applied)
        };
        let before = served().await?;
        self.builds.replace(&self.name, Build::New(1))?;
        wait::until("the reload", served, |applied| *applied > before).await?;
        Ok(())
    }

    /// Stops everything; the guest must not have failed more often than this.
    pub(crate) async fn stop(self, failures: u64) -> Result<()> {
        let failed = self.cluster.restarts(&self.name)?;
        anyhow::ensure!(failed == failures, "{} failed {failed} times", self.name);
        self.cluster.stop().await;
        Ok(())
    }
}
