//! One controller in each language on the embedded cluster: it deletes ConfigMaps past the
//! time in their annotation. Built by `xtask languages`; a language whose guest is not
//! there is skipped, and named.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;
use windlass_engine::custom_metrics::CustomValue;
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::wait;

const ANNOTATION: &str = "ttl.windlass.dev/expires";

fn guests() -> PathBuf {
    windlass_tests::process::repository().join("target/guests")
}

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

/// The whole behaviour, for the guest of one language.
async fn expires(language: &str) -> Result<()> {
    let file = format!("ttl-{language}.wasm");
    if !guests().join(&file).exists() {
        println!("skipped: target/guests/{file} is not built; run `cargo xtask languages`");
        return Ok(());
    }
    let module = format!("ttl-{language}");
    let cluster = InProcess::start(&guests(), 1, vec![from_file(&module, &file)]).await?;
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
    // Many at once.
    for number in 0..50 {
        create(&maps, &format!("many-{number}"), Some(&time(-1)?)).await?;
    }
    for number in 0..50 {
        until_gone(&maps, &format!("many-{number}")).await?;
    }
    let handle = cluster.module(&module)?;
    let families = handle.controller.usage.custom().families();
    let expired = families.first().context("the guest has declared a metric")?;
    ensure!(expired.declaration.name == "expired_total", "{expired:?}");
    let counted = (vec!["default".to_owned()], CustomValue::Number(52.0));
    ensure!(expired.series == [counted], "{expired:?}");
    ensure!(cluster.restarts(&module)? == 0, "the guest never failed");
    let memory = handle.controller.usage.memory_bytes();
    println!("{language}: {} KiB of linear memory", memory / 1024);
    tokio::time::timeout(Duration::from_secs(30), cluster.stop()).await?;
    Ok(())
}

#[tokio::test]
async fn a_controller_in_c_deletes_what_has_expired() -> Result<()> {
    expires("c").await
}

#[tokio::test]
async fn a_controller_in_go_deletes_what_has_expired() -> Result<()> {
    expires("go").await
}

#[tokio::test]
async fn a_controller_in_javascript_deletes_what_has_expired() -> Result<()> {
    expires("javascript").await
}

#[tokio::test]
async fn a_controller_in_python_deletes_what_has_expired() -> Result<()> {
    expires("python").await
}
