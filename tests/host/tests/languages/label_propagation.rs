//! ConfigMaps get the team label of their namespace.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use windlass_tests::wait;

use crate::guest::{Guest, Running};

pub(crate) const CONTROLLER: &str = "label-propagation";
const TEAM: &str = "examples.windlass.dev/team";
const PROPAGATED: &str = "examples.windlass.dev/propagated";

in_every_language!(label_propagation: follows_the_namespace, leaves_what_others_set, a_thousand_objects_follow);

struct Shop<'a> {
    running: &'a Running,
    maps: Api<ConfigMap>,
}

impl<'a> Shop<'a> {
    async fn open(running: &'a Running, team: Option<&str>) -> Result<Self> {
        let client = running.cluster.namespace.client.clone();
        let labels = team.map(|team| json!({TEAM: team}));
        let namespace = serde_json::from_value(json!({"metadata": {"name": "shop", "labels": labels}}))?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &namespace).await?;
        let maps = Api::namespaced(client, "shop");
        Ok(Self { running, maps })
    }

    async fn create(&self, name: &str, labels: Value) -> Result<()> {
        let map = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        self.maps.create(&PostParams::default(), &map).await?;
        Ok(())
    }

    /// Gives the namespace another label, or none.
    async fn set_team(&self, team: Option<&str>) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.running.cluster.namespace.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {TEAM: team}}}));
        namespaces.patch("shop", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn until_team(&self, name: &str, team: Option<&str>) -> Result<ConfigMap> {
        let look = || async { Ok(self.maps.get(name).await?) };
        wait::until(&format!("{name} to be of {team:?}"), look, |map| {
            map.labels().get("team").map(String::as_str) == team
        })
        .await
    }
}

async fn follows_the_namespace(guest: Guest) -> Result<()> {
    let running = guest.alone().await?;
    let shop = Shop::open(&running, Some("red")).await?;
    shop.create("a", json!({"app": "a"})).await?;
    shop.create("b", json!({"team": "green"})).await?;
    let map = shop.until_team("a", Some("red")).await?;
    ensure!(map.labels().get("app").is_some_and(|app| app == "a"), "{map:?}");
    ensure!(
        map.annotations()
            .get(PROPAGATED)
            .is_some_and(|text| text == "true"),
        "{map:?}"
    );
    shop.until_team("b", Some("red")).await?;
    shop.set_team(Some("blue")).await?;
    shop.until_team("a", Some("blue")).await?;
    let settled = shop.until_team("b", Some("blue")).await?;
    // Whoever takes the label off is put right.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"team": null}}}));
    shop.maps.patch("a", &PatchParams::default(), &patch).await?;
    shop.until_team("a", Some("blue")).await?;
    let untouched = shop.maps.get("b").await?;
    ensure!(
        untouched.resource_version() == settled.resource_version(),
        "what is right is not written again"
    );
    shop.set_team(None).await?;
    for name in ["a", "b"] {
        let map = shop.until_team(name, None).await?;
        ensure!(!map.annotations().contains_key(PROPAGATED), "{map:?}");
    }
    running.stop(0).await
}

async fn leaves_what_others_set(guest: Guest) -> Result<()> {
    let running = guest.alone().await?;
    let shop = Shop::open(&running, None).await?;
    shop.create("theirs", json!({"team": "green"})).await?;
    shop.create("ours", json!({})).await?;
    shop.set_team(Some("red")).await?;
    shop.until_team("ours", Some("red")).await?;
    let root = shop.maps.get_opt("kube-root-ca.crt").await?;
    ensure!(
        root.is_none_or(|root| root.labels().is_empty()),
        "it is somebody else's"
    );
    let elsewhere: Api<ConfigMap> = Api::namespaced(running.cluster.namespace.client.clone(), "default");
    let labelled = elsewhere
        .list_metadata(&ListParams::default().labels("team"))
        .await?;
    ensure!(labelled.items.is_empty(), "other namespaces are not concerned");
    running.stop(0).await
}

async fn a_thousand_objects_follow(guest: Guest) -> Result<()> {
    let running = guest.alone().await?;
    let shop = Shop::open(&running, Some("red")).await?;
    try_join_all((0..1_000).map(|number| {
        let shop = &shop;
        async move { shop.create(&format!("many-{number}"), json!({})).await }
    }))
    .await?;
    let of = |team: &'static str| {
        let maps = &shop.maps;
        move || async move {
            let of_team = ListParams::default().labels(&format!("team={team}"));
            Ok(maps.list_metadata(&of_team).await?.items.len())
        }
    };
    wait::until("all to be red", of("red"), |count| *count == 1_000).await?;
    shop.set_team(Some("blue")).await?;
    running.cluster.restart(&running.name).await?;
    wait::until("all to be blue", of("blue"), |count| *count == 1_000).await?;
    running.stop(1).await
}
