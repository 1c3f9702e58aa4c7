//! Components in ConfigMaps, each followed by a watch of that one object.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_cluster::client::ApiClient;
use windlass_cluster::object_watch::{ObjectWatch, Observed};
use windlass_core::key::{ObjectKey, Resource};
use windlass_registry::digest::Digest;

use super::{Artifact, Stamp};
use crate::config::source::ConfigMapSource;

/// Why a ConfigMap has no component for a module.
#[derive(Debug, thiserror::Error)]
pub enum ConfigMapError {
    /// There is no API server to ask.
    #[error("ConfigMap {key}: there is no cluster to read it from")]
    NoCluster {
        /// Which.
        key: ObjectKey,
    },
    /// The API server cannot be asked.
    #[error("cannot watch ConfigMap {key}: {problem}; the host needs `list` and `watch` on it")]
    Unreachable {
        /// Which.
        key: ObjectKey,
        /// What the server or the connection said.
        problem: String,
    },
    /// The names cannot be those of an object.
    #[error("cannot watch ConfigMap {key}: {problem}")]
    Name {
        /// Which.
        key: ObjectKey,
        /// What is wrong.
        problem: String,
    },
    /// It does not exist.
    #[error("there is no ConfigMap {key}")]
    Absent {
        /// Which.
        key: ObjectKey,
    },
    /// It is text.
    #[error(
        "ConfigMap {key} has {item:?} under `data`, which is for text; put the component under `binaryData`, as \
         `kubectl create configmap {} --from-file={item}=FILE` does",
        key.name
    )]
    Text {
        /// Which.
        key: ObjectKey,
        /// The key in it.
        item: String,
    },
    /// It has other keys.
    #[error("ConfigMap {key} has no {item:?} under `binaryData`; it has {present}")]
    NoItem {
        /// Which.
        key: ObjectKey,
        /// The key in it.
        item: String,
        /// What there is.
        present: String,
    },
    /// The server sent something else.
    #[error("ConfigMap {key} cannot be read: {problem}")]
    Malformed {
        /// Which.
        key: ObjectKey,
        /// What is wrong.
        problem: String,
    },
}

/// The ConfigMaps that are followed. Modules share the watch of one.
#[derive(Default)]
pub(super) struct ConfigMaps {
    followed: Mutex<HashMap<ObjectKey, Weak<Followed>>>,
}

/// One ConfigMap, followed until this is dropped.
pub(super) struct Followed {
    observed: watch::Receiver<Observed>,
    task: JoinHandle<()>,
}

impl Followed {
    pub(super) fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.clone()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ConfigMaps {
    /// Follows a ConfigMap; whoever else does already shares the watch.
    pub(super) fn follow(
        &self,
        client: Option<ApiClient>,
        source: &ConfigMapSource,
    ) -> Result<Arc<Followed>, ConfigMapError> {
        let key = ObjectKey::new(&source.namespace, &source.name);
        let mut followed = self.followed.lock();
        if let Some(present) = followed.get(&key).and_then(Weak::upgrade) {
            return Ok(present);
        }
        let client = client.ok_or_else(|| ConfigMapError::NoCluster { key: key.clone() })?;
        let resource = Resource::new("", "v1", "configmaps");
        let watch = ObjectWatch::new(client, &resource, key.clone()).map_err(|error| {
            let (key, problem) = (key.clone(), error.message);
            ConfigMapError::Name { key, problem }
        })?;
        let new = Arc::new(Followed {
            observed: watch.observed(),
            task: tokio::spawn(watch.run()),
        });
        followed.retain(|_, present| present.strong_count() > 0);
        followed.insert(key, Arc::downgrade(&new));
        Ok(new)
    }

    /// Its component, as far as the watch has seen it.
    pub(super) async fn fetch(
        &self,
        client: Option<ApiClient>,
        source: &ConfigMapSource,
    ) -> Result<Artifact, ConfigMapError> {
        let followed = self.follow(client, source)?;
        let mut observed = followed.observed();
        let seen = match observed.wait_for(|observed| *observed != Observed::Unknown).await {
            Ok(seen) => seen.clone(),
            Err(_) => Observed::Unreachable("the watch has ended".to_owned()),
        };
        let key = ObjectKey::new(&source.namespace, &source.name);
        match seen {
            Observed::Present(object) => component(key, &source.key, &object),
            Observed::Absent => Err(ConfigMapError::Absent { key }),
            Observed::Unreachable(problem) => Err(ConfigMapError::Unreachable { key, problem }),
            Observed::Unknown => Err(ConfigMapError::Unreachable {
                key,
                problem: "no answer yet".to_owned(),
            }),
        }
    }
}

/// What matters of a ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigMap {
    data: Option<BTreeMap<String, IgnoredAny>>,
    binary_data: Option<BTreeMap<String, String>>,
}

fn component(key: ObjectKey, item: &str, object: &[u8]) -> Result<Artifact, ConfigMapError> {
    let ConfigMap { data, binary_data } = match serde_json::from_slice(object) {
        Ok(read) => read,
        Err(error) => {
            let problem = error.to_string();
            return Err(ConfigMapError::Malformed { key, problem });
        }
    };
    let (item, mut binary_data) = (item.to_owned(), binary_data.unwrap_or_default());
    let Some(encoded) = binary_data.remove(&item) else {
        if data.is_some_and(|data| data.contains_key(&item)) {
            return Err(ConfigMapError::Text { key, item });
        }
        let present: Vec<String> = binary_data.into_keys().collect();
        let present = if present.is_empty() {
            "nothing there".to_owned()
        } else {
            present.join(", ")
        };
        return Err(ConfigMapError::NoItem { key, item, present });
    };
    match BASE64_STANDARD.decode(encoded) {
        Ok(bytes) => Ok(Artifact {
            origin: format!("ConfigMap {key}, {item}"),
            stamp: Some(Stamp::Content(Digest::of(&bytes))),
            bytes: bytes.into(),
        }),
        Err(error) => {
            let problem = format!("{item:?} under `binaryData` is not Base64: {error}");
            Err(ConfigMapError::Malformed { key, problem })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(item: &str, object: &str) -> Result<Artifact, String> {
        component(ObjectKey::new("ns", "guests"), item, object.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_component_is_what_is_under_binary_data() {
        let artifact = fetched(
            "a.wasm",
            r#"{"metadata":{},"binaryData":{"a.wasm":"AGFzbQ==","b":"!"}}"#,
        )
        .unwrap();
        assert_eq!(artifact.bytes.as_ref(), b"\0asm");
        assert_eq!(artifact.origin, "ConfigMap ns/guests, a.wasm");
        let relabelled = fetched(
            "a.wasm",
            r#"{"metadata":{"labels":{"a":"b"}},"binaryData":{"a.wasm":"AGFzbQ=="}}"#,
        );
        assert_eq!(artifact.stamp, relabelled.unwrap().stamp);
    }

    #[test]
    fn what_is_wrong_says_where_the_component_belongs() {
        assert_eq!(
            fetched("a.wasm", r#"{"data":{"a.wasm":"AGFzbQ=="}}"#).unwrap_err(),
            "ConfigMap ns/guests has \"a.wasm\" under `data`, which is for text; put the component under `binaryData`, \
             as `kubectl create configmap guests --from-file=a.wasm=FILE` does"
        );
        assert_eq!(
            fetched("a.wasm", r#"{"binaryData":{"b.wasm":"","c":""}}"#).unwrap_err(),
            "ConfigMap ns/guests has no \"a.wasm\" under `binaryData`; it has b.wasm, c"
        );
        assert_eq!(
            fetched("a.wasm", "{}").unwrap_err(),
            "ConfigMap ns/guests has no \"a.wasm\" under `binaryData`; it has nothing there"
        );
        let broken = fetched("a", r#"{"binaryData":{"a":"?"}}"#).unwrap_err();
        assert!(
            broken.starts_with("ConfigMap ns/guests cannot be read: \"a\" under `binaryData` is not Base64"),
            "{broken}"
        );
    }
}
