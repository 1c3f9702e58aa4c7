//! Deletes ConfigMaps past the time in their annotation `ttl.windlass.dev/expires`.

use windlass_sdk::metrics::Counter;
use windlass_sdk::time::{self, Timestamp};
use windlass_sdk::{
    Controller, DeleteOptions, Error, EventKinds, Lister, Manifest, ObjectKey, ObjectMeta, Outcome,
    Preconditions, SyncContext, Watch, default_delete, export, info, object,
};

use std::cell::OnceCell;
use std::time::Duration;

const EXPIRES: &str = "ttl.windlass.dev/expires";
const CONFIG_MAPS: Lister<ConfigMap> = Lister::new(0);

#[derive(serde::Deserialize)]
struct ConfigMap {
    metadata: ObjectMeta,
}

object!(ConfigMap: "", "v1", "configmaps", "ConfigMap");

#[derive(Default)]
struct Ttl {
    expired: OnceCell<Counter<1>>,
}

impl Controller for Ttl {
    fn manifest() -> Manifest {
        Manifest::new("ttl-rust", env!("CARGO_PKG_VERSION"))
            .watch(
                Watch::new::<ConfigMap>()
                    .metadata()
                    .enqueue_itself()
                    .on(EventKinds::ADDED | EventKinds::UPDATED),
            )
            .workers(10)
            .permit(&[""], &["configmaps"], &["delete"])
    }

    fn new() -> Self {
        Self::default()
    }

    async fn start(&self) -> Result<(), String> {
        let help = "Objects deleted because their time was up.";
        let counter = Counter::declare("expired_total", help, ["namespace"])?;
        self.expired.get_or_init(|| counter);
        Ok(())
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        let Some(config_map) = CONFIG_MAPS.get(&key)? else {
            return Ok(Outcome::Done);
        };
        let Some(text) = config_map.metadata.annotation(EXPIRES) else {
            return Ok(Outcome::Done);
        };
        let expires = Timestamp::parse(text).ok_or_else(|| {
            Error::Terminal(format!("{EXPIRES}: `{text}` is not a time as RFC 3339 writes it"))
        })?;
        let left = expires.since(time::now());
        if !left.is_zero() {
            return Ok(Outcome::RequeueAfter(left + Duration::from_millis(1)));
        }
        let this_one = DeleteOptions {
            preconditions: Preconditions {
                uid: Some(config_map.metadata.uid.clone()),
                resource_version: None,
            },
            ..default_delete()
        };
        match sync.client::<ConfigMap>().delete(&key, this_one).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(Outcome::Done),
            Err(error) => return Err(error.into()),
        }
        if let Some(expired) = self.expired.get() {
            expired.increment([&key.namespace]);
        }
        info!("expired", at = text);
        Ok(Outcome::Done)
    }
}

export!(Ttl);

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_sdk::testing::Cluster;

    use super::*;

    fn started() -> (Cluster, Ttl) {
        let (cluster, ttl) = (Cluster::new::<Ttl>(), Ttl::new());
        cluster.start(&ttl).unwrap();
        (cluster, ttl)
    }

    fn put(cluster: &Cluster, expires: &str) {
        cluster.put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "default", "name": "a", "annotations": {EXPIRES: expires}},
        }));
    }

    #[test]
    fn it_comes_back_when_the_time_is_up_and_deletes() {
        let (cluster, ttl) = started();
        put(&cluster, &(cluster.now() + Duration::from_secs(60)).to_string());
        let after = Duration::from_millis(60_001);
        assert_eq!(cluster.sync(&ttl, "default/a"), Ok(Outcome::RequeueAfter(after)));
        assert!(cluster.take_calls().is_empty());
        cluster.advance(after);
        assert_eq!(cluster.sync(&ttl, "default/a"), Ok(Outcome::Done));
        assert_eq!(cluster.take_calls(), ["delete configmaps default/a"]);
        assert!(cluster.list("configmaps").is_empty());
        assert_eq!(cluster.metric("expired_total", &["default"]), Some(1.0));
    }

    #[test]
    fn what_is_not_a_time_is_an_error_for_good() {
        let (cluster, ttl) = started();
        put(&cluster, "tomorrow");
        let error = cluster.sync(&ttl, "default/a").unwrap_err();
        assert!(matches!(error, Error::Terminal(message) if message.contains("`tomorrow`")));
        assert!(cluster.take_calls().is_empty());
    }

    #[test]
    fn without_the_annotation_nothing_happens() {
        let (cluster, ttl) = started();
        cluster.put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "a"},
        }));
        assert_eq!(cluster.sync(&ttl, "default/a"), Ok(Outcome::Done));
        assert_eq!(cluster.sync(&ttl, "default/gone"), Ok(Outcome::Done));
        assert!(cluster.take_calls().is_empty());
    }
}
