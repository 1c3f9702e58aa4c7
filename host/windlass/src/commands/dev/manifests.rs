//! The Kubernetes objects that a project brings along: definitions in `crds`, objects to
//! try it on in `examples`. Applied when they are new and when they are saved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};

use crate::output::one_line;

/// How long the kind of an object may take to be served.
const PATIENCE: Duration = Duration::from_secs(5);
const NAMESPACE: &str = "default";

pub(super) struct Manifests {
    folder: PathBuf,
    client: Client,
    applied: HashMap<PathBuf, SystemTime>,
}

impl Manifests {
    pub(super) fn of(folder: &Path, client: Client) -> Self {
        Self {
            folder: folder.to_owned(),
            client,
            applied: HashMap::new(),
        }
    }

    /// Applies what was saved in a folder of the project, in the order of the files' names.
    pub(super) async fn apply(&mut self, folder: &str) {
        for (path, modified) in files(&self.folder.join(folder)) {
            if self.applied.insert(path.clone(), modified) == Some(modified) {
                continue;
            }
            let name = path.strip_prefix(&self.folder).unwrap_or(&path).display();
            match self.apply_file(&path).await {
                Ok(count) => tracing::info!(file = %name, objects = count, "applied"),
                Err(error) => anstream::eprintln!("error: {name}: {}", one_line(&error)),
            }
        }
    }

    async fn apply_file(&self, path: &Path) -> anyhow::Result<usize> {
        let text = std::fs::read_to_string(path)?;
        let objects: Vec<DynamicObject> =
            serde_saphyr::from_multiple(&text).context("not a list of objects")?;
        for object in &objects {
            self.apply_object(object)
                .await
                .with_context(|| object.name_any())?;
        }
        Ok(objects.len())
    }

    /// Creates it, or replaces what is there.
    async fn apply_object(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let api = self.api(object).await?;
        let params = PostParams::default();
        let Some(present) = api.get_opt(&object.name_any()).await? else {
            api.create(&params, object).await?;
            return Ok(());
        };
        let mut object = object.clone();
        object.metadata.resource_version = present.metadata.resource_version;
        api.replace(&object.name_any(), &params, &object).await?;
        Ok(())
    }

    async fn api(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        let types = object.types.as_ref().context("it has no apiVersion and kind")?;
        let kind = GroupVersionKind::try_from(types)?;
        let deadline = Instant::now() + PATIENCE;
        let (resource, capabilities) = loop {
            match pinned_kind(&self.client, &kind).await {
                Ok(found) => break found,
                // Its definition may have come a moment ago.
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error.into()),
            }
        };
        let client = self.client.clone();
        Ok(match capabilities.scope {
            Scope::Cluster => Api::all_with(client, &resource),
            Scope::Namespaced => {
                let namespace = object.namespace();
                Api::namespaced_with(client, namespace.as_deref().unwrap_or(NAMESPACE), &resource)
            }
        })
    }
}

/// YAML and JSON files of a folder, by name; none if it is not there.
fn files(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?)))
        .filter(|(path, _)| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("yaml" | "yml" | "json"))
        })
        .collect();
    files.sort();
    files
}
