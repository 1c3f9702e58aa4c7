//! Discovery documents in both of their forms.

use serde::Deserialize;
use smol_str::SmolStr;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{Resource, ResourceInfo};

use super::unexpected;
use crate::client::ApiClient;

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// One version of one group.
#[derive(Clone, Debug)]
pub(super) struct GroupVersion {
    pub(super) group: SmolStr,
    pub(super) version: SmolStr,
    /// Nothing when the server could not say.
    pub(super) resources: Option<Vec<Served>>,
}

/// One resource.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) info: ResourceInfo,
    /// Has the verbs `delete`, `list` and `watch`.
    pub(super) deletable: bool,
}

/// All that is served under `/api` or `/apis`, preferred versions first.
pub(super) async fn fetch(client: &ApiClient, root: &str) -> Result<Vec<GroupVersion>, ApiError> {
    let bytes = match client.get(root, AGGREGATED).await {
        Ok(bytes) => bytes,
        // A server without the aggregated form may refuse the header altogether.
        Err(error) if error.code == 406 => client.get(root, "application/json").await?,
        // A server without extensions has no groups.
        Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| unexpected(root, error))?;
    match document {
        Document {
            items: Some(groups), ..
        } => Ok(groups.into_iter().flat_map(AggregatedGroup::versions).collect()),
        Document {
            groups: Some(groups), ..
        } => {
            let versions = groups.into_iter().flat_map(PlainGroup::versions);
            fetch_each(client, versions.collect()).await
        }
        Document {
            versions: Some(versions),
            ..
        } => {
            fetch_each(
                client,
                versions
                    .into_iter()
                    .map(|version| (SmolStr::default(), version))
                    .collect(),
            )
            .await
        }
        _ => Err(unexpected(
            root,
            "neither APIGroupDiscoveryList, APIGroupList nor APIVersions",
        )),
    }
}

async fn fetch_each(
    client: &ApiClient,
    names: Vec<(SmolStr, SmolStr)>,
) -> Result<Vec<GroupVersion>, ApiError> {
    let requests = names.into_iter().map(async |(group, version)| {
        let path = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let list = client.get(&path, "application/json").await.ok();
        let list = list.and_then(|bytes| serde_json::from_slice::<PlainResources>(&bytes).ok());
        let resources = list.map(|list| list.served(&group, &version));
        GroupVersion {
            group,
            version,
            resources,
        }
    });
    Ok(futures::future::join_all(requests).await)
}

/// `/api` and `/apis` in any form, told apart by what they have.
#[derive(Deserialize)]
struct Document {
    items: Option<Vec<AggregatedGroup>>,
    groups: Option<Vec<PlainGroup>>,
    versions: Option<Vec<SmolStr>>,
}

#[derive(Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Deserialize, Default)]
struct Named {
    #[serde(default)]
    name: SmolStr,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: SmolStr,
    #[serde(default)]
    freshness: SmolStr,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: SmolStr,
    response_kind: Option<Kind>,
    #[serde(default)]
    scope: SmolStr,
    #[serde(default)]
    verbs: Vec<SmolStr>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: SmolStr,
}

impl AggregatedGroup {
    fn versions(self) -> impl Iterator<Item = GroupVersion> {
        let group = self.metadata.name;
        self.versions.into_iter().map(move |version| {
            let stale = version.freshness == "Stale";
            let served = |entry: AggregatedResource| {
                let kind = entry
                    .response_kind
                    .map(|kind| kind.kind)
                    .filter(|kind| !kind.is_empty())?;
                let resource = Resource {
                    group: group.clone(),
                    version: version.version.clone(),
                    plural: entry.resource,
                };
                let info = ResourceInfo {
                    resource,
                    kind,
                    namespaced: entry.scope == "Namespaced",
                };
                Some(Served {
                    info,
                    deletable: is_deletable(&entry.verbs),
                })
            };
            let resources: Vec<Served> = version.resources.into_iter().filter_map(served).collect();
            GroupVersion {
                group: group.clone(),
                version: version.version.clone(),
                resources: if stale { None } else { Some(resources) },
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlainGroup {
    name: SmolStr,
    #[serde(default)]
    versions: Vec<PlainVersion>,
    preferred_version: Option<PlainVersion>,
}

#[derive(Deserialize)]
struct PlainVersion {
    version: SmolStr,
}

impl PlainGroup {
    fn versions(self) -> impl Iterator<Item = (SmolStr, SmolStr)> {
        let preferred = self.preferred_version.map(|preferred| preferred.version);
        let mut versions: Vec<SmolStr> = self.versions.into_iter().map(|version| version.version).collect();
        versions.sort_by_key(|version| Some(version) != preferred.as_ref());
        versions
            .into_iter()
            .map(move |version| (self.name.clone(), version))
    }
}

#[derive(Deserialize)]
struct PlainResources {
    resources: Vec<PlainResource>,
}

#[derive(Deserialize)]
struct PlainResource {
    name: SmolStr,
    kind: SmolStr,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<SmolStr>,
}

impl PlainResources {
    fn served(self, group: &SmolStr, version: &SmolStr) -> Vec<Served> {
        let resources = self
            .resources
            .into_iter()
            .filter(|resource| !resource.name.contains('/'));
        resources
            .map(|entry| Served {
                deletable: is_deletable(&entry.verbs),
                info: ResourceInfo {
                    resource: Resource {
                        group: group.clone(),
                        version: version.clone(),
                        plural: entry.name,
                    },
                    kind: entry.kind,
                    namespaced: entry.namespaced,
                },
            })
            .collect()
    }
}

fn is_deletable(verbs: &[SmolStr]) -> bool {
    ["delete", "list", "watch"]
        .iter()
        .all(|verb| verbs.iter().any(|has| has == verb))
}
