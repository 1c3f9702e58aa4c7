//! A WebApp stands for a Deployment, a Service and a ConfigMap.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule};
use windlass_tests::wait;

use crate::guest::{Guest, Running};

pub(crate) const CONTROLLER: &str = "webapp";

in_every_language!(
    webapp: owns_three_objects_and_is_ready_when_they_are,
    corrects_what_drifts,
    leaves_what_belongs_to_somebody_else,
    goes_after_its_service,
    goes_on_through_a_new_version_of_its_resource,
    many_at_once_in_bad_weather,
);

fn definition() -> Result<CustomResourceDefinition> {
    let text = json!({"type": "string"});
    let condition = json!({"type": "object", "properties": {
        "type": text, "status": text, "reason": text, "message": text,
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer"},
    }});
    let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["image"], "properties": {
            "image": text,
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
            "config": {"type": "object", "additionalProperties": text},
        }},
        "status": {"type": "object", "properties": {
            "observedGeneration": {"type": "integer"},
            "readyReplicas": {"type": "integer"},
            "conditions": {"type": "array", "items": condition},
        }},
    }});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "webapps.examples.windlass.dev"},
        "spec": {
            "group": "examples.windlass.dev", "scope": "Namespaced",
            "names": {"plural": "webapps", "singular": "webapp", "kind": "WebApp", "listKind": "WebAppList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema},
            }],
        },
    }))?)
}

/// The objects of one namespace.
struct Apps {
    apps: Api<DynamicObject>,
    maps: Api<ConfigMap>,
    deployments: Api<Deployment>,
    services: Api<Service>,
    events: Api<Event>,
}

impl Apps {
    async fn start(guest: &Guest) -> Result<(Running, Self)> {
        let running = guest.beside_stock(&[definition()?]).await?;
        let client = || running.cluster.namespace.client.clone();
        let kind = GroupVersionKind::gvk("examples.windlass.dev", "v1", "WebApp");
        let apps = Self {
            apps: Api::namespaced_with(
                client(),
                "default",
                &ApiResource::from_gvk_with_plural(&kind, "webapps"),
            ),
            maps: Api::namespaced(client(), "default"),
            deployments: Api::namespaced(client(), "default"),
            services: Api::namespaced(client(), "default"),
            events: Api::namespaced(client(), "default"),
        };
        Ok((running, apps))
    }

    async fn create(&self, name: &str, spec: Value) -> Result<()> {
        let app = serde_json::from_value(json!({
            "apiVersion": "examples.windlass.dev/v1", "kind": "WebApp", "metadata": {"name": name}, "spec": spec,
        }))?;
        self.apps.create(&PostParams::default(), &app).await?;
        Ok(())
    }

    /// Waits for a `Ready` condition like this, of the present generation.
    async fn until_ready(&self, name: &str, status: &str, reason: &str) -> Result<Value> {
        let look = || async {
            let app = serde_json::to_value(self.apps.get(name).await?)?;
            Ok(app)
        };
        let what = format!("{name} to be Ready={status}, {reason}");
        wait::until(&what, look, |app| {
            let condition = &app["status"]["conditions"][0];
            condition["type"] == "Ready"
                && condition["status"] == status
                && condition["reason"] == reason
                && app["status"]["observedGeneration"] == app["metadata"]["generation"]
        })
        .await
    }

    async fn reasons(&self, about: &str) -> Result<Vec<String>> {
        let events = self.events.list(&ListParams::default()).await?;
        let ours = events
            .items
            .into_iter()
            .filter(|event| event.involved_object.kind.as_deref() == Some("WebApp"))
            .filter(|event| event.involved_object.name.as_deref() == Some(about));
        Ok(ours.filter_map(|event| event.reason).collect())
    }
}

async fn owns_three_objects_and_is_ready_when_they_are(guest: Guest) -> Result<()> {
    let (running, apps) = Apps::start(&guest).await?;
    apps.create(
        "shop",
        json!({"image": "shop:1", "replicas": 3, "port": 8080, "config": {"COLOUR": "grün"}}),
    )
    .await?;
    let app = apps.until_ready("shop", "True", "AllReady").await?;
    ensure!(
        app["metadata"]["finalizers"] == json!(["examples.windlass.dev/webapp"]),
        "{app}"
    );
    ensure!(app["status"]["readyReplicas"] == 3, "{app}");
    ensure!(
        app["status"]["conditions"][0]["observedGeneration"] == app["metadata"]["generation"],
        "{app}"
    );
    let owned = [
        serde_json::to_value(apps.maps.get("shop").await?)?,
        serde_json::to_value(apps.deployments.get("shop").await?)?,
        serde_json::to_value(apps.services.get("shop").await?)?,
    ];
    for object in &owned {
        let owner = json!([{
            "apiVersion": "examples.windlass.dev/v1", "kind": "WebApp", "name": "shop",
            "uid": app["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
        }]);
        ensure!(object["metadata"]["ownerReferences"] == owner, "{object}");
        ensure!(object["metadata"]["labels"]["app"] == "shop", "{object}");
    }
    let [map, deployment, service] = &owned;
    ensure!(map["data"] == json!({"COLOUR": "grün"}), "{map}");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(
        container["name"] == "web" && container["image"] == "shop:1",
        "{container}"
    );
    ensure!(container["ports"][0]["containerPort"] == 8080, "{container}");
    ensure!(
        container["envFrom"][0]["configMapRef"]["name"] == "shop",
        "{container}"
    );
    ensure!(service["spec"]["selector"] == json!({"app": "shop"}), "{service}");
    ensure!(service["spec"]["ports"][0]["port"] == 8080, "{service}");
    ensure!(service["spec"]["ports"][0]["targetPort"] == 8080, "{service}");
    let reasons = || apps.reasons("shop");
    wait::until("three events", reasons, |reasons| {
        reasons.iter().filter(|reason| *reason == "Created").count() == 3
    })
    .await?;

    // A change of what is wanted, under another build of the guest.
    running.reload().await?;
    let patch = Patch::Merge(json!({"spec": {"replicas": 1, "image": "shop:2"}}));
    apps.apps.patch("shop", &PatchParams::default(), &patch).await?;
    let look = || async { Ok(apps.deployments.get("shop").await?) };
    wait::until("the new image", look, |deployment| {
        let deployment = serde_json::to_value(deployment).unwrap_or_default();
        deployment["spec"]["replicas"] == 1
            && deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2"
    })
    .await?;
    running.cluster.namespace.wait_complete("shop").await?;
    apps.until_ready("shop", "True", "AllReady").await?;
    let settled = apps.apps.get("shop").await?;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let later = apps.apps.get("shop").await?;
    ensure!(
        settled.resource_version() == later.resource_version(),
        "a status that is right is not written"
    );
    running.stop(0).await
}

async fn corrects_what_drifts(guest: Guest) -> Result<()> {
    let (running, apps) = Apps::start(&guest).await?;
    apps.create("shop", json!({"image": "shop:1", "config": {"COLOUR": "red"}}))
        .await?;
    apps.until_ready("shop", "True", "AllReady").await?;
    let params = PatchParams::default();
    let drift = json!({"spec": {"replicas": 4, "minReadySeconds": 1}});
    apps.deployments
        .patch("shop", &params, &Patch::Merge(drift))
        .await?;
    let drift = json!({"data": {"COLOUR": "blue", "more": "less"}});
    apps.maps.patch("shop", &params, &Patch::Merge(drift)).await?;
    let drift = json!({"spec": {"selector": {"app": "other"}}});
    apps.services.patch("shop", &params, &Patch::Merge(drift)).await?;
    let look = || async {
        Ok(json!({
            "deployment": apps.deployments.get("shop").await?.spec,
            "data": apps.maps.get("shop").await?.data,
            "selector": apps.services.get("shop").await?.spec.and_then(|spec| spec.selector),
        }))
    };
    let now = wait::until("all three to be put right", look, |now| {
        now["deployment"]["replicas"] == 1
            && now["data"] == json!({"COLOUR": "red"})
            && now["selector"] == json!({"app": "shop"})
    })
    .await?;
    ensure!(
        now["deployment"]["minReadySeconds"] == 1,
        "what it does not set is left: {now}"
    );
    apps.services.delete("shop", &DeleteParams::default()).await?;
    let look = || async { Ok(apps.services.get_opt("shop").await?) };
    wait::until("the Service to be back", look, Option::is_some).await?;
    let reasons = || apps.reasons("shop");
    wait::until("an event of each correction", reasons, |reasons| {
        reasons.iter().any(|reason| reason == "Drifted")
    })
    .await?;
    running.stop(0).await
}

async fn leaves_what_belongs_to_somebody_else(guest: Guest) -> Result<()> {
    let (running, apps) = Apps::start(&guest).await?;
    let theirs = serde_json::from_value(json!({"metadata": {"name": "shop"}, "data": {"theirs": "yes"}}))?;
    apps.maps.create(&PostParams::default(), &theirs).await?;
    // Until the guest's cache has it, creating one of the same name is refused all the same.
    apps.create("shop", json!({"image": "shop:1"})).await?;
    let app = apps.until_ready("shop", "False", "NameTaken").await?;
    let message = app["status"]["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(message.contains("ConfigMap"), "{message}");
    let map = apps.maps.get("shop").await?;
    ensure!(
        map.data.is_some_and(|data| data.contains_key("theirs")),
        "it is as it was"
    );
    ensure!(map.metadata.owner_references.is_none(), "it is nobody's");
    running.stop(0).await
}

async fn goes_after_its_service(guest: Guest) -> Result<()> {
    let (running, apps) = Apps::start(&guest).await?;
    apps.create("shop", json!({"image": "shop:1"})).await?;
    apps.until_ready("shop", "True", "AllReady").await?;
    // The Service is kept for a while by somebody else.
    let patch = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/wait"]}}));
    apps.services
        .patch("shop", &PatchParams::default(), &patch)
        .await?;
    apps.apps.delete("shop", &DeleteParams::default()).await?;
    let look = || async { Ok(apps.services.get("shop").await?) };
    wait::until("the Service to be deleted", look, |service| {
        service.metadata.deletion_timestamp.is_some()
    })
    .await?;
    ensure!(
        apps.apps.get_opt("shop").await?.is_some(),
        "it waits for its Service"
    );
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    apps.services
        .patch("shop", &PatchParams::default(), &patch)
        .await?;
    let look = || async { Ok(apps.apps.get_opt("shop").await?.is_some()) };
    wait::until("the WebApp to go", look, |is_there| !is_there).await?;
    let look = || async {
        Ok((
            apps.deployments.get_opt("shop").await?,
            apps.maps.get_opt("shop").await?,
        ))
    };
    wait::until("what it owned to go", look, |(deployment, map)| {
        deployment.is_none() && map.is_none()
    })
    .await?;
    running.stop(0).await
}

/// The definition gets a version that is stored from now on, while the guest's own is still
/// served; then the guest is replaced.
async fn goes_on_through_a_new_version_of_its_resource(guest: Guest) -> Result<()> {
    let (running, apps) = Apps::start(&guest).await?;
    apps.create("old", json!({"image": "shop:1"})).await?;
    apps.until_ready("old", "True", "AllReady").await?;
    let uid = || async { Ok::<_, anyhow::Error>(apps.services.get("old").await?.metadata.uid) };
    let before = uid().await?;

    let mut definition = serde_json::to_value(definition()?)?;
    let mut newer = definition["spec"]["versions"][0].clone();
    newer["name"] = json!("v2");
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["contact"] =
        json!({"type": "string"});
    definition["spec"]["versions"][0]["storage"] = json!(false);
    let versions = definition["spec"]["versions"].as_array_mut();
    versions
        .into_iter()
        .for_each(|versions| versions.push(newer.clone()));
    let client = || running.cluster.namespace.client.clone();
    let definitions: Api<CustomResourceDefinition> = Api::all(client());
    let name = "webapps.examples.windlass.dev";
    let patch = Patch::Merge(json!({"spec": definition["spec"]}));
    definitions.patch(name, &PatchParams::default(), &patch).await?;
    let kind = GroupVersionKind::gvk("examples.windlass.dev", "v2", "WebApp");
    let newer = ApiResource::from_gvk_with_plural(&kind, "webapps");
    let newer: Api<DynamicObject> = Api::namespaced_with(client(), "default", &newer);
    let served = || async { Ok(newer.list(&ListParams::default()).await?.items.len()) };
    wait::until("the new version", served, |apps| *apps == 1).await?;

    // Written in one version, seen in the other.
    let app = json!({
        "apiVersion": "examples.windlass.dev/v2", "kind": "WebApp", "metadata": {"name": "new"},
        "spec": {"image": "shop:1", "replicas": 2},
    });
    newer
        .create(&PostParams::default(), &serde_json::from_value(app)?)
        .await?;
    apps.until_ready("new", "True", "AllReady").await?;
    running.reload().await?;
    for name in ["old", "new"] {
        let patch = Patch::Merge(json!({"spec": {"replicas": 3, "contact": "ops"}}));
        newer.patch(name, &PatchParams::default(), &patch).await?;
        running.cluster.namespace.wait_complete(name).await?;
        let look = || async { Ok(serde_json::to_value(newer.get(name).await?)?) };
        let app = wait::until("its status", look, |app| app["status"]["readyReplicas"] == 3).await?;
        ensure!(app["apiVersion"] == "examples.windlass.dev/v2", "{app}");
        ensure!(
            app["spec"]["contact"] == "ops",
            "what only the new version has is kept: {app}"
        );
    }
    ensure!(uid().await? == before, "its Service was made anew");
    running.stop(0).await
}

async fn many_at_once_in_bad_weather(guest: Guest) -> Result<()> {
    const APPS: usize = 40;
    let (running, apps) = Apps::start(&guest).await?;
    let fault = |kind| FaultRule {
        kind,
        probability: 0.05,
        verbs: ["create", "update", "patch", "delete"]
            .map(str::to_owned)
            .to_vec(),
        resources: ["webapps", "configmaps", "deployments", "services"]
            .map(str::to_owned)
            .to_vec(),
    };
    for number in 0..APPS {
        apps.create(
            &format!("app-{number}"),
            json!({"image": "shop:1", "config": {"n": number.to_string()}}),
        )
        .await?;
    }
    running.cluster.server.set_faults(FaultPolicy {
        seed: 11,
        rules: vec![fault(FaultKind::InternalError), fault(FaultKind::Conflict)],
    });
    apps.until_ready("app-0", "True", "AllReady").await?;
    running.cluster.restart(&running.name).await?;
    for number in 0..APPS {
        apps.until_ready(&format!("app-{number}"), "True", "AllReady")
            .await?;
    }
    running.cluster.server.set_faults(FaultPolicy::default());
    ensure!(
        apps.maps
            .list(&ListParams::default().labels("app"))
            .await?
            .items
            .len()
            == APPS,
        "one of each"
    );
    running.stop(1).await
}
