//! Credentials for registries, as Docker's `config.json` and the Secrets of type
//! `kubernetes.io/dockerconfigjson` hold them.
//!
//! Promises: what is secret is a [`Secret`] from the moment it is parsed, and no error
//! quotes the file or a helper's output. Helper programs run only if the caller says so:
//! a Secret from a cluster must not choose what the host executes.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use crate::reference::Repository;
use crate::secret::Secret;

const HELPER_TIME: Duration = Duration::from_secs(30);
/// What helpers print for a registry that they hold nothing for
/// (`docker-credential-helpers/credentials`).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name by which helpers and files say that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// How Docker Hub is called in Docker's configuration.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Who to be at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nobody.
    Anonymous,
    /// A user with a password, or with an access token in its place.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth 2 refresh token, to be exchanged at the registry's token service.
    IdentityToken(Secret),
    /// A token that the registry takes as it is.
    RegistryToken(Secret),
}

/// Whether helper programs named by a configuration may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helpers {
    /// `docker-credential-<name>` is looked for in the search path and run.
    Run,
    /// Entries that name helpers are passed over.
    Ignore,
}

/// Credentials by registry. The default holds none.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    entries: BTreeMap<String, Credential>,
    /// By registry; the empty name is the store for all others.
    helpers: BTreeMap<String, String>,
}

/// Why credentials cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The configuration is not JSON of the form that Docker writes. Its text is secret,
    /// so only the place is named.
    #[error("the registry credentials are not a Docker config.json: line {line}, column {column}")]
    Malformed {
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
    },
    /// The `auth` of an entry is not `user:password` in Base64.
    #[error(
        "the registry credentials for `{registry}` are malformed: `auth` must be `user:password` in Base64"
    )]
    Auth {
        /// The entry.
        registry: String,
    },
    /// A helper's name could leave the search path.
    #[error(
        "`{helper}` is not a credential helper: write what follows `docker-credential-` in its file name"
    )]
    HelperName {
        /// The name.
        helper: String,
    },
    /// The helper cannot be started.
    #[error("cannot run `docker-credential-{helper}` for `{registry}`; is it installed and in PATH?")]
    HelperMissing {
        /// The helper.
        helper: String,
        /// The registry that it was to be asked for.
        registry: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The helper failed, took too long, or did not answer in the helpers' protocol.
    #[error(
        "`docker-credential-{helper}` did not give credentials for `{registry}`: {problem}; \
         try `echo {registry} | docker-credential-{helper} get`"
    )]
    HelperFailed {
        /// The helper.
        helper: String,
        /// The registry that it was asked for.
        registry: String,
        /// What happened, without its output.
        problem: String,
    },
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Credentials {
    /// No credentials: every registry is visited anonymously.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Reads Docker's `config.json`, or the `.dockerconfigjson` of a Secret.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`], [`CredentialError::Auth`] or
    /// [`CredentialError::HelperName`].
    pub fn from_docker_config(config: &[u8], helpers: Helpers) -> Result<Self, CredentialError> {
        let file: ConfigFile =
            serde_json::from_slice(config).map_err(|error| CredentialError::Malformed {
                line: error.line(),
                column: error.column(),
            })?;
        let mut credentials = Self::default();
        for (key, entry) in file.auths {
            if let Some(credential) = credential_of(&key, entry)? {
                credentials.entries.insert(normalise(&key), credential);
            }
        }
        if helpers == Helpers::Run {
            let store = file.creds_store.map(|helper| (String::new(), helper));
            for (registry, helper) in file.cred_helpers.into_iter().chain(store) {
                check_helper_name(&helper)?;
                credentials.helpers.insert(normalise(&registry), helper);
            }
        }
        Ok(credentials)
    }

    /// Adds a credential for a registry, in place of one that was there.
    #[must_use]
    pub fn with(mut self, registry: &str, credential: Credential) -> Self {
        self.entries.insert(normalise(registry), credential);
        self
    }

    /// Who to be at this repository: the registry's helper if there is one, then the entry
    /// with the longest path that the repository lies under, then the store for all.
    ///
    /// # Errors
    /// A helper that is missing or fails.
    pub async fn find(&self, repository: &Repository) -> Result<Credential, CredentialError> {
        let registry = normalise(repository.registry());
        if let Some(helper) = self.helpers.get(&registry) {
            return ask(helper, &registry).await;
        }
        if let Some(credential) = self.entry(&format!("{registry}/{}", repository.path())) {
            return Ok(credential.clone());
        }
        match self.helpers.get("") {
            Some(helper) => ask(helper, &registry).await,
            None => Ok(Credential::Anonymous),
        }
    }

    fn entry(&self, repository: &str) -> Option<&Credential> {
        let mut prefix = repository;
        loop {
            if let Some(credential) = self.entries.get(prefix) {
                return Some(credential);
            }
            prefix = prefix.rsplit_once('/')?.0;
        }
    }
}

/// `https://host/v1/` and `host` are the same key; all names of Docker Hub are one.
fn normalise(key: &str) -> String {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
        .trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    format!("{}{path}", host.to_ascii_lowercase())
}

/// The credential of an entry; nothing for entries that only say "ask the store".
fn credential_of(registry: &str, entry: Entry) -> Result<Option<Credential>, CredentialError> {
    if !entry.identitytoken.is_empty() {
        return Ok(Some(Credential::IdentityToken(Secret::new(entry.identitytoken))));
    }
    if !entry.registrytoken.is_empty() {
        return Ok(Some(Credential::RegistryToken(Secret::new(entry.registrytoken))));
    }
    if !entry.auth.is_empty() {
        return decode_auth(&entry.auth)
            .map(Some)
            .ok_or_else(|| CredentialError::Auth {
                registry: registry.to_owned(),
            });
    }
    Ok((!entry.username.is_empty()).then(|| basic(entry.username, entry.password)))
}

fn decode_auth(auth: &str) -> Option<Credential> {
    let auth = auth.trim();
    let bytes = BASE64_STANDARD
        .decode(auth)
        .or_else(|_| BASE64_STANDARD_NO_PAD.decode(auth))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker pads old entries with zero bytes (`docker/cli/cli/config/configfile`).
    Some(basic(
        username.to_owned(),
        password.trim_end_matches('\0').to_owned(),
    ))
}

fn basic(username: String, password: String) -> Credential {
    if username == TOKEN_USER {
        return Credential::IdentityToken(Secret::new(password));
    }
    Credential::Basic {
        username,
        password: Secret::new(password),
    }
}

fn check_helper_name(helper: &str) -> Result<(), CredentialError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !helper.is_empty() && helper.bytes().all(is_name) {
        return Ok(());
    }
    Err(CredentialError::HelperName {
        helper: helper.to_owned(),
    })
}

/// Runs a helper: the registry on its standard input, JSON on its output.
async fn ask(helper: &str, registry: &str) -> Result<Credential, CredentialError> {
    let failed = |problem: String| CredentialError::HelperFailed {
        helper: helper.to_owned(),
        registry: registry.to_owned(),
        problem,
    };
    let key = if registry == "docker.io" {
        HUB_KEY
    } else {
        registry
    };
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CredentialError::HelperMissing {
            helper: helper.to_owned(),
            registry: registry.to_owned(),
            source,
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that exits without reading has its say by its status.
        let _ = stdin.write_all(key.as_bytes()).await;
    }
    let output = tokio::time::timeout(HELPER_TIME, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("it took longer than {} s", HELPER_TIME.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let says = String::from_utf8_lossy(&output.stdout);
        return match says.trim() {
            NOT_FOUND => Ok(Credential::Anonymous),
            _ => Err(failed(output.status.to_string())),
        };
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("its answer is not JSON".to_owned()))?;
    Ok(basic(answer.username, answer.secret))
}

#[cfg(test)]
mod tests;
