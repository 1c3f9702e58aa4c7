//! Recording guests at work and replaying them, with the stock guests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use windlass_core::key::ObjectKey;
use windlass_engine::engine::Engine;
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadedGuest;
use windlass_manager::config::ModuleEntry;
use windlass_manager::record::entry::{EndReason, Entry};
use windlass_manager::record::format::Recording;
use windlass_manager::record::replay::{Report, replay};
use windlass_manager::record::report::{Difference, DifferenceKind};
use windlass_manager::record::{Recorder, RecordingOptions, SUFFIX};
use windlass_tests::cluster::{Cluster, STOCK_CONFIGURATION};
use windlass_tests::in_process::{Followers, InProcess, STOCK, from_file, stock};
use windlass_tests::process::Process;
use windlass_tests::wait;

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests")
}

fn recorder(dir: &Path, keys: Vec<ObjectKey>) -> Result<Arc<Recorder>> {
    Ok(Arc::new(Recorder::new(RecordingOptions {
        dir: Dir::open_ambient_dir(dir, ambient_authority())?,
        modules: Vec::new(),
        keys,
        window: None,
        include_secrets: false,
        max_bytes: 1 << 30,
    })))
}

/// A Deployment is created, scaled, rolled and deleted.
async fn life_of_a_deployment(host: &InProcess) -> Result<()> {
    let namespace = &host.namespace;
    namespace.create_deployment("web", json!({"replicas": 4})).await?;
    namespace.wait_complete("web").await?;
    let deployments = namespace.deployments();
    for patch in [
        json!({"spec": {"replicas": 6}}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "pause:3.11"}]}}}}),
    ] {
        deployments
            .patch("web", &PatchParams::default(), &Patch::Strategic(patch))
            .await?;
        namespace.wait_complete("web").await?;
    }
    deployments.delete("web", &Default::default()).await?;
    namespace.wait_pods("app=web", 0).await?;
    Ok(())
}

/// Records all four stock guests while a Deployment lives.
async fn recorded(dir: &Path, keys: Vec<ObjectKey>) -> Result<Engine> {
    let recorder = recorder(dir, keys)?;
    let followers = Followers {
        recorder: Some(recorder),
        ..Followers::default()
    };
    let host = InProcess::start_followed(&guests(), 3, stock(), followers).await?;
    life_of_a_deployment(&host).await?;
    let engine = host.workshop.engine.clone();
    host.stop().await;
    Ok(engine)
}

fn read(dir: &Path, module: &str) -> Result<Recording> {
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with(&format!("{module}-")) && name.ends_with(SUFFIX) {
            return Ok(Recording::read(&std::fs::read(&path)?)?);
        }
    }
    anyhow::bail!("no recording of {module}")
}

async fn load(engine: &Engine, name: &str, config: &str) -> Result<LoadedGuest> {
    let file = guests().join(format!("{name}.wasm"));
    let bytes =
        std::fs::read(&file).with_context(|| format!("{}: run `make guests` first", file.display()))?;
    let config = Bytes::from(config.to_owned());
    Ok(engine
        .load(name, bytes.into(), config, &Limits::default())
        .await?)
}

fn described(report: &Report) -> String {
    let lines: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    format!("{} differences: {}", report.total, lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_guest_makes_the_same_writes_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let engine = recorded(dir.path(), Vec::new()).await?;
    for module in STOCK {
        let recording = read(dir.path(), module)?;
        assert_eq!(recording.end, Some(EndReason::Instance), "{module}");
        let guest = load(&engine, module, "{}").await?;
        let config = Bytes::from(recording.header.config.clone());
        // Twice, because what depends on chance need not show at once.
        for _ in 0..2 {
            let report = replay(&recording, &guest, config.clone()).await;
            assert!(report.is_same(), "{module}: {}", described(&report));
            assert!(report.recorded_writes > 0, "{module} wrote nothing");
            assert_eq!(report.same_writes, report.recorded_writes, "{module}");
            assert_eq!(report.different_syncs, 0, "{module}");
            assert!(report.same_syncs > 0, "{module}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_guest_shows_what_it_would_have_done_otherwise() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let engine = recorded(dir.path(), Vec::new()).await?;
    let recording = read(dir.path(), "replicaset")?;
    // A guest that does nothing for any key.
    let minimal = load(&engine, "windlass-fixture-minimal", "{}").await?;
    let report = replay(&recording, &minimal, Bytes::from_static(b"{}")).await;
    let missing = |kind: &DifferenceKind| matches!(kind, DifferenceKind::MissingWrite { .. });
    let missing = report
        .differences
        .iter()
        .filter(|difference| missing(&difference.kind));
    assert_eq!(
        u64::try_from(missing.count())?,
        report.recorded_writes,
        "{}",
        described(&report)
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note == "the two guests do not watch the same")
    );
    Ok(())
}

fn shadow_of(module: &str, name: &str) -> ModuleEntry {
    let mut entry = from_file(name, &format!("{module}.wasm"));
    entry.shadow = true;
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_guests_in_the_shadow_show_no_difference() -> Result<()> {
    let shadows = STOCK.map(|module| shadow_of(module, &format!("{module}-shadow")));
    let mut modules: Vec<ModuleEntry> = stock().into_iter().chain(shadows).collect();
    // A shadow follows all instances of a module.
    for module in &mut modules {
        module.limits.instances = if module.name == "replicaset" { 2 } else { 1 };
    }
    let host = InProcess::start(&guests(), 3, modules).await?;
    life_of_a_deployment(&host).await?;
    for module in STOCK {
        let handle = host.module(module)?;
        // A shadow may be a little behind.
        let compared = || async {
            let findings = handle.shadow().context("no shadow yet")?.findings;
            Ok((
                findings.same_writes(),
                findings.recorded_writes(),
                findings.latest(),
            ))
        };
        let (_, writes, differences) = wait::until(
            &format!("the shadow of {module}"),
            compared,
            |(same, recorded, _)| same == recorded && *recorded > 0,
        )
        .await?;
        assert_eq!(differences, [], "{module}");
        let shadow = host.module(&format!("{module}-shadow"))?;
        let sent = shadow.controller.calls.snapshot().total();
        assert_eq!(sent, 0, "{module}, which makes {writes} writes");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_guest_in_the_shadow_shows_its_differences() -> Result<()> {
    let mut other = shadow_of("scheduler", "other");
    // No pod of the test names it.
    other.config = json!({"profiles": ["another-scheduler"]});
    let modules = stock().into_iter().chain([other]).collect();
    let host = InProcess::start(&guests(), 3, modules).await?;
    life_of_a_deployment(&host).await?;
    let handle = host.module("scheduler")?;
    let found = || async { Ok(handle.shadow().context("no shadow yet")?.findings.latest()) };
    let missing = |difference: &Difference| matches!(&difference.kind, DifferenceKind::MissingWrite { write, .. } if write.starts_with("create pods/binding"));
    wait::until("pods that were not bound", found, |found| {
        found.iter().any(missing)
    })
    .await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_one_key_replays_that_key() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let engine = recorded(dir.path(), vec![ObjectKey::new("default", "web")]).await?;
    let recording = read(dir.path(), "deployment")?;
    let guest = load(&engine, "deployment", "{}").await?;
    let report = replay(&recording, &guest, Bytes::from_static(b"{}")).await;
    assert!(report.is_same(), "{}", described(&report));
    assert!(report.same_writes > 0);
    let other = read(dir.path(), "replicaset")?;
    let sync = |(_, entry): &(_, Entry)| matches!(entry, Entry::Sync { .. });
    assert!(!other.entries.iter().any(sync), "no ReplicaSet has that name");
    Ok(())
}

/// Runs `windlass` to its end; its exit code and what it printed.
fn run(folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut process = Process::start(arguments, &folder.join("command.log"))?;
    let code = process.wait(wait::LIMIT)?;
    Ok((code, process.output()))
}

#[tokio::test]
async fn the_commands_record_for_a_while_and_replay() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "2", "--no-modules"]).await?;
    let folder = cluster.folder.path();
    let config = folder.join("host.yaml");
    std::fs::write(
        &config,
        format!("{STOCK_CONFIGURATION}leaderElection: {{enabled: false}}\nstatusAddress: 127.0.0.1:0\n"),
    )?;
    let (config, kubeconfig) = (config.to_string_lossy(), cluster.kubeconfig());
    let (kubeconfig, output) = (kubeconfig.to_string_lossy(), folder.join("recordings"));
    let namespace = cluster.namespace("default").await?;
    namespace.create_deployment("web", json!({"replicas": 2})).await?;
    let recording = output.to_string_lossy();
    let to = [
        "--config",
        &config,
        "--kubeconfig",
        &kubeconfig,
        "--output",
        &recording,
    ];
    let record = ["record", "--for", "4s", "--module", "replicaset"];
    let (code, text) = run(folder, &[record.as_slice(), &to].concat())?;
    assert_eq!(code, Some(0), "it ends by itself: {text}");
    namespace.wait_pods("app=web", 2).await?;
    let files: Vec<PathBuf> = std::fs::read_dir(&output)?
        .map(|file| Ok(file?.path()))
        .collect::<Result<_>>()?;
    let [file] = &files[..] else {
        anyhow::bail!("one module was recorded: {files:?}");
    };
    let file = file.to_string_lossy();

    let (code, text) = run(folder, &["replay", &file, "--print"])?;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("module replicaset") && text.contains("default/web-"),
        "{text}"
    );
    let (code, text) = run(folder, &["replay", &file, "--module", "replicaset"])?;
    assert_eq!(code, Some(0), "{text}");
    // It does nothing where the other creates pods.
    let minimal = guests().join("windlass-fixture-minimal.wasm");
    let (code, text) = run(folder, &["replay", &file, "--module", &minimal.to_string_lossy()])?;
    assert_eq!(code, Some(2), "{text}");
    let cut = folder.join("cut");
    std::fs::write(&cut, "no recording")?;
    let (code, text) = run(folder, &["replay", &cut.to_string_lossy(), "--print"])?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("error: "), "{text}");
    Ok(())
}
