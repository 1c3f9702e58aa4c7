//! End-to-end tests in the format of [kuttl](https://kuttl.dev): a folder for each test,
//! whose files' names begin with the number of the step that they belong to.
//!
//! `NN-assert.yaml` says what must come about, `NN-errors.yaml` what must not be there or
//! must go away, every other `NN-NAME.yaml` what is applied. A `TestStep` deletes objects
//! first; a `TestAssert` changes how long to wait.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, TypeMeta};
use serde::Deserialize;
use serde_json::{Value, json};

use super::matching::difference;
use crate::workbench::objects::{self, Objects};

const OWN_API_VERSIONS: [&str; 2] = ["kuttl.dev/v1beta1", "kudo.dev/v1beta1"];
/// Between two looks at what is asserted.
const PERIOD: Duration = Duration::from_millis(20);
/// The longest name of a namespace.
const MAX_NAMESPACE: usize = 63;

/// All tests of a project.
pub(super) struct Suite {
    pub(super) cases: Vec<Case>,
    /// How many were not asked for.
    pub(super) left_out: usize,
}

/// A test: steps, one after the other.
pub(super) struct Case {
    pub(super) name: String,
    steps: BTreeMap<u32, Step>,
}

#[derive(Default)]
struct Step {
    delete: Vec<Reference>,
    apply: Vec<Expected<DynamicObject>>,
    assert: Vec<Expected<Value>>,
    errors: Vec<Expected<Value>>,
    timeout: Option<Duration>,
}

/// Something out of a file.
struct Expected<T> {
    file: PathBuf,
    object: T,
}

/// A `TestStep`, as far as it is known here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestStep {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata", default)]
    _metadata: Value,
    #[serde(default)]
    delete: Vec<Reference>,
}

/// A `TestAssert`, as far as it is known here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestAssert {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata", default)]
    _metadata: Value,
    /// In seconds.
    #[serde(default)]
    timeout: Option<u64>,
}

/// Objects to delete: one by name, or all of a kind, with labels or without.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reference {
    api_version: String,
    kind: String,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Suite {
    /// The tests below a folder of a project, all or those whose names contain one of these.
    pub(super) fn read(project: &Path, folder: &str, wanted: &[String]) -> anyhow::Result<Self> {
        let path = project.join(folder);
        let entries = std::fs::read_dir(&path).with_context(|| {
            format!(
                "there are no tests in {}: put each in a folder of its own, or name a command after --",
                path.display()
            )
        })?;
        let mut folders: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        ensure!(!folders.is_empty(), "there are no tests in {}", path.display());
        let all = folders.len();
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        folders.retain(|path| wanted.is_empty() || wanted.iter().any(|part| name(path).contains(part)));
        let cases = folders.iter().map(|path| Case::read(project, path, name(path)));
        let cases: Vec<Case> = cases.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            left_out: all - cases.len(),
            cases,
        })
    }
}

impl Case {
    fn read(project: &Path, folder: &Path, name: String) -> anyhow::Result<Self> {
        let mut steps: BTreeMap<u32, Step> = BTreeMap::new();
        for (path, _) in objects::files(folder) {
            let shown = path.strip_prefix(project).unwrap_or(&path).to_owned();
            let mut read = || -> anyhow::Result<()> {
                let (number, role) = role(&path)?;
                steps.entry(number).or_default().read(&path, &shown, role)
            };
            read().with_context(|| shown.display().to_string())?;
        }
        ensure!(!steps.is_empty(), "there are no steps in {}", folder.display());
        Ok(Self { name, steps })
    }

    /// Runs its steps in a namespace.
    pub(super) async fn run(&self, cluster: &Objects, timeout: Duration) -> anyhow::Result<()> {
        for step in self.steps.values() {
            step.run(cluster, step.timeout.unwrap_or(timeout)).await?;
        }
        Ok(())
    }
}

/// What a file is for, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Apply,
    Assert,
    Errors,
}

fn role(path: &Path) -> anyhow::Result<(u32, Role)> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let parts = stem.split_once('-');
    let number = parts.and_then(|(number, name)| Some((number.parse().ok()?, name)));
    let (number, name) = number.context("a step's file is called NN-NAME.yaml, such as 00-apply.yaml")?;
    let role = match name {
        "assert" => Role::Assert,
        "errors" => Role::Errors,
        _ => Role::Apply,
    };
    Ok((number, role))
}

impl Step {
    fn read(&mut self, path: &Path, shown: &Path, role: Role) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).context("not YAML documents")?;
        for document in documents {
            let api_version = document["apiVersion"].as_str().unwrap_or_default();
            if OWN_API_VERSIONS.contains(&api_version) {
                self.read_own(document)?;
                continue;
            }
            let file = shown.to_owned();
            match role {
                Role::Apply => {
                    let object = serde_json::from_value(document).context("not an object of Kubernetes")?;
                    self.apply.push(Expected { file, object });
                }
                Role::Assert => self.assert.push(Expected {
                    file,
                    object: document,
                }),
                Role::Errors => self.errors.push(Expected {
                    file,
                    object: document,
                }),
            }
        }
        Ok(())
    }

    fn read_own(&mut self, document: Value) -> anyhow::Result<()> {
        match document["kind"].as_str().unwrap_or_default() {
            "TestStep" => {
                let step: TestStep = serde_json::from_value(document).context("TestStep")?;
                self.delete.extend(step.delete);
            }
            "TestAssert" => {
                let assert: TestAssert = serde_json::from_value(document).context("TestAssert")?;
                self.timeout = assert.timeout.map(Duration::from_secs).or(self.timeout);
            }
            kind => bail!("a {kind} is not known here: there are TestStep and TestAssert"),
        }
        Ok(())
    }

    async fn run(&self, cluster: &Objects, timeout: Duration) -> anyhow::Result<()> {
        for reference in &self.delete {
            reference.delete(cluster).await?;
        }
        for Expected { file, object } in &self.apply {
            let applied = cluster.merge(object).await;
            applied.with_context(|| format!("{}: {}", file.display(), object.name_any()))?;
        }
        let deadline = Instant::now() + timeout;
        loop {
            let Err(error) = self.check(cluster).await else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(error.context(format!("not within {timeout:?}")));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn check(&self, cluster: &Objects) -> anyhow::Result<()> {
        for expected in &self.assert {
            let missing = mismatch(cluster, &expected.object).await;
            if let Some(why) = missing.with_context(|| expected.file.display().to_string())? {
                bail!("{}: {why}", expected.file.display());
            }
        }
        for unwanted in &self.errors {
            let missing = mismatch(cluster, &unwanted.object).await;
            if missing
                .with_context(|| unwanted.file.display().to_string())?
                .is_none()
            {
                bail!(
                    "{}: {} is there",
                    unwanted.file.display(),
                    shown(&unwanted.object)
                );
            }
        }
        Ok(())
    }
}

/// Why there is no object as expected: `None` if there is one.
async fn mismatch(cluster: &Objects, expected: &Value) -> anyhow::Result<Option<String>> {
    let types: TypeMeta =
        serde_json::from_value(expected.clone()).context("it has no apiVersion and kind")?;
    let metadata = &expected["metadata"];
    let api = cluster.api(&types, metadata["namespace"].as_str()).await?;
    let found = match metadata["name"].as_str() {
        Some(name) => api.get_opt(name).await?.into_iter().collect(),
        None => api.list(&ListParams::default()).await?.items,
    };
    let mut why = String::new();
    for object in found {
        let name = object.name_any();
        let object = with_types(object, &types)?;
        match difference(expected, &object) {
            None => return Ok(None),
            Some(difference) => write!(why, "{}{} {name}: {difference}", separator(&why), types.kind)?,
        }
    }
    if why.is_empty() {
        why = format!("there is no {}", shown(expected));
    }
    Ok(Some(why))
}

fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "; " }
}

/// Items of lists are told without them.
fn with_types(mut object: DynamicObject, types: &TypeMeta) -> anyhow::Result<Value> {
    object.types.get_or_insert_with(|| types.clone());
    Ok(serde_json::to_value(object)?)
}

fn shown(expected: &Value) -> String {
    let kind = expected["kind"].as_str().unwrap_or_default();
    match expected["metadata"]["name"].as_str() {
        Some(name) => format!("{kind} {name}"),
        None => format!("such {kind}"),
    }
}

impl Reference {
    /// What is not there is as good as deleted.
    async fn delete(&self, cluster: &Objects) -> anyhow::Result<()> {
        let types = TypeMeta {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
        };
        let api = cluster.api(&types, self.namespace.as_deref()).await?;
        let names = match &self.name {
            Some(name) => vec![name.clone()],
            None => {
                let labels = self.labels.iter().map(|(key, value)| format!("{key}={value}"));
                let list = ListParams::default().labels(&labels.collect::<Vec<_>>().join(","));
                api.list(&list).await?.iter().map(ResourceExt::name_any).collect()
            }
        };
        for name in names {
            match api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error).with_context(|| format!("deleting {} {name}", self.kind)),
            }
        }
        Ok(())
    }
}

/// The namespace of a test.
pub(super) fn namespace(test: &str) -> anyhow::Result<DynamicObject> {
    let fits = |character: char| {
        let lower = character.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() { lower } else { '-' }
    };
    let mut name: String = "test-".chars().chain(test.chars().map(fits)).collect();
    name.truncate(MAX_NAMESPACE);
    let name = name.trim_end_matches('-');
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    Ok(serde_json::from_value(namespace)?)
}
