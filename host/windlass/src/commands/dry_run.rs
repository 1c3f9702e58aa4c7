//! `windlass run --dry-run`: what a configuration would do, without doing it.
//!
//! Loads every module from its source and holds it against its grants as a start would,
//! and asks the API server what the host may do there. Without a cluster the rest is told
//! all the same.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_core::key::Resource;
use windlass_core::manifest::WatchTarget;
use windlass_manager::access;
use windlass_manager::controller_modules;
use windlass_manager::controller_modules::roll::{Judged, Judgement, Roll};
use windlass_manager::lanes::Concurrency;
use windlass_manager::module::Module;

use crate::args::RunArgs;
use crate::configuration::Followed;
use crate::output::{one_line, outln};
use crate::registry::patiently;
use crate::{guests, logging};

/// What was found, as it is printed.
#[derive(Default)]
struct Report {
    failures: usize,
}

impl Report {
    fn line(&self, label: &str, text: &str) -> anyhow::Result<()> {
        outln!("  {label:<10} {text}")
    }

    fn failure(&mut self, label: &str, text: &str) -> anyhow::Result<()> {
        self.failures += 1;
        outln!("  {}{label:<10}{} {text}", logging::ERROR, logging::RESET)
    }
}

pub(crate) async fn dry_run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let followed = Followed::open(&args.config).await?;
    let workshop = guests::workshop(args.host.cache_dir.as_deref(), Some(&followed))?;
    let cluster = connect(&args).await;
    if let Ok(client) = &cluster {
        workshop.sources.attach(client.clone());
    }
    let objects = judged_objects(&mut report, &cluster, &followed).await?;
    let mut entries: Vec<_> = followed.modules().iter().cloned().map(Arc::new).collect();
    let of_file = entries.len();
    entries.extend(objects.iter().filter_map(Judged::entry).cloned());
    let loading = entries
        .iter()
        .filter(|entry| entry.enabled)
        .map(|entry| workshop.load(entry));
    let loaded = patiently("Fetching and compiling guests …", join_all(loading)).await;
    let mut loaded = loaded.into_iter();
    let mut modules = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let from = if position < of_file {
            ""
        } else {
            ", a ControllerModule"
        };
        outln!("module {}{from}", entry.name)?;
        match entry.enabled.then(|| loaded.next()).flatten() {
            None => report.line("disabled", "does not run")?,
            Some(Err(error)) => report.failure("fails", &error.to_string())?,
            Some(Ok(module)) => {
                describe(&report, &module)?;
                modules.push(module);
            }
        }
    }
    for problem in followed.problems() {
        report.failure("fails", &problem)?;
    }
    for Judged { object, judgement } in &objects {
        if let Judgement::Refused { refusal, .. } = judgement {
            outln!("ControllerModule {}", object.name)?;
            report.failure("refused", &refusal.to_string())?;
        }
    }
    let caches = caches(&modules);
    outln!("caches: {}", caches.len())?;
    for (resource, users) in &caches {
        let resource = resource
            .as_ref()
            .map_or("everything deletable".to_owned(), ToString::to_string);
        report.line(&resource, &format!("for {}", users.join(", ")))?;
    }
    match cluster {
        Ok(client) => check(&mut report, &client, &followed, &modules, &caches).await?,
        Err(error) => {
            let error = one_line(&error);
            outln!("cluster: not reached, permissions not checked: {error}")?;
        }
    }
    Ok(match report.failures {
        0 => ExitCode::SUCCESS,
        failures => {
            outln!("{failures} would fail")?;
            ExitCode::FAILURE
        }
    })
}

/// The objects of the cluster, and what would become of them.
async fn judged_objects(
    report: &mut Report,
    cluster: &anyhow::Result<ApiClient>,
    followed: &Followed,
) -> anyhow::Result<Vec<Judged>> {
    let configuration = followed.configuration();
    let settings = &configuration.controller_modules;
    if !settings.enabled {
        return Ok(Vec::new());
    }
    let Ok(client) = cluster else {
        outln!("ControllerModules: not looked at, because the cluster is not reached")?;
        return Ok(Vec::new());
    };
    let problem = match controller_modules::list(client, &settings.selector).await {
        Ok(Some(objects)) => return Ok(Roll::default().call(&objects, followed.modules(), configuration)),
        Ok(None) => "the API server does not serve them; apply `windlass config crd`".to_owned(),
        Err(error) => error.message,
    };
    outln!("ControllerModules")?;
    report.failure("fails", &problem)?;
    Ok(Vec::new())
}

async fn connect(args: &RunArgs) -> anyhow::Result<ApiClient> {
    let client = ApiClient::connect(&ConnectOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        ..ConnectOptions::default()
    })
    .await?;
    client.check().await?;
    Ok(client)
}

fn describe(report: &Report, module: &Module) -> anyhow::Result<()> {
    let manifest = &module.guest.manifest;
    report.line("from", &module.origin)?;
    let identity = format!(
        "{} {}, sha256:{}",
        manifest.name, manifest.version, module.guest.digest
    );
    report.line("guest", &identity)?;
    if let Some(identity) = &module.impersonate {
        report.line("acts as", &identity.user)?;
    }
    let runs = match &module.concurrency {
        Concurrency {
            instances: 1, in_all, ..
        } => format!("{in_all} syncs at once"),
        Concurrency {
            instances, in_all, ..
        } => format!("{in_all} syncs at once in {instances} instances"),
    };
    report.line("runs", &runs)
}

/// The caches that modules share, by resource; none in particular for everything there is.
fn caches(modules: &[Module]) -> BTreeMap<Option<Resource>, Vec<&str>> {
    let mut caches: BTreeMap<Option<Resource>, Vec<&str>> = BTreeMap::new();
    for module in modules {
        for watch in &module.guest.manifest.watches {
            let resource = match &watch.target {
                WatchTarget::One(resource) => Some(resource.clone()),
                WatchTarget::Discovered { .. } => None,
            };
            let users = caches.entry(resource).or_default();
            if !users.contains(&module.name.as_str()) {
                users.push(&module.name);
            }
        }
    }
    caches
}

/// Asks the API server whether it serves what is watched and allows what is needed.
async fn check(
    report: &mut Report,
    client: &ApiClient,
    followed: &Followed,
    modules: &[Module],
    caches: &BTreeMap<Option<Resource>, Vec<&str>>,
) -> anyhow::Result<()> {
    outln!("cluster {}", client.address())?;
    let discovery = DiscoveryCache::new(client.clone());
    for resource in caches.keys().flatten() {
        match discovery.find(resource).await {
            Ok(Some(_)) => {}
            Ok(None) => report.failure("not served", &format!("{} {resource}", resource.api_version()))?,
            Err(error) => report.failure("discovery", &error.message)?,
        }
    }
    let needs = access::needs(followed.configuration(), modules);
    let count = needs.len();
    match access::denied(client, needs).await {
        Ok(denied) => {
            report.line("allowed", &format!("{} of {count} needs", count - denied.len()))?;
            for need in denied {
                report.failure("denied", &need.to_string())?;
            }
        }
        Err(error) => report.failure(
            "unknown",
            &format!("permissions cannot be checked: {}", error.message),
        )?,
    }
    Ok(())
}
