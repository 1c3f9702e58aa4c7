//! Gives every ConfigMap the team label of its namespace.
//!
//! The keys are ConfigMaps; a namespace that changes is mapped to all that are in it.

use serde::Serialize;
use windlass_sdk::{
    Controller, Error, Lister, Manifest, MappedEvent, Mapper, Object as _, ObjectKey, ObjectMeta, Outcome,
    PatchType, SyncContext, Watch, export, object,
};

use std::collections::BTreeMap;

/// On namespaces.
const TEAM: &str = "examples.windlass.dev/team";
/// On ConfigMaps.
const LABEL: &str = "team";
/// Marks a label as ours to take away.
const PROPAGATED: &str = "examples.windlass.dev/propagated";
/// Written by another controller into every namespace.
const ROOT_CERTIFICATES: &str = "kube-root-ca.crt";

const NAMESPACES: Lister<Namespace> = Lister::new(0);
const CONFIG_MAPS: Lister<ConfigMap> = Lister::new(1);

#[derive(serde::Deserialize)]
struct Namespace {
    metadata: ObjectMeta,
}

#[derive(serde::Deserialize)]
struct ConfigMap {
    metadata: ObjectMeta,
}

object!(Namespace: "", "v1", "namespaces", "Namespace");
object!(ConfigMap: "", "v1", "configmaps", "ConfigMap");

/// A merge patch; what is null is removed.
#[derive(Serialize)]
struct Patch<'a> {
    metadata: PatchMeta<'a>,
}

#[derive(Serialize)]
struct PatchMeta<'a> {
    labels: BTreeMap<&'a str, Option<&'a str>>,
    annotations: BTreeMap<&'a str, Option<&'a str>>,
}

struct LabelPropagation;

impl Controller for LabelPropagation {
    fn manifest() -> Manifest {
        Manifest::new("label-propagation-rust", env!("CARGO_PKG_VERSION"))
            .watch(Watch::new::<Namespace>().metadata().enqueue_mapped())
            .watch(Watch::new::<ConfigMap>().metadata().enqueue_itself())
            .workers(10)
            .permit(&[""], &["configmaps"], &["patch"])
    }

    fn new() -> Self {
        Self
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        if key.name == ROOT_CERTIFICATES {
            return Ok(Outcome::Done);
        }
        let Some(config_map) = CONFIG_MAPS.get(&key)? else {
            return Ok(Outcome::Done);
        };
        let namespace = NAMESPACES.get(&ObjectKey::new("", &*key.namespace))?;
        let team = namespace
            .as_ref()
            .and_then(|namespace| namespace.metadata.labels.get(TEAM));
        let Some(patch) = patch(&config_map.metadata, team.map(String::as_str)) else {
            return Ok(Outcome::Done);
        };
        let patched = sync
            .client::<ConfigMap>()
            .patch(&key, PatchType::MergePatch, &patch)
            .await;
        match patched {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }
}

impl Mapper for LabelPropagation {
    fn keys_for(&self, event: MappedEvent) -> Vec<ObjectKey> {
        let config_maps = CONFIG_MAPS.list(Some(&event.key.name), "").unwrap_or_default();
        config_maps.iter().map(ConfigMap::key).collect()
    }
}

/// What has to change for the object to say whose it is.
fn patch<'a>(meta: &ObjectMeta, team: Option<&'a str>) -> Option<Patch<'a>> {
    let is_ours = meta.annotation(PROPAGATED) == Some("true");
    let label = meta.labels.get(LABEL).map(String::as_str);
    let is_right = match team {
        Some(team) => label == Some(team) && is_ours,
        None => !is_ours,
    };
    (!is_right).then(|| Patch {
        metadata: PatchMeta {
            labels: BTreeMap::from([(LABEL, team)]),
            annotations: BTreeMap::from([(PROPAGATED, team.map(|_| "true"))]),
        },
    })
}

export!(LabelPropagation, mapper);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use windlass_sdk::testing::Cluster;

    use super::*;

    fn cluster(team: Option<&str>) -> Cluster {
        let cluster = Cluster::new::<LabelPropagation>();
        let labels = team.map(|team| json!({TEAM: team}));
        cluster.put(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}),
        );
        cluster
    }

    fn put(cluster: &Cluster, name: &str, labels: &Value) {
        cluster.put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "shop", "name": name, "labels": labels},
        }));
    }

    fn sync(cluster: &Cluster, name: &str) -> Vec<String> {
        let synced = cluster.sync(&LabelPropagation, &format!("shop/{name}"));
        assert_eq!(synced, Ok(Outcome::Done));
        cluster.take_calls()
    }

    #[test]
    fn the_label_follows_the_namespace_and_goes_with_it() {
        let cluster = cluster(Some("red"));
        put(&cluster, "a", &json!({"app": "a", "team": "blue"}));
        assert_eq!(sync(&cluster, "a"), ["patch configmaps shop/a"]);
        let labels = |cluster: &Cluster| cluster.get("configmaps", "shop/a")["metadata"]["labels"].clone();
        assert_eq!(labels(&cluster), json!({"app": "a", "team": "red"}));
        assert!(sync(&cluster, "a").is_empty(), "it is right already");
        cluster.edit("namespaces", "shop", |namespace| {
            namespace["metadata"]["labels"] = json!({})
        });
        assert_eq!(sync(&cluster, "a"), ["patch configmaps shop/a"]);
        assert_eq!(labels(&cluster), json!({"app": "a"}));
        assert!(sync(&cluster, "a").is_empty());
    }

    #[test]
    fn what_others_set_stays() {
        let cluster = cluster(None);
        put(&cluster, "theirs", &json!({"team": "blue"}));
        put(&cluster, ROOT_CERTIFICATES, &json!({}));
        assert!(sync(&cluster, "theirs").is_empty());
        assert!(sync(&cluster, ROOT_CERTIFICATES).is_empty());
    }

    #[test]
    fn a_namespace_stands_for_all_that_is_in_it() {
        let cluster = cluster(Some("red"));
        put(&cluster, "a", &json!({}));
        put(&cluster, "b", &json!({}));
        cluster.put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "other", "name": "c"}}));
        let keys = LabelPropagation.keys_for(MappedEvent {
            watch: 0,
            key: ObjectKey::new("", "shop"),
            body: Vec::new(),
            old: None,
        });
        assert_eq!(keys, [ObjectKey::new("shop", "a"), ObjectKey::new("shop", "b")]);
    }
}
