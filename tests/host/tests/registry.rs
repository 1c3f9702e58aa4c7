//! Modules from a real registry, in a host of the test's own process; `windlass push` and
//! `windlass pull` as users run them.
//!
//! `cargo xtask tools docker-registry` installs the registry. Tests that need it say so
//! and succeed where it is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;
use windlass_manager::config::signature::{KeyEntry, SignatureEntry};
use windlass_manager::config::source::{OciSource, SecretReference};
use windlass_manager::config::{HostConfiguration, ModuleEntry, SourceEntry, Span};
use windlass_manager::supervisor::ModuleState;
use windlass_registry::digest::Digest;
use windlass_registry::signing::SigningKey;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::cluster::Cluster;
use windlass_tests::docker_registry::{DockerRegistry, PASSWORD, USER};
use windlass_tests::in_process::{InProcess, from_source};
use windlass_tests::{process, wait};

const COUNTER: &str = "windlass-fixture-counter";
const MODULE: &str = "counter";
const TAG: &str = "guests/counter:stable";

struct Fixture {
    builds: Builds,
    cluster: InProcess,
}

impl Fixture {
    /// A host that speaks to the registry without TLS.
    async fn start(registry: &DockerRegistry) -> Result<Self> {
        let builds = Builds::of(&[])?;
        let cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
        let mut configuration = HostConfiguration::default();
        configuration.registry.insecure_hosts = vec![registry.host.clone()];
        cluster.workshop.sources.configure(&configuration);
        Ok(Self { builds, cluster })
    }

    fn build(&self, build: Build) -> Result<(Vec<u8>, String)> {
        let bytes = self.builds.bytes(COUNTER, build)?;
        let hex = Digest::of(&bytes).hex();
        Ok((bytes, hex))
    }

    async fn serves(&self, digest: &str) -> Result<String> {
        let status = self.cluster.wait_serving(MODULE, digest).await?;
        Ok(status.serving.context("it serves")?.origin.clone())
    }
}

/// A module from the tag, which is looked at every second.
fn from_tag(registry: &DockerRegistry) -> Result<ModuleEntry> {
    let source = SourceEntry {
        oci: Some(OciSource {
            reference: registry.reference(TAG)?,
            pull_interval: Span::seconds(1),
            pull_secret: None,
        }),
        ..SourceEntry::default()
    };
    Ok(from_source(MODULE, source))
}

/// A pair of keys in PEM, the private one ready to sign.
fn keys() -> Result<(SigningKey, String)> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((
        SigningKey::from_pem(&pair.serialize_pem())?,
        pair.public_key_pem(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_moves_replaces_the_module_and_a_broken_one_does_not() -> Result<()> {
    let Some(registry) = DockerRegistry::start().await? else {
        return Ok(());
    };
    let mut fixture = Fixture::start(&registry).await?;
    let (first, first_digest) = fixture.build(Build::Original)?;
    let (second, second_digest) = fixture.build(Build::New(1))?;
    let pushed = registry.push(TAG, first, None).await?;
    fixture.cluster.host.apply(vec![from_tag(&registry)?]);
    let origin = fixture.serves(&first_digest).await?;
    assert_eq!(
        origin,
        format!("oci {} (manifest {})", registry.reference(TAG)?, pushed.digest)
    );
    registry.push(TAG, second, None).await?;
    fixture.serves(&second_digest).await?;
    let (broken, _) = fixture.build(Build::NoHandler)?;
    registry.push(TAG, broken, None).await?;
    let refused = fixture
        .cluster
        .wait_refused(
            MODULE,
            "exports neither windlass:controller/handler nor blocking-handler",
        )
        .await?;
    assert_eq!(
        refused.state,
        ModuleState::Running,
        "the last good version goes on"
    );
    assert_eq!(fixture.cluster.restarts(MODULE)?, 0);
    fixture.cluster.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_hangup_looks_at_a_tag_long_before_its_time() -> Result<()> {
    let Some(registry) = DockerRegistry::start().await? else {
        return Ok(());
    };
    let builds = Builds::of(&[])?;
    let (first, second) = (
        builds.bytes(COUNTER, Build::Original)?,
        builds.bytes(COUNTER, Build::New(1))?,
    );
    let digests = [Digest::of(&first).hex(), Digest::of(&second).hex()];
    registry.push(TAG, first, None).await?;
    let config = builds.path().join("host.yaml");
    let text = json!({
        "apiVersion": "windlass.dev/v1alpha1", "kind": "HostConfiguration",
        "leaderElection": {"enabled": false},
        "registry": {"insecureHosts": [registry.host]},
        "modules": [{
            "name": MODULE, "grantDeclared": true,
            "source": {"oci": {"reference": registry.reference(TAG)?.to_string(), "pullInterval": "1h"}},
        }],
    });
    std::fs::write(&config, text.to_string())?;
    let cluster = Cluster::up(&["--nodes", "1", "--config", &config.to_string_lossy()]).await?;
    let serves = async |digest: &str| {
        let output = || async { Ok(cluster.process.output()) };
        wait::until(digest, output, |output| output.contains(digest)).await
    };
    serves(&digests[0]).await?;
    registry.push(TAG, second, None).await?;
    cluster.process.signal("HUP")?;
    let output = serves(&digests[1]).await?;
    ensure!(output.contains("controller replaced"), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_digest_than_the_pinned_is_refused() -> Result<()> {
    let Some(registry) = DockerRegistry::start().await? else {
        return Ok(());
    };
    let mut fixture = Fixture::start(&registry).await?;
    let (component, digest) = fixture.build(Build::Original)?;
    registry.push(TAG, component.clone(), None).await?;
    let mut entry = from_tag(&registry)?;
    entry.digest = Some(Digest::of(b"another"));
    fixture.cluster.host.apply(vec![entry.clone()]);
    let refusal = format!(
        "is sha256:{digest}, and the configuration pins {}",
        Digest::of(b"another")
    );
    fixture.cluster.wait_refused(MODULE, &refusal).await?;
    entry.digest = Some(Digest::of(&component));
    fixture.cluster.host.apply(vec![entry]);
    fixture.serves(&digest).await?;
    fixture.cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_secret_that_comes_later_lets_the_module_start() -> Result<()> {
    let Some(registry) = DockerRegistry::start_with_password().await? else {
        return Ok(());
    };
    let mut fixture = Fixture::start(&registry).await?;
    let (component, digest) = fixture.build(Build::Original)?;
    registry.push(TAG, component, None).await?;
    let mut entry = from_tag(&registry)?;
    let secret = SecretReference {
        namespace: "default".into(),
        name: "registry".into(),
    };
    entry
        .source
        .oci
        .as_mut()
        .context("it is from a registry")?
        .pull_secret = Some(secret);
    fixture.cluster.host.apply(vec![entry]);
    let refused = fixture
        .cluster
        .wait_refused(MODULE, "pull secret default/registry: ")
        .await?;
    assert!(!format!("{refused:?}").contains(PASSWORD));
    let logins = json!({"auths": {&registry.host: {"username": USER, "password": PASSWORD}}});
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": BASE64_STANDARD.encode(logins.to_string())}
    }))?;
    let secrets: Api<Secret> = Api::namespaced(fixture.cluster.namespace.client.clone(), "default");
    secrets.create(&PostParams::default(), &secret).await?;
    let origin = fixture.serves(&digest).await?;
    assert!(!origin.contains(PASSWORD));
    fixture.cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_delays_one_module_and_ends_none() -> Result<()> {
    let Some(mut registry) = DockerRegistry::start().await? else {
        return Ok(());
    };
    let mut fixture = Fixture::start(&registry).await?;
    let (component, digest) = fixture.build(Build::Original)?;
    registry.push(TAG, component, None).await?;
    registry.take_down().await?;
    fixture.builds.replace(COUNTER, Build::Original)?;
    let file = from_source("beside", SourceEntry::file(&format!("{COUNTER}.wasm")));
    fixture.cluster.host.apply(vec![from_tag(&registry)?, file]);
    fixture.cluster.wait_serving("beside", &digest).await?;
    fixture
        .cluster
        .wait_refused(MODULE, "cannot reach registry")
        .await?;
    registry.bring_up().await?;
    fixture.serves(&digest).await?;

    // From now on the cache stands in: for what runs, and for what starts anew.
    registry.take_down().await?;
    fixture.cluster.host.apply(Vec::new());
    fixture.cluster.host.apply(vec![from_tag(&registry)?]);
    let origin = fixture.serves(&digest).await?;
    assert!(
        origin.contains("what its tag pointed to last, because cannot reach registry"),
        "{origin}"
    );
    assert_eq!(fixture.cluster.restarts(MODULE)?, 0);
    fixture.cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_with_the_key_is_refused_and_what_is_runs() -> Result<()> {
    let Some(registry) = DockerRegistry::start().await? else {
        return Ok(());
    };
    let mut fixture = Fixture::start(&registry).await?;
    let (ours, public_key) = keys()?;
    let (theirs, _) = keys()?;
    // A file beside the configuration.
    std::fs::write(fixture.builds.path().join("cosign.pub"), public_key)?;
    let mut entry = from_tag(&registry)?;
    entry.signature = Some(SignatureEntry {
        key: Some(KeyEntry {
            file: Some("cosign.pub".to_owned()),
            pem: None,
        }),
        ..SignatureEntry::default()
    });
    let (first, first_digest) = fixture.build(Build::Original)?;
    registry.push(TAG, first.clone(), None).await?;
    fixture.cluster.host.apply(vec![entry]);
    let reference = registry.reference(TAG)?.to_string();
    let refused = fixture.cluster.wait_refused(MODULE, &reference).await?;
    assert!(matches!(refused.state, ModuleState::Failed { .. }));
    registry.push(TAG, first, Some(&ours)).await?;
    let origin = fixture.serves(&first_digest).await?;
    assert!(origin.contains("signed by "), "{origin}");

    let (second, second_digest) = fixture.build(Build::New(1))?;
    registry.push(TAG, second.clone(), Some(&theirs)).await?;
    let refused = fixture.cluster.wait_refused(MODULE, &reference).await?;
    assert_eq!(
        refused.state,
        ModuleState::Running,
        "the last good version goes on"
    );
    registry.push(TAG, second, Some(&ours)).await?;
    fixture.serves(&second_digest).await?;
    fixture.cluster.stop().await;
    Ok(())
}

/// What the binary prints when it succeeds, and the error otherwise.
fn windlass(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(process::binary())
        .args(arguments)
        .current_dir(folder)
        .env("DOCKER_CONFIG", folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .context("build the binary first")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}

#[tokio::test]
async fn what_is_pushed_is_pulled_again_by_who_may_and_verified() -> Result<()> {
    let Some(registry) = DockerRegistry::start_with_password().await? else {
        return Ok(());
    };
    let builds = Builds::of(&[COUNTER])?;
    let folder = builds.path();
    let reference = registry.reference(TAG)?.to_string();
    let file = format!("{COUNTER}.wasm");
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    std::fs::write(folder.join("key.pem"), pair.serialize_pem())?;
    std::fs::write(folder.join("key.pub"), pair.public_key_pem())?;
    let push = [
        "push",
        &file,
        &reference,
        "--plain-http",
        "--sign-key",
        "key.pem",
        "--annotation",
        "a=b",
    ];
    let refused = windlass(folder, &push).expect_err("nobody may push");
    assert!(format!("{refused}").contains(&registry.host), "{refused}");

    let logins = json!({"auths": {&registry.host: {"username": USER, "password": PASSWORD}}});
    std::fs::write(folder.join("config.json"), logins.to_string())?;
    let pushed = windlass(folder, &push)?;
    let component = Digest::of(&builds.bytes(COUNTER, Build::Original)?);
    assert!(pushed.contains(&format!("Component:  {component}")), "{pushed}");

    let pull = ["pull", &reference, "--plain-http", "--verify-key", "key.pub"];
    let pulled = windlass(folder, &pull)?;
    assert!(pulled.contains(&format!("Component:  {component}")), "{pulled}");
    assert_eq!(
        Digest::of(&std::fs::read(folder.join("counter.wasm"))?),
        component
    );
    let manifest = pushed.split_whitespace().nth(1).context("what was pushed")?;
    assert!(pulled.contains(manifest), "{pulled}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_guest_is_not_pushed() -> Result<()> {
    let builds = Builds::of(&[])?;
    builds.put("none.wasm", COUNTER, Build::NoHandler)?;
    let refused = windlass(builds.path(), &["push", "none.wasm", "127.0.0.1:1/guests/none:1"]);
    let refused = refused.expect_err("it is no controller").to_string();
    assert!(
        refused.contains(
            "none.wasm is no guest: exports neither windlass:controller/handler nor blocking-handler"
        ),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn a_dry_run_tells_what_would_run_and_what_would_not() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let modules = |grant: bool| {
        format!(
            "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\nmodules:\n- name: counter\n  source: {{file: \
             {COUNTER}.wasm}}\n  grantDeclared: {grant}\n"
        )
    };
    let config = builds.path().join("windlass.yaml");
    // A kubeconfig that is missing is a cluster that is not there.
    let dry_run = [
        "run",
        "--dry-run",
        "--config",
        "windlass.yaml",
        "--kubeconfig",
        "missing",
    ];
    std::fs::write(&config, modules(true))?;
    let told = windlass(builds.path(), &dry_run)?;
    assert!(
        told.contains("module counter") && told.contains("configmaps"),
        "{told}"
    );
    assert!(told.contains("permissions not checked"), "{told}");
    std::fs::write(&config, modules(false))?;
    windlass(builds.path(), &dry_run).expect_err("what it declares is not granted");
    Ok(())
}
