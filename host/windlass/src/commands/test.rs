//! `windlass test`: a project's end-to-end tests, on an embedded cluster of their own.

mod cases;
mod matching;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::ResourceExt;
use tokio::process;
use windlass_manager::host::ModuleHandle;
use windlass_manager::supervisor::ModuleState;

use self::cases::{Case, Suite};
use crate::args::{ClusterArgs, HostArgs, StatusAddress, TestArgs};
use crate::embedded::Cluster;
use crate::guests::{Hosting, Setup};
use crate::logging::Logging;
use crate::output::{one_line, outln};
use crate::signals::Signals;
use crate::workbench::objects::{self, Objects};
use crate::workbench::{Workbench, client};

const DEFINITIONS: &str = "crds";
const CASES: &str = "tests/e2e";

pub(crate) async fn test(args: TestArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::open(&args.folder, None, args.toolchains.clone())?;
    let project = &workbench.project;
    let work = if args.command.is_empty() {
        Work::Cases(Suite::read(&project.folder, CASES, &args.test)?)
    } else {
        Work::Command(&args.command)
    };
    let artifact = workbench.build().await?;
    outln!("{}", workbench.summary(&artifact)?)?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let kubeconfig = folder.path().join("kubeconfig");
    let cluster = Cluster::start(&cluster_args(args.nodes), &kubeconfig).await?;
    let config = workbench.configuration(&args.module_config, "warn")?;
    let objects = Objects::new(client(&kubeconfig).await?, "default");
    apply_definitions(&objects, &project.folder).await?;
    let setup = Setup::configured(&host_args(&args), logging, &config).await?;
    // Up to here a signal ends the process, as nothing has to be stopped yet.
    let mut signals = Signals::listen()?;
    let hosting = setup.start(&cluster.platform, None, None).await?;
    let module = module(&hosting, &project.name)?;
    let working = async {
        hosting.host.wait_until_settled().await;
        work.run(&args, &kubeconfig, &objects, module).await
    };
    let outcome = tokio::select! {
        outcome = working => outcome,
        () = signals.next() => Err(anyhow::anyhow!("interrupted")),
    };
    let grace = hosting.shutdown_grace();
    let stopping = async {
        let telemetry = hosting.stop().await;
        tokio::join!(cluster.stop(grace), telemetry.stop(grace));
    };
    signals.stop(stopping).await;
    outcome
}

/// What is to be run.
enum Work<'a> {
    Cases(Suite),
    Command(&'a [String]),
}

impl Work<'_> {
    async fn run(
        &self,
        args: &TestArgs,
        kubeconfig: &Path,
        cluster: &Objects,
        module: ModuleHandle,
    ) -> anyhow::Result<ExitCode> {
        if let Some(trouble) = trouble(&module) {
            anyhow::bail!("the controller does not run: {trouble}");
        }
        match self {
            Self::Cases(suite) => run_cases(suite, args.timeout, cluster, &module).await,
            Self::Command(command) => run_command(command, &args.folder, kubeconfig).await,
        }
    }
}

/// One after the other, each in a namespace of its own.
async fn run_cases(
    suite: &Suite,
    timeout: Duration,
    cluster: &Objects,
    module: &ModuleHandle,
) -> anyhow::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    for case in &suite.cases {
        let began = Instant::now();
        let outcome = run_case(case, timeout, cluster).await;
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                outln!("test {} ... ok ({seconds:.1} s)", case.name)?;
            }
            Err(error) => {
                failed += 1;
                outln!(
                    "test {} ... FAILED ({seconds:.1} s)\n  {}",
                    case.name,
                    one_line(&error)
                )?;
                if let Some(said) = last_error(module) {
                    outln!("  {said}")?;
                }
                if let Some(trouble) = trouble(module) {
                    outln!("  the controller does not run: {trouble}")?;
                }
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    outln!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {} filtered out",
        suite.left_out
    )?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run_case(case: &Case, timeout: Duration, cluster: &Objects) -> anyhow::Result<()> {
    let namespace = cases::namespace(&case.name)?;
    cluster.merge(&namespace).await.context("its namespace")?;
    case.run(&cluster.inside(&namespace.name_any()), timeout).await
}

/// The author's own runner. Its exit code is this command's.
async fn run_command(command: &[String], folder: &Path, kubeconfig: &Path) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        anyhow::bail!("there is no command after --");
    };
    let mut child = process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let status = child
        .wait()
        .await
        .with_context(|| format!("cannot run {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    // As shells have it, a signal is a failure of its own.
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn apply_definitions(cluster: &Objects, folder: &Path) -> anyhow::Result<()> {
    for (path, _) in objects::files(&folder.join(DEFINITIONS)) {
        let apply = async {
            for object in objects::read(&path)? {
                cluster.merge(&object).await.with_context(|| object.name_any())?;
            }
            anyhow::Ok(())
        };
        apply.await.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn module(hosting: &Hosting, name: &str) -> anyhow::Result<ModuleHandle> {
    let mut modules = hosting.host.modules().into_iter();
    modules
        .find(|module| module.name == name)
        .context("the host does not have the module that it was configured with")
}

/// What the controller failed with most recently, which is as a rule what a test waited for.
fn last_error(module: &ModuleHandle) -> Option<String> {
    let recent = module.controller.syncs.snapshot().recent;
    let failed = recent.iter().find(|sync| sync.error.is_some())?;
    let error = failed.error.as_deref().unwrap_or_default();
    Some(format!("the last error of a sync, of {}: {error}", failed.key))
}

/// Why a module does not run.
fn trouble(module: &ModuleHandle) -> Option<String> {
    let state = &module.status.borrow().state;
    match state {
        ModuleState::Running => None,
        ModuleState::BackOff { failure, .. } => Some(format!("{}: {failure}", state.label())),
        ModuleState::Failed { reason } => Some(format!("{}: {reason}", state.label())),
        state => Some(state.label().to_owned()),
    }
}

fn cluster_args(nodes: u32) -> ClusterArgs {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    ClusterArgs {
        nodes,
        listen: any_port,
        listen_http: any_port,
        pod_start_latency: Duration::ZERO,
        pod_stop_latency: Duration::ZERO,
        pod_gc_quarantine: Duration::from_secs(40),
    }
}

fn host_args(args: &TestArgs) -> HostArgs {
    HostArgs {
        cache_dir: args.cache_dir.clone(),
        shutdown_grace: None,
        status_address: Some(StatusAddress(None)),
    }
}
