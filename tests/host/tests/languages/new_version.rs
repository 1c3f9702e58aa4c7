//! A project as `windlass new` makes it, in each language, whose author moves its resource
//! to a new version: first in the definition, then in the code, and then the old version
//! is withdrawn. The guest is replaced while it runs, and nothing is lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_manager::supervisor::ModuleStatus;
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::process::{binary, repository};
use windlass_tests::wait;

use crate::guest::Guest;

/// Its toolchain is there if this was built.
pub(crate) const CONTROLLER: &str = "ttl";

in_every_language!(new_version: the_guest_follows_its_resource_to_a_new_version);

/// Where each language says which version it watches.
const SAID: [(&str, &str, &str); 5] = [
    ("rust", "src/lib.rs", r#"object!(Greeting: "example.com", "v1""#),
    ("go", "main.go", r#"Group: "example.com", Version: "v1""#),
    ("python", "src/app.py", r#"group="example.com", version="v1""#),
    ("javascript", "src/main.ts", r#"apiVersion: "example.com/v1""#),
    ("c", "src/greeter.c", r#".group = "example.com", .version = "v1""#),
];

/// The author's project, and the folder that the host takes its guest from.
struct Project {
    folder: TempDir,
    language: &'static str,
}

impl Project {
    fn new(language: &'static str) -> Result<Self> {
        let project = Self {
            folder: tempfile::tempdir()?,
            language,
        };
        std::fs::create_dir(project.guests())?;
        windlass(&[
            "new".as_ref(),
            &project.path(),
            "--lang".as_ref(),
            language.as_ref(),
        ])?;
        Ok(project)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("greeter")
    }

    fn guests(&self) -> PathBuf {
        self.folder.path().join("guests")
    }

    /// Builds it to where the host looks.
    fn build(&self) -> Result<()> {
        let built = self.path().join("target/greeter.wasm");
        let toolchains = repository().join("target/toolchains");
        windlass(&[
            "build".as_ref(),
            &self.path(),
            "--out".as_ref(),
            &built,
            "--toolchains".as_ref(),
            &toolchains,
        ])?;
        // The host may look at any time.
        let beside = self.guests().join("next");
        std::fs::copy(&built, &beside)?;
        Ok(std::fs::rename(beside, self.guests().join("greeter.wasm"))?)
    }

    /// The code is about v2 from now on.
    fn move_to_v2(&self) -> Result<()> {
        let said = SAID.iter().find(|(language, _, _)| *language == self.language);
        let (_, file, said) = said.context("an unknown language")?;
        let file = self.path().join(file);
        let before = std::fs::read_to_string(&file)?;
        let after = before.replace(said, &said.replace("v1", "v2"));
        ensure!(before != after, "{} does not say {said}", file.display());
        Ok(std::fs::write(file, after)?)
    }

    fn definition(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.path().join("crds/greetings.yaml"))?;
        Ok(serde_saphyr::from_str(&text)?)
    }
}

fn windlass(arguments: &[&Path]) -> Result<()> {
    let output = Command::new(binary()).args(arguments).output()?;
    let shown = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "windlass {arguments:?}: {shown}");
    Ok(())
}

async fn the_guest_follows_its_resource_to_a_new_version(guest: Guest) -> Result<()> {
    let languages = SAID.map(|(language, _, _)| language);
    let language = languages
        .into_iter()
        .find(|language| guest.name.ends_with(&format!("-{language}")));
    let project = Project::new(language.context("a language")?)?;
    project.build()?;
    let mut cluster = InProcess::start(&project.guests(), 0, Vec::new()).await?;
    let client = || cluster.namespace.client.clone();
    let definitions: Api<CustomResourceDefinition> = Api::all(client());
    let mut definition = project.definition()?;
    let first = serde_json::from_value(definition.clone())?;
    definitions.create(&PostParams::default(), &first).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client(), "default");
    let [old, new] = ["v1", "v2"].map(|version| {
        let kind = GroupVersionKind::gvk("example.com", version, "Greeting");
        let resource = ApiResource::from_gvk_with_plural(&kind, "greetings");
        Api::<DynamicObject>::namespaced_with(client(), "default", &resource)
    });
    let mut modules = vec![from_file("garbage-collector", "garbage-collector.wasm")];
    std::fs::copy(
        repository().join("target/guests/garbage-collector.wasm"),
        project.guests().join("garbage-collector.wasm"),
    )?;
    modules.push(from_file("greeter", "greeter.wasm"));
    cluster.host.apply(modules);
    cluster.host.wait_until_running().await;
    greet(&old, "v1", "first").await?;
    until_greeted(&maps, "first", "Ada", "v1").await?;

    // The new version is stored; the old one is still served, and watched.
    let versions = definition["spec"]["versions"]
        .as_array_mut()
        .context("versions")?;
    let mut newer = versions.first().cloned().context("a version")?;
    newer["name"] = json!("v2");
    versions[0]["storage"] = json!(false);
    versions.push(newer);
    set_versions(&definitions, &definition).await?;
    wait::until(
        "v2 to be served",
        || async { Ok(new.get("first").await.is_ok()) },
        |served| *served,
    )
    .await?;
    greet(&new, "v2", "second").await?;
    until_greeted(&maps, "second", "Ada", "v1").await?;

    let made = uids(&maps).await?;
    let before = cluster.module("greeter")?.status.borrow().reloads_applied;
    project.move_to_v2()?;
    project.build()?;
    let moved = |status: &ModuleStatus| status.reloads_applied > before;
    cluster
        .wait_for("greeter", "the guest that watches v2", moved)
        .await?;
    greet(&new, "v2", "third").await?;
    until_greeted(&maps, "third", "Ada", "v2").await?;
    // What was made before is still looked after.
    for name in ["first", "second"] {
        let patch = Patch::Merge(json!({"spec": {"name": "Grace"}}));
        new.patch(name, &PatchParams::default(), &patch).await?;
        until_message(&maps, name, "Hello, Grace!").await?;
    }

    // Nobody asks for the old version any more.
    definition["spec"]["versions"][0]["served"] = json!(false);
    set_versions(&definitions, &definition).await?;
    wait::until(
        "v1 to be gone",
        || async { Ok(old.get("first").await.is_err()) },
        |gone| *gone,
    )
    .await?;
    greet(&new, "v2", "fourth").await?;
    until_greeted(&maps, "fourth", "Ada", "v2").await?;
    new.delete("third", &DeleteParams::default()).await?;
    let third = || async { Ok(maps.get_opt("third").await?.is_some()) };
    wait::until("the ConfigMap of third to go", third, |is_there| !is_there).await?;
    let now = uids(&maps).await?;
    for name in ["first", "second"] {
        ensure!(now.get(name) == made.get(name), "{name} was made anew");
    }
    ensure!(cluster.restarts("greeter")? == 0, "it never failed");
    cluster.stop().await;
    Ok(())
}

/// Whoever is deleted and made again has another one.
async fn uids(maps: &Api<ConfigMap>) -> Result<BTreeMap<String, String>> {
    let maps = maps.list(&ListParams::default()).await?.into_iter();
    let uid = |map: ConfigMap| Some((map.metadata.name?, map.metadata.uid?));
    Ok(maps.filter_map(uid).collect())
}

async fn set_versions(definitions: &Api<CustomResourceDefinition>, definition: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"versions": definition["spec"]["versions"]}}));
    definitions
        .patch("greetings.example.com", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn greet(greetings: &Api<DynamicObject>, version: &str, name: &str) -> Result<()> {
    let greeting = json!({
        "apiVersion": format!("example.com/{version}"), "kind": "Greeting",
        "metadata": {"name": name}, "spec": {"name": "Ada"},
    });
    greetings
        .create(&PostParams::default(), &serde_json::from_value(greeting)?)
        .await?;
    Ok(())
}

/// Waits for the ConfigMap, and looks at the version in which its owner is named.
async fn until_greeted(maps: &Api<ConfigMap>, name: &str, whom: &str, version: &str) -> Result<()> {
    let map = until_message(maps, name, &format!("Hello, {whom}!")).await?;
    let owners = map.metadata.owner_references.unwrap_or_default();
    let owner = owners.first().context("an owner")?;
    ensure!(owner.api_version == format!("example.com/{version}"), "{owner:?}");
    Ok(())
}

async fn until_message(maps: &Api<ConfigMap>, name: &str, message: &str) -> Result<ConfigMap> {
    let look = || async { Ok(maps.get_opt(name).await?) };
    let greets = |map: &Option<ConfigMap>| {
        let data = map.as_ref().and_then(|map| map.data.as_ref());
        data.and_then(|data| data.get("message"))
            .is_some_and(|found| found == message)
    };
    let what = format!("{name} to be greeted with {message:?}");
    wait::until(&what, look, greets).await?.context("a ConfigMap")
}
