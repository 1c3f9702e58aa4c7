//! The Kubernetes objects that a project brings along: definitions in `crds`, objects to
//! try it on in `examples`. Applied when they are new and when they are saved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use kube::{Client, ResourceExt};

use crate::output::one_line;
use crate::workbench::objects::{self, Objects};

const NAMESPACE: &str = "default";

pub(super) struct Manifests {
    folder: PathBuf,
    cluster: Objects,
    applied: HashMap<PathBuf, SystemTime>,
}

impl Manifests {
    pub(super) fn of(folder: &Path, client: Client) -> Self {
        Self {
            folder: folder.to_owned(),
            cluster: Objects::new(client, NAMESPACE),
            applied: HashMap::new(),
        }
    }

    /// Applies what was saved in a folder of the project, in the order of the files' names.
    pub(super) async fn apply(&mut self, folder: &str) {
        for (path, modified) in objects::files(&self.folder.join(folder)) {
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
        let objects = objects::read(path)?;
        for object in &objects {
            let applied = self.cluster.replace(object).await;
            applied.with_context(|| object.name_any())?;
        }
        Ok(objects.len())
    }
}
