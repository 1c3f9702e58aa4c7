//! Who the host is at a registry, and the clients that know it.
//!
//! Credentials are looked for in the module's pull secret, the host's, and Docker's
//! configuration, in this order; the first that has some for the repository decides. They
//! are read anew each time, so that a rotated one is used. What is missing on the way does
//! not fail a pull by itself, as with kubelets: it is told when the pull fails.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use windlass_cluster::client::ApiClient;
use windlass_core::key::Resource;
use windlass_registry::TlsError;
use windlass_registry::cache::Cache;
use windlass_registry::client::{Client, Options};
use windlass_registry::credentials::{Credential, Credentials, Helpers};
use windlass_registry::reference::Repository;

use crate::config::host::RegistryEntry;
use crate::config::source::SecretReference;
use crate::folder::{Folder, FolderError};

/// Clients that are kept. More only means that tokens are fetched again.
const MAX_CLIENTS: usize = 32;
const DOCKER_CONFIG: &str = "config.json";
const SECRET_TYPE: &str = "kubernetes.io/dockerconfigjson";
const SECRET_KEY: &str = ".dockerconfigjson";

/// Clients of registries.
#[derive(Default)]
pub(super) struct Registries {
    pub(super) cache: Option<Cache>,
    pub(super) docker_folder: Option<PathBuf>,
    clients: Mutex<VecDeque<Kept>>,
}

/// A client for one registry and credential. It keeps the tokens that it was given.
struct Kept {
    registry: String,
    credential: Credential,
    insecure: Vec<String>,
    client: Arc<Client>,
}

/// Where credentials may be.
pub(super) struct Places<'a> {
    pub(super) settings: &'a RegistryEntry,
    pub(super) pull_secret: Option<&'a SecretReference>,
    pub(super) cluster: Option<ApiClient>,
    pub(super) folder: Option<&'a Arc<Folder>>,
}

/// A client, and why it has no better credentials.
pub(super) struct Visitor {
    pub(super) client: Arc<Client>,
    pub(super) passed_over: Vec<String>,
}

impl Registries {
    /// A client for this repository.
    pub(super) async fn visitor(
        &self,
        repository: &Repository,
        places: &Places<'_>,
    ) -> Result<Visitor, TlsError> {
        let mut passed_over = Vec::new();
        let credential = self.credential(repository, places, &mut passed_over).await;
        let client = self.client(repository.registry(), credential, &places.settings.insecure_hosts)?;
        Ok(Visitor { client, passed_over })
    }

    async fn credential(
        &self,
        repository: &Repository,
        places: &Places<'_>,
        passed_over: &mut Vec<String>,
    ) -> Credential {
        for secret in places
            .pull_secret
            .into_iter()
            .chain(&places.settings.pull_secrets)
        {
            let name = format!("pull secret {}/{}", secret.namespace, secret.name);
            let found = async {
                let config = read_secret(places.cluster.as_ref(), secret).await?;
                find(&config, Helpers::Ignore, repository).await
            };
            match found.await {
                Ok(Some(credential)) => return credential,
                Ok(None) => passed_over.push(format!("{name} has nothing for {}", repository.registry())),
                Err(problem) => passed_over.push(format!("{name}: {problem}")),
            }
        }
        let found = async {
            match self.docker_config(places).await? {
                Some(config) => find(&config, Helpers::Run, repository).await,
                None => Ok(None),
            }
        };
        match found.await {
            Ok(credential) => credential.unwrap_or(Credential::Anonymous),
            Err(problem) => {
                passed_over.push(format!("Docker's configuration: {problem}"));
                Credential::Anonymous
            }
        }
    }

    async fn docker_config(&self, places: &Places<'_>) -> Result<Option<Bytes>, String> {
        if let Some(file) = &places.settings.docker_config {
            let folder = places.folder.ok_or("there is no folder to read it from")?;
            return folder
                .read(file)
                .await
                .map(Some)
                .map_err(|error| error.to_string());
        }
        let Some(folder) = &self.docker_folder else {
            return Ok(None);
        };
        let read = async { Folder::open(folder)?.read(DOCKER_CONFIG).await };
        match read.await {
            Ok(config) => Ok(Some(config)),
            Err(FolderError::Open { source, .. } | FolderError::Read { source, .. })
                if source.kind() == ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn client(
        &self,
        registry: &str,
        credential: Credential,
        insecure: &[String],
    ) -> Result<Arc<Client>, TlsError> {
        let mut clients = self.clients.lock();
        let is_same = |kept: &Kept| {
            kept.registry == registry && kept.credential == credential && kept.insecure == insecure
        };
        let kept = match clients.iter().position(is_same).and_then(|at| clients.remove(at)) {
            Some(kept) => kept,
            None => Kept {
                client: Arc::new(Client::new(Options {
                    credentials: Credentials::anonymous().with(registry, credential.clone()),
                    insecure_registries: insecure.to_vec(),
                    cache: self.cache.clone(),
                    ..Options::default()
                })?),
                registry: registry.to_owned(),
                credential,
                insecure: insecure.to_vec(),
            },
        };
        let client = Arc::clone(&kept.client);
        clients.push_back(kept);
        if clients.len() > MAX_CLIENTS {
            clients.pop_front();
        }
        Ok(client)
    }
}

/// What a configuration of Docker's has for a repository. Nothing of it is in the error.
async fn find(
    config: &[u8],
    helpers: Helpers,
    repository: &Repository,
) -> Result<Option<Credential>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let credentials = Credentials::from_docker_config(config, helpers).map_err(|error| text(&error))?;
    match credentials.find(repository).await {
        Ok(Credential::Anonymous) => Ok(None),
        Ok(credential) => Ok(Some(credential)),
        Err(error) => Err(text(&error)),
    }
}

async fn read_secret(cluster: Option<&ApiClient>, secret: &SecretReference) -> Result<Vec<u8>, String> {
    let cluster = cluster.ok_or("there is no cluster to read it from")?;
    let collection = Resource::new("", "v1", "secrets").path(&secret.namespace);
    let object = cluster
        .get(&format!("{collection}/{}", secret.name), "application/json")
        .await
        .map_err(|error| error.message)?;
    docker_config_of(&object)
}

/// The configuration in a Secret. Nothing of it is in the error.
fn docker_config_of(object: &[u8]) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    struct Secret {
        #[serde(default)]
        r#type: String,
        #[serde(default)]
        data: BTreeMap<String, String>,
    }

    let secret: Secret = serde_json::from_slice(object).map_err(|_| "it is not a Secret".to_owned())?;
    if secret.r#type != SECRET_TYPE {
        return Err(format!(
            "it is of type {:?}; make one of type {SECRET_TYPE} with `kubectl create secret docker-registry`",
            secret.r#type
        ));
    }
    let encoded = secret
        .data
        .get(SECRET_KEY)
        .ok_or_else(|| format!("it has no {SECRET_KEY}"))?;
    BASE64_STANDARD
        .decode(encoded)
        .map_err(|_| format!("its {SECRET_KEY} is not Base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_another_kind_is_refused_without_a_word_of_it() {
        let refusal = |object: &str| docker_config_of(object.as_bytes()).unwrap_err();
        let opaque = refusal(r#"{"type":"Opaque","data":{".dockerconfigjson":"aHVudGVyMg=="}}"#);
        assert!(
            opaque.starts_with("it is of type \"Opaque\"; make one of type kubernetes.io/dockerconfigjson")
        );
        let broken =
            refusal(r#"{"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"hunter2!"}}"#);
        assert_eq!(broken, "its .dockerconfigjson is not Base64");
        assert_eq!(refusal(r#"{"data":"hunter2"}"#), "it is not a Secret");
    }

    #[test]
    fn clients_are_kept_per_credential() {
        let registries = Registries::default();
        let client = |credential| registries.client("a", credential, &[]).unwrap();
        let first = client(Credential::Anonymous);
        assert!(Arc::ptr_eq(&first, &client(Credential::Anonymous)));
        let token = Credential::RegistryToken(windlass_registry::secret::Secret::new("t"));
        assert!(!Arc::ptr_eq(&first, &client(token)));
    }
}
