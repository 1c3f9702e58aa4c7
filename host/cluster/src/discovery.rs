//! What resources the API server has.
//!
//! Aggregated discovery (two requests), or where a server does not offer it the plain form
//! (one request per group and version). Promises: lookups never wait; a group that cannot
//! be asked keeps what was known of it, so that one broken extension server does not make
//! resources vanish.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use smol_str::SmolStr;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{Resource, ResourceInfo};
use windlass_core::seams::Discovery;

use self::wire::{GroupVersion, Served};
use crate::client::ApiClient;

mod wire;

/// Lookups of unknown resources do not ask the server more often than this.
const MIN_PERIOD: Duration = Duration::from_secs(1);

/// What discovery found last.
pub struct DiscoveryCache {
    client: Option<ApiClient>,
    known: ArcSwap<Known>,
    last_refresh: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    versions: Vec<GroupVersion>,
    by_resource: HashMap<Resource, ResourceInfo>,
    by_kind: HashMap<(SmolStr, SmolStr, SmolStr), ResourceInfo>,
    deletable: Vec<ResourceInfo>,
}

impl DiscoveryCache {
    /// Knows nothing before the first [`DiscoveryCache::refresh`].
    #[must_use]
    pub fn new(client: ApiClient) -> Self {
        Self {
            client: Some(client),
            known: ArcSwap::default(),
            last_refresh: Mutex::default(),
        }
    }

    /// Knows these, with all verbs, and never asks a server.
    #[must_use]
    pub fn fixed(resources: Vec<ResourceInfo>) -> Self {
        let version = |info: ResourceInfo| GroupVersion {
            group: info.resource.group.clone(),
            version: info.resource.version.clone(),
            resources: Some(vec![Served {
                info,
                deletable: true,
            }]),
        };
        let known = Known::new(resources.into_iter().map(version).collect());
        Self {
            client: None,
            known: ArcSwap::from_pointee(known),
            last_refresh: Mutex::default(),
        }
    }

    /// Asks the server.
    ///
    /// # Errors
    /// When it does not answer. What was known stays.
    pub async fn refresh(&self) -> Result<(), ApiError> {
        let mut last_refresh = self.last_refresh.lock().await;
        self.refresh_locked(&mut last_refresh).await
    }

    async fn refresh_locked(&self, last_refresh: &mut Option<Instant>) -> Result<(), ApiError> {
        let Some(client) = &self.client else { return Ok(()) };
        let mut versions = wire::fetch(client, "/api").await?;
        versions.extend(wire::fetch(client, "/apis").await?);
        let previous = self.known.load();
        for version in &mut versions {
            version.fall_back_on(&previous.versions);
        }
        self.known.store(Arc::new(Known::new(versions)));
        *last_refresh = Some(Instant::now());
        Ok(())
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.known.load().versions.is_empty()
    }

    /// A resource, as far as known.
    #[must_use]
    pub fn lookup(&self, resource: &Resource) -> Option<ResourceInfo> {
        self.known.load().by_resource.get(resource).cloned()
    }

    /// A resource; the server is asked if it is not known, but at most once a second.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn find(&self, resource: &Resource) -> Result<Option<ResourceInfo>, ApiError> {
        if let Some(info) = self.lookup(resource) {
            return Ok(Some(info));
        }
        let mut last_refresh = self.last_refresh.lock().await;
        if last_refresh.is_none_or(|last| last.elapsed() >= MIN_PERIOD) {
            self.refresh_locked(&mut last_refresh).await?;
        }
        Ok(self.lookup(resource))
    }

    /// Every resource that can be deleted, listed and watched, each in the version that
    /// its group prefers.
    #[must_use]
    pub fn deletable(&self) -> Vec<ResourceInfo> {
        self.known.load().deletable.clone()
    }
}

impl Discovery for DiscoveryCache {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<ResourceInfo> {
        self.known
            .load()
            .by_kind
            .get(&(group.into(), version.into(), kind.into()))
            .cloned()
    }
}

impl Known {
    fn new(versions: Vec<GroupVersion>) -> Self {
        let mut known = Self::default();
        for version in &versions {
            for Served { info, deletable } in version.resources.iter().flatten() {
                let Resource {
                    group,
                    version,
                    plural,
                } = &info.resource;
                let kind = (group.clone(), version.clone(), info.kind.clone());
                known.by_resource.insert(info.resource.clone(), info.clone());
                known.by_kind.entry(kind).or_insert_with(|| info.clone());
                // Versions come in the order of preference.
                let same =
                    |other: &ResourceInfo| other.resource.group == *group && other.resource.plural == *plural;
                if *deletable && !known.deletable.iter().any(same) {
                    known.deletable.push(info.clone());
                }
            }
        }
        known.versions = versions;
        known
    }
}

impl GroupVersion {
    /// Takes what was known before if the server could not say.
    fn fall_back_on(&mut self, previous: &[Self]) {
        if self.resources.is_some() {
            return;
        }
        warn!(group = %self.group, version = %self.version, "discovery of this group failed, keeping what was known");
        let same = |other: &&Self| other.group == self.group && other.version == self.version;
        self.resources = previous
            .iter()
            .find(same)
            .and_then(|known| known.resources.clone());
    }
}

/// For messages about answers that are no discovery documents.
fn unexpected(path: &str, detail: impl std::fmt::Display) -> ApiError {
    ApiError::local(ApiErrorKind::Other, format!("discovery at {path}: {detail}"))
}
