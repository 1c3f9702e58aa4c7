//! Components in registries.

use windlass_registry::TlsError;
use windlass_registry::client::{self, Origin, PullOptions, Pulled};
use windlass_registry::digest::Digest;
use windlass_registry::reference::Reference;

use super::credentials::{Places, Visitor};
use super::policy::{self, Demand};
use super::{Artifact, Settings, SourceError, Sources, Stamp};
use crate::config::ModuleEntry;
use crate::config::source::OciSource;

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Not pulled, or not what it should be.
    #[error("{source}{}", passed_over(credentials))]
    Pull {
        /// What happened.
        source: Box<client::Error>,
        /// Credentials that were passed over, and why.
        credentials: Vec<String>,
    },
    /// The certificate authorities of this machine cannot be used.
    #[error("no TLS: {0}")]
    Tls(#[from] TlsError),
}

fn passed_over(credentials: &[String]) -> String {
    if credentials.is_empty() {
        return String::new();
    }
    format!(" ({})", credentials.join("; "))
}

impl Sources {
    /// Pulls an artifact and holds it to its policy.
    pub(super) async fn pull(
        &self,
        entry: &ModuleEntry,
        source: &OciSource,
    ) -> Result<Artifact, SourceError> {
        let settings = self.settings.load_full();
        let demand = policy::of(entry, &settings.signatures, self.folder.as_ref()).await?;
        let visitor = self.visitor(&settings, source).await?;
        let options = PullOptions {
            policy: demand.as_ref().map(|demand| &demand.policy),
        };
        match visitor.client.pull(&source.reference, options).await {
            Ok(pulled) => {
                for problem in visitor.passed_over {
                    tracing::warn!(controller = %entry.name, problem, "credentials passed over");
                }
                Ok(Artifact {
                    origin: origin(&source.reference, &pulled),
                    stamp: Some(stamp(pulled.digest, demand.as_ref())),
                    bytes: pulled.bytes,
                })
            }
            Err(error) => Err(SourceError::Oci(OciError::Pull {
                source: Box::new(error),
                credentials: visitor.passed_over,
            })),
        }
    }

    /// What a tag points to, and what is demanded of it.
    pub(super) async fn resolve(&self, entry: &ModuleEntry, source: &OciSource) -> Option<Stamp> {
        let settings = self.settings.load_full();
        let demand = policy::of(entry, &settings.signatures, self.folder.as_ref())
            .await
            .ok()?;
        let visitor = self.visitor(&settings, source).await.ok()?;
        let resolved = visitor.client.resolve(&source.reference).await.ok()?;
        Some(stamp(resolved.digest, demand.as_ref()))
    }

    async fn visitor(&self, settings: &Settings, source: &OciSource) -> Result<Visitor, OciError> {
        let places = Places {
            settings: &settings.registry,
            pull_secret: source.pull_secret.as_ref(),
            cluster: self.client(),
            folder: self.folder.as_ref(),
        };
        let repository = source.reference.repository();
        Ok(self.registries.visitor(repository, &places).await?)
    }
}

fn stamp(digest: Digest, demand: Option<&Demand>) -> Stamp {
    Stamp::Manifest {
        digest,
        policy: demand.map(|demand| demand.fingerprint),
    }
}

/// Where it came from: the reference, the digest if the reference does not say it, who
/// signed it, and that the registry could not be asked.
fn origin(reference: &Reference, pulled: &Pulled) -> String {
    let mut details = Vec::new();
    if reference.digest().is_none() {
        details.push(format!("manifest {}", pulled.digest));
    }
    details.extend(
        pulled
            .verified
            .as_ref()
            .map(|verified| format!("signed by {}", verified.signer)),
    );
    if let Origin::StaleTag { reason } = &pulled.origin {
        details.push(format!("what its tag pointed to last, because {reason}"));
    }
    if details.is_empty() {
        return format!("oci {reference}");
    }
    format!("oci {reference} ({})", details.join(", "))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_origin_says_what_is_behind_a_tag_and_that_it_may_be_stale() {
        let digest = Digest::of(b"");
        let mut pulled = Pulled {
            bytes: Bytes::new(),
            digest,
            origin: Origin::Registry,
            verified: None,
        };
        let tag: Reference = "ghcr.io/acme/guest:1".parse().unwrap();
        assert_eq!(
            origin(&tag, &pulled),
            format!("oci ghcr.io/acme/guest:1 (manifest {digest})")
        );
        let pinned = tag.with_digest(digest);
        assert_eq!(origin(&pinned, &pulled), format!("oci {pinned}"));
        pulled.origin = Origin::StaleTag {
            reason: "cannot reach registry ghcr.io: no".to_owned(),
        };
        let stale = "what its tag pointed to last, because cannot reach registry ghcr.io: no";
        assert_eq!(
            origin(&tag, &pulled),
            format!("oci ghcr.io/acme/guest:1 (manifest {digest}, {stale})")
        );
    }
}
