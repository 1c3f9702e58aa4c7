//! Objects of any kind: from the files of a project into a cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams, TypeMeta};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};

/// How long the kind of an object may take to be served.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cluster, and the namespace of objects that name none.
#[derive(Clone)]
pub(crate) struct Objects {
    client: Client,
    namespace: String,
}

impl Objects {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The same cluster, and another namespace.
    pub(crate) fn inside(&self, namespace: &str) -> Self {
        Self::new(self.client.clone(), namespace)
    }

    /// Creates an object, or makes one that is there the same.
    pub(crate) async fn replace(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let api = self.api_of(object).await?;
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

    /// Creates an object, or changes of one that is there what this says.
    pub(crate) async fn merge(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let api = self.api_of(object).await?;
        if api.get_opt(&object.name_any()).await?.is_none() {
            api.create(&PostParams::default(), object).await?;
        } else {
            let patch = Patch::Merge(object);
            api.patch(&object.name_any(), &PatchParams::default(), &patch)
                .await?;
        }
        Ok(())
    }

    async fn api_of(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        let types = object.types.as_ref().context("it has no apiVersion and kind")?;
        self.api(types, object.metadata.namespace.as_deref()).await
    }

    /// Where objects of a kind are served, as soon as they are.
    pub(crate) async fn api(
        &self,
        types: &TypeMeta,
        namespace: Option<&str>,
    ) -> anyhow::Result<Api<DynamicObject>> {
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
                Api::namespaced_with(client, namespace.unwrap_or(&self.namespace), &resource)
            }
        })
    }
}

/// The objects in a file: YAML, in several documents or one, or JSON.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<DynamicObject>> {
    let text = std::fs::read_to_string(path)?;
    serde_saphyr::from_multiple(&text).context("not a list of objects")
}

/// YAML and JSON files of a folder, by name, and when they were saved; none if it is not there.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
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
