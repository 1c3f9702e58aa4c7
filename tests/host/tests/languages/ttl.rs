//! ConfigMaps past the time in their annotation are deleted.

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule};
use windlass_engine::custom_metrics::CustomValue;
use windlass_tests::wait;

use crate::guest::{Guest, Running};

pub(crate) const CONTROLLER: &str = "ttl";

in_every_language!(ttl: expires, two_thousand_at_once);

const ANNOTATION: &str = "ttl.windlass.dev/expires";

/// A time from now as RFC 3339 writes it.
fn time(from_now_seconds: i64) -> String {
    let seconds = Timestamp::now().as_second() + from_now_seconds;
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

async fn create(maps: &Api<ConfigMap>, name: &str, expires: Option<&str>) -> Result<()> {
    let mut map = json!({"metadata": {"name": name}, "data": {"text": "grün"}});
    if let Some(expires) = expires {
        map["metadata"]["annotations"] = json!({ANNOTATION: expires});
    }
    maps.create(&PostParams::default(), &serde_json::from_value(map)?)
        .await?;
    Ok(())
}

async fn until_gone(maps: &Api<ConfigMap>, name: &str) -> Result<()> {
    let look = || async { Ok(maps.get_opt(name).await?) };
    wait::until(&format!("{name} to go"), look, Option::is_none).await?;
    Ok(())
}

async fn expires(guest: Guest) -> Result<()> {
    let running = guest.alone().await?;
    let cluster = &running.cluster;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    create(&maps, "kept", None).await?;
    create(&maps, "later", Some(&time(3_600))).await?;
    create(&maps, "broken", Some("tomorrow")).await?;
    create(&maps, "soon", Some(&time(3))).await?;
    create(&maps, "past", Some(&time(-3_600))).await?;
    until_gone(&maps, "past").await?;
    until_gone(&maps, "soon").await?;
    for name in ["kept", "later", "broken"] {
        ensure!(maps.get_opt(name).await?.is_some(), "{name} should be there");
    }
    expired_in_all(&running, 2).await?;
    running.stop(0).await
}

/// While the API server refuses some deletions, and the guest ends in the middle.
async fn two_thousand_at_once(guest: Guest) -> Result<()> {
    const OBJECTS: usize = 2_000;
    let running = guest.alone().await?;
    let cluster = &running.cluster;
    let fault = |kind| FaultRule {
        kind,
        probability: 0.02,
        verbs: vec!["delete".to_owned()],
        resources: vec!["configmaps".to_owned()],
    };
    cluster.server.set_faults(FaultPolicy {
        seed: 7,
        rules: vec![fault(FaultKind::InternalError), fault(FaultKind::Conflict)],
    });
    let maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    let expires = time(2);
    let all = stream::iter(0..OBJECTS).map(|number| {
        let (maps, expires) = (&maps, &expires);
        async move { create(maps, &format!("many-{number}"), Some(expires)).await }
    });
    all.buffer_unordered(32).try_collect::<Vec<()>>().await?;
    let left = || async {
        let maps = maps.list_metadata(&ListParams::default()).await?.items;
        let ours = maps.iter().filter(|map| map.name_any().starts_with("many-"));
        Ok(ours.count())
    };
    wait::until("some to go", left, |left| *left < OBJECTS).await?;
    cluster.restart(&running.name).await?;
    wait::until("all to go", left, |left| *left == 0).await?;
    running.stop(1).await
}

async fn expired_in_all(running: &Running, expected: u32) -> Result<()> {
    let module = running.cluster.module(&running.name)?;
    let expected = (
        vec!["default".to_owned()],
        CustomValue::Number(f64::from(expected)),
    );
    let families = || async { Ok(module.controller.usage.custom().families()) };
    let families = wait::until("the metric", families, |families| {
        families
            .first()
            .is_some_and(|expired| expired.series == [expected.clone()])
    })
    .await?;
    ensure!(families[0].declaration.name == "expired_total", "{families:?}");
    Ok(())
}
