//! ConfigMaps past the time in their annotation are deleted.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
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
fn time(from_now: i64) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let at = i64::try_from(now)? + from_now;
    let (days, of_day) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    // The civil date of a day number, counted from March of year 0.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    Ok(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
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
    create(&maps, "later", Some(&time(3_600)?)).await?;
    create(&maps, "broken", Some("tomorrow")).await?;
    create(&maps, "soon", Some(&time(3)?)).await?;
    create(&maps, "past", Some(&time(-3_600)?)).await?;
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
    let expires = time(2)?;
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
