//! From a signature policy in the configuration to one that can be checked, its keys and
//! roots read from the configuration's folder each time, so that rotating one is writing a
//! file.

use std::sync::Arc;

use smol_str::SmolStr;
use windlass_registry::digest::Digest;
use windlass_registry::policy::{self, Identity, Policy, TrustRoots};

use crate::config::ModuleEntry;
use crate::config::signature::{KeyEntry, KeylessEntry, PolicyEntry, SignaturesEntry};
use crate::folder::{Folder, FolderError};

/// Why it cannot be said who must have signed a component.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A key or root cannot be read.
    #[error("signature policy: {0}")]
    Read(#[from] FolderError),
    /// There is no folder to read them from.
    #[error("signature policy: there is no folder to read {0:?} from")]
    NoFolder(String),
    /// A key or root is no text.
    #[error("signature policy: {0} is not a text file")]
    NotText(String),
    /// It cannot be checked.
    #[error(transparent)]
    Unusable(#[from] policy::PolicyError),
    /// It is not there.
    #[error("there is no signature policy {0:?} under `signatures.policies`")]
    Unknown(SmolStr),
    /// It demands nothing.
    #[error("the signature policy names neither a key nor an identity")]
    Empty,
}

/// A policy, and what changes when it or one of its files does.
pub(super) struct Demand {
    pub(super) policy: Policy,
    pub(super) fingerprint: Digest,
}

/// Who must have signed a module's component, if anybody.
pub(super) async fn of(
    entry: &ModuleEntry,
    signatures: &SignaturesEntry,
    folder: Option<&Arc<Folder>>,
) -> Result<Option<Demand>, PolicyError> {
    let policy = match (&entry.signature, &signatures.default) {
        (Some(signature), _) => {
            let unknown = || PolicyError::Unknown(signature.policy.clone().unwrap_or_default());
            signature.resolve(signatures).ok_or_else(unknown)?
        }
        (None, Some(name)) => {
            let unknown = || PolicyError::Unknown(name.clone());
            signatures.policies.get(name).cloned().ok_or_else(unknown)?
        }
        (None, None) => return Ok(None),
    };
    let mut files = Files {
        folder,
        read: format!("{policy:?}"),
    };
    let PolicyEntry { key, keyless } = policy;
    let policy = match (key, keyless) {
        (Some(key), _) => of_key(&key, &mut files).await?,
        (None, Some(keyless)) => of_identity(&keyless, &mut files).await?,
        (None, None) => return Err(PolicyError::Empty),
    };
    Ok(Some(Demand {
        policy,
        fingerprint: Digest::of(files.read.as_bytes()),
    }))
}

async fn of_key(key: &KeyEntry, files: &mut Files<'_>) -> Result<Policy, PolicyError> {
    let pem = match (&key.pem, &key.file) {
        (Some(pem), _) => pem.clone(),
        (None, Some(file)) => files.read(file).await?,
        (None, None) => return Err(PolicyError::Empty),
    };
    Ok(Policy::key(&pem)?)
}

async fn of_identity(keyless: &KeylessEntry, files: &mut Files<'_>) -> Result<Policy, PolicyError> {
    let identity = match (&keyless.identity, &keyless.identity_matches) {
        (Some(identity), _) => Identity::Exact(identity.clone()),
        (None, Some(expression)) => Identity::matching(expression)?,
        (None, None) => return Err(PolicyError::Empty),
    };
    let roots = &keyless.roots;
    if let Some(file) = &roots.trusted_root {
        let json = files.read(file).await?;
        return Ok(Policy::keyless(
            TrustRoots::Json(&json),
            identity,
            &keyless.issuer,
        )?);
    }
    let fulcio = files.read_optional(roots.fulcio.as_deref()).await?;
    let rekor = files.read_optional(roots.rekor.as_deref()).await?;
    let ct_logs = files.read_optional(roots.ct_logs.as_deref()).await?;
    let roots = TrustRoots::Pem {
        fulcio: &fulcio,
        rekor: &rekor,
        ct_logs: &ct_logs,
    };
    Ok(Policy::keyless(roots, identity, &keyless.issuer)?)
}

/// Files of a policy, and all that was read of them.
struct Files<'a> {
    folder: Option<&'a Arc<Folder>>,
    read: String,
}

impl Files<'_> {
    async fn read(&mut self, file: &str) -> Result<String, PolicyError> {
        let folder = self
            .folder
            .ok_or_else(|| PolicyError::NoFolder(file.to_owned()))?;
        let bytes = folder.read(file).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PolicyError::NotText(file.to_owned()))?;
        self.read.push_str(text);
        Ok(text.to_owned())
    }

    async fn read_optional(&mut self, file: Option<&str>) -> Result<String, PolicyError> {
        match file {
            Some(file) => self.read(file).await,
            None => Ok(String::new()),
        }
    }
}
