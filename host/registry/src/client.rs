//! Pulling and pushing guests.
//!
//! Promises: what [`Client::pull`] returns is a component whose manifest and content have
//! the digests they should have, that is within the size limit, and that satisfies the
//! policy if one is given, whether it came from the registry or the cache. When a registry
//! cannot be reached, what its tag pointed to last stands in, and the result says so; a
//! registry that answers is always believed, also when it says that a tag is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::http::{Http, TlsError};
use crate::manifest::{Artifact, ArtifactError, Description, Manifest};
use crate::policy::Policy;
use crate::protocol;
use crate::reference::Reference;
use crate::remote::{Access, Errand, Remote, RemoteError};
use crate::retry::Backoff;
use crate::signature::{self, Evidence, Subject, Verified, VerifyError};
use crate::signing::SigningKey;

const DEFAULT_MAX_COMPONENT: u64 = 64 * 1024 * 1024;
const DEFAULT_TIME: Duration = Duration::from_secs(120);

/// How a client works.
pub struct Options {
    /// Who to be at the registries.
    pub credentials: Credentials,
    /// Registries, as `host` or `host:port`, that are spoken to without TLS.
    pub insecure_registries: Vec<String>,
    /// Certificate authorities in PEM that are trusted besides the system's.
    pub extra_roots: Vec<u8>,
    /// Where content is kept. Without a cache everything is pulled each time.
    pub cache: Option<Cache>,
    /// The largest component taken, in bytes.
    pub max_component: u64,
    /// The time that one operation may take, repetitions included.
    pub time: Duration,
    /// When requests are repeated.
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::anonymous(),
            insecure_registries: Vec::new(),
            extra_roots: Vec::new(),
            cache: None,
            max_component: DEFAULT_MAX_COMPONENT,
            time: DEFAULT_TIME,
            backoff: Backoff::default(),
        }
    }
}

/// What a pull demands.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullOptions<'a> {
    /// Who must have signed the artifact. Without a policy signatures are not looked at.
    pub policy: Option<&'a Policy>,
}

/// What a push adds to the component.
#[derive(Debug)]
pub struct PushOptions<'a> {
    /// What the artifact says about itself.
    pub description: Description,
    /// The key that signs it. Without one it is pushed unsigned.
    pub key: Option<&'a SigningKey>,
}

impl Default for PushOptions<'_> {
    fn default() -> Self {
        Self {
            description: Description {
                created: Timestamp::now(),
                author: None,
                title: None,
                annotations: BTreeMap::new(),
            },
            key: None,
        }
    }
}

/// Where a digest comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the manifest.
    pub digest: Digest,
    /// Why the registry could not be asked, if the digest is the last one known.
    pub stale: Option<String>,
}

/// A pulled component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The component.
    pub bytes: Bytes,
    /// The digest of the manifest: what to pin and what signatures are for.
    pub digest: Digest,
    /// Where the bytes come from.
    pub origin: Origin,
    /// Who signed it, if a policy was given.
    pub verified: Option<Verified>,
}

/// Where a pulled component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Downloaded now.
    Registry,
    /// The cache has the content of this digest.
    Cache,
    /// The registry could not be asked, and the cache has what the tag pointed to last.
    StaleTag {
        /// Why the registry could not be asked.
        reason: String,
    },
}

/// A pushed component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The digest of the manifest with its signatures, if it was signed.
    pub signature: Option<Digest>,
}

/// Why a pull, push or verification failed. The reference is part of each message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry, or the way there.
    #[error("cannot {verb} {reference}: {source}")]
    Remote {
        /// What was tried.
        verb: Verb,
        /// The artifact.
        reference: String,
        /// What happened.
        source: RemoteError,
    },
    /// The content is not a guest, or cannot be pushed as one.
    #[error("cannot {verb} {reference}: {source}")]
    Artifact {
        /// What was tried.
        verb: Verb,
        /// The artifact.
        reference: String,
        /// What it is instead.
        source: ArtifactError,
    },
    /// The signatures do not satisfy the policy.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    /// A digest is what a push yields.
    #[error("cannot push to {reference}: name a tag and no digest")]
    PushToDigest {
        /// The reference.
        reference: String,
    },
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// [`Client::resolve`].
    Resolve,
    /// [`Client::pull`].
    Pull,
    /// [`Client::push`].
    Push,
    /// [`Client::verify`].
    Verify,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Verify => "verify",
        })
    }
}

/// Talks to registries. One client serves any number of registries at the same time.
pub struct Client {
    remote: Remote,
    cache: Option<Cache>,
    max_component: u64,
    time: Duration,
}

/// One operation on one artifact.
#[derive(Clone, Copy)]
struct Task<'a> {
    verb: Verb,
    reference: &'a Reference,
    errand: Errand<'a>,
}

/// Content, and whether it had to be downloaded.
struct Content {
    bytes: Bytes,
    downloaded: bool,
}

impl Task<'_> {
    fn remote(&self, source: RemoteError) -> Error {
        Error::Remote {
            verb: self.verb,
            reference: self.reference.to_string(),
            source,
        }
    }

    fn artifact(&self, source: ArtifactError) -> Error {
        Error::Artifact {
            verb: self.verb,
            reference: self.reference.to_string(),
            source,
        }
    }
}

impl Client {
    /// Makes a client. Nothing is connected to yet.
    ///
    /// # Errors
    /// The extra certificate authorities cannot be used.
    pub fn new(options: Options) -> Result<Self, TlsError> {
        let http = Http::new(&options.extra_roots)?;
        Ok(Self {
            remote: Remote::new(
                http,
                options.credentials,
                options.insecure_registries,
                options.backoff,
            ),
            cache: options.cache,
            max_component: options.max_component,
            time: options.time,
        })
    }

    /// The digest that a reference stands for: its own, or what the registry says its tag
    /// points to, or, with the registry out of reach, what it said last.
    ///
    /// # Errors
    /// [`Error::Remote`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        self.resolve_for(self.task(Verb::Resolve, reference)).await
    }

    /// Pulls a component and, with a policy, verifies it.
    ///
    /// # Errors
    /// [`Error::Remote`], [`Error::Artifact`] if what lies there is not a component or is
    /// too large, [`Error::Unverified`].
    pub async fn pull(&self, reference: &Reference, options: PullOptions<'_>) -> Result<Pulled, Error> {
        let task = self.task(Verb::Pull, reference);
        let resolved = self.resolve_for(task).await?;
        let manifest = self.manifest(task, resolved.digest).await?;
        let verified = match options.policy {
            Some(policy) => Some(
                self.verify_manifest(task, policy, resolved.digest, &manifest.bytes)
                    .await?,
            ),
            None => None,
        };
        let parsed = Manifest::parse(&manifest.bytes).map_err(|error| task.artifact(error))?;
        let layer = parsed
            .wasm_layer(self.max_component)
            .map_err(|error| task.artifact(error))?;
        let component = self.blob(task, layer.digest, layer.size).await?;
        let origin = match resolved.stale {
            Some(reason) => Origin::StaleTag { reason },
            None if manifest.downloaded || component.downloaded => Origin::Registry,
            None => Origin::Cache,
        };
        Ok(Pulled {
            bytes: component.bytes,
            digest: resolved.digest,
            origin,
            verified,
        })
    }

    /// Pushes a component under a tag, and signs it if a key is given.
    ///
    /// # Errors
    /// [`Error::PushToDigest`], [`Error::Artifact`] if it is not a component,
    /// [`Error::Remote`].
    pub async fn push(
        &self,
        reference: &Reference,
        component: Bytes,
        options: &PushOptions<'_>,
    ) -> Result<Pushed, Error> {
        let task = self.task(Verb::Push, reference);
        let (None, Some(tag)) = (reference.digest(), reference.tag()) else {
            return Err(Error::PushToDigest {
                reference: reference.to_string(),
            });
        };
        let artifact =
            Artifact::new(component, &options.description).map_err(|error| task.artifact(error))?;
        for content in [&artifact.layer, &artifact.config] {
            protocol::push_blob(&self.remote, task.errand, content)
                .await
                .map_err(|error| task.remote(error))?;
        }
        let digest = protocol::push_manifest(&self.remote, task.errand, tag, artifact.manifest)
            .await
            .map_err(|error| task.remote(error))?;
        let signature = match options.key {
            Some(key) => Some(
                signature::sign(&self.remote, task.errand, key, digest)
                    .await
                    .map_err(|error| task.remote(error))?,
            ),
            None => None,
        };
        Ok(Pushed { digest, signature })
    }

    /// Checks the signatures of an artifact, without pulling it.
    ///
    /// # Errors
    /// [`Error::Remote`], [`Error::Unverified`].
    pub async fn verify(&self, reference: &Reference, policy: &Policy) -> Result<Verified, Error> {
        let task = self.task(Verb::Verify, reference);
        let resolved = self.resolve_for(task).await?;
        let manifest = self.manifest(task, resolved.digest).await?;
        self.verify_manifest(task, policy, resolved.digest, &manifest.bytes)
            .await
    }

    fn task<'a>(&self, verb: Verb, reference: &'a Reference) -> Task<'a> {
        Task {
            verb,
            reference,
            errand: Errand {
                repository: reference.repository(),
                access: if verb == Verb::Push {
                    Access::Push
                } else {
                    Access::Pull
                },
                deadline: Instant::now() + self.time,
            },
        }
    }

    async fn resolve_for(&self, task: Task<'_>) -> Result<Resolved, Error> {
        let repository = task.reference.repository();
        let tag = match (task.reference.digest(), task.reference.tag()) {
            (Some(digest), _) => return Ok(Resolved { digest, stale: None }),
            (None, tag) => tag.expect("a reference without a digest has a tag"),
        };
        let error = match protocol::resolve(&self.remote, task.errand, tag).await {
            Ok(digest) => {
                if let Some(cache) = &self.cache {
                    cache.keep_tag(repository, tag, digest).await;
                }
                return Ok(Resolved { digest, stale: None });
            }
            Err(error) => error,
        };
        let known = match &self.cache {
            Some(cache) if error.is_unavailable() => cache.tag(repository, tag).await,
            _ => None,
        };
        let Some(digest) = known else {
            return Err(task.remote(error));
        };
        tracing::warn!(reference = %task.reference, %digest, %error, "tag cannot be resolved, its last known digest is used");
        Ok(Resolved {
            digest,
            stale: Some(error.to_string()),
        })
    }

    async fn manifest(&self, task: Task<'_>, digest: Digest) -> Result<Content, Error> {
        let download = protocol::manifest(&self.remote, task.errand, digest);
        self.content(task, digest, download).await
    }

    async fn blob(&self, task: Task<'_>, digest: Digest, size: u64) -> Result<Content, Error> {
        let download = protocol::blob(&self.remote, task.errand, digest, size);
        self.content(task, digest, download).await
    }

    async fn content(
        &self,
        task: Task<'_>,
        digest: Digest,
        download: impl Future<Output = Result<Bytes, RemoteError>>,
    ) -> Result<Content, Error> {
        if let Some(cache) = &self.cache
            && let Some(bytes) = cache.blob(digest).await
        {
            return Ok(Content {
                bytes,
                downloaded: false,
            });
        }
        let bytes = download.await.map_err(|error| task.remote(error))?;
        if let Some(cache) = &self.cache {
            cache.keep_blob(digest, bytes.clone()).await;
        }
        Ok(Content {
            bytes,
            downloaded: true,
        })
    }

    /// Checks the signatures that are cached, then those in the registry: a signature that
    /// satisfies the policy once does so for good, but others may be added.
    async fn verify_manifest(
        &self,
        task: Task<'_>,
        policy: &Policy,
        digest: Digest,
        manifest: &[u8],
    ) -> Result<Verified, Error> {
        let subject = Subject {
            reference: task.reference,
            digest,
            manifest,
        };
        let cached = self.cached_signatures(digest).await;
        if let Ok(verified) = signature::verify(policy, &subject, &cached) {
            return Ok(verified);
        }
        let evidence = signature::find(&self.remote, task.errand, digest)
            .await
            .map_err(|error| task.remote(error))?;
        let verified = signature::verify(policy, &subject, &evidence)?;
        if let Some(cache) = &self.cache {
            cache
                .keep_signatures(digest, crate::manifest::json(&evidence))
                .await;
        }
        Ok(verified)
    }

    async fn cached_signatures(&self, digest: Digest) -> Vec<Evidence> {
        let Some(cache) = &self.cache else {
            return Vec::new();
        };
        let content = cache.signatures(digest).await.unwrap_or_default();
        serde_json::from_slice(&content).unwrap_or_default()
    }
}
