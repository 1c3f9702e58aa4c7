//! What a guest says about itself.

use std::sync::Arc;

use bytes::Bytes;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::fuzzing::prune;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_core::manifest::{EnqueueRule, Manifest, View};
use windlass_engine::fuzzing::{contract as wit, manifest, types};
use windlass_engine::load::OptionalExports;

use crate::Target;
use crate::input::{Record, records};
use crate::service::{FakeServer, runtime};

/// What passes can be acted on: watched, pruned to, enqueued by.
pub(crate) const DESCRIBE: Target = Target {
    name: "manifest",
    run: describe,
    mutations: 8_000,
};

/// A record of the manifest itself, then one per watch (`w`) and permission (`p`).
fn describe(data: &[u8]) {
    let mut records = records(data);
    let Some(head) = records.next() else { return };
    let mut described = wit::Manifest {
        name: head.text(0),
        version: head.text(1),
        watches: Vec::new(),
        workers: u32::try_from(head.number(2)).unwrap_or(u32::MAX),
        permissions: Vec::new(),
        api_qps: u32::try_from(head.number(3)).unwrap_or(u32::MAX),
        api_burst: 0,
    };
    for record in records {
        match record.text(0).as_str() {
            "p" => described.permissions.push(wit::Permission {
                groups: record.list(1),
                resources: record.list(2),
                verbs: record.list(3),
            }),
            _ => described.watches.push(watch(&record)),
        }
    }
    let exports = OptionalExports {
        observer: head.number(4) & 1 == 1,
        mapper: head.number(4) & 2 == 2,
        blocking: head.number(4) & 4 == 4,
    };
    let Ok(manifest) = manifest(described, exports) else {
        return;
    };
    assert!((1..=1000).contains(&manifest.workers) && manifest.watches.len() <= 256);
    assert!(!manifest.name.is_empty() && manifest.name.len() <= 63);
    for watch in &manifest.watches {
        assert!(exports.mapper || watch.enqueue != EnqueueRule::Mapper);
        let paths: Vec<_> = watch.indexes.iter().map(|index| index.path.clone()).collect();
        let (_, body) = prune(&watch.view, &paths, OBJECT).expect("any view can be made of an object");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("a pruned body is JSON");
        assert_eq!(body["metadata"]["name"], "a");
        let only_metadata = body.as_object().is_some_and(|members| members.len() == 3);
        assert!(only_metadata || watch.view != View::Metadata || !paths.is_empty());
    }
    subscribe(&manifest);
}

const OBJECT: &[u8] =
    br#"{"metadata":{"name":"a"},"spec":{"a":[{"b":1,"c":2}],"d":{"e":"f"}},"status":{"g":[[1],{}]}}"#;

fn subscribe(manifest: &Manifest) {
    runtime().block_on(async {
        let client = FakeServer::new(|_| (404, Bytes::new())).client();
        let discovery = Arc::new(DiscoveryCache::fixed(Vec::new()));
        let registry = InformerRegistry::new(client, discovery, ReflectorConfig::default());
        // Selectors that do not parse are refused here.
        if let Ok(subscription) = registry.subscribe(&manifest.watches) {
            let _ = subscription.has_synced();
        }
    });
}

fn watch(record: &Record<'_>) -> wit::Watch {
    wit::Watch {
        target: match record.text(1).as_str() {
            "discovered" => wit::WatchTarget::Discovered(record.list(2)),
            group => wit::WatchTarget::One(types::ApiResource {
                group: group.to_owned(),
                version: record.text(2),
                plural: record.text(3),
            }),
        },
        label_selector: record.text(4),
        view: match record.text(5).as_str() {
            "full" => wit::View::Full,
            "" => wit::View::Metadata,
            _ => wit::View::Fields(record.list(5)),
        },
        enqueue: match record.text(6).as_str() {
            "" => wit::EnqueueRule::None,
            "itself" => wit::EnqueueRule::Itself,
            "mapper" => wit::EnqueueRule::Mapper,
            kind => wit::EnqueueRule::Owner(wit::OwnerRule {
                group: record.text(1),
                kind: kind.to_owned(),
                orphans: if record.number(8) > 1 {
                    wit::OrphanRule::MatchingSelectors
                } else {
                    wit::OrphanRule::Ignore
                },
            }),
        },
        on: match record.number(7) {
            0 => wit::EventKinds::empty(),
            1 => wit::EventKinds::ADDED,
            2 => wit::EventKinds::DELETED | wit::EventKinds::UPDATED,
            _ => wit::EventKinds::all(),
        },
        observe: record.number(8) & 1 == 1,
        old_bodies: false,
        indexes: record
            .list(9)
            .into_iter()
            .map(|path| wit::Index {
                name: path.clone(),
                path,
            })
            .collect(),
    }
}
