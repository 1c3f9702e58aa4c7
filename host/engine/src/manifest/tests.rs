use super::*;
use crate::bindings::windlass::controller::types::ApiResource;

const NO_OPTIONAL_EXPORTS: OptionalExports = OptionalExports {
    observer: false,
    mapper: false,
    blocking: false,
};

fn pods() -> wit::Watch {
    wit::Watch {
        target: wit::WatchTarget::One(ApiResource {
            group: String::new(),
            version: "v1".into(),
            plural: "pods".into(),
        }),
        label_selector: String::new(),
        view: wit::View::Full,
        enqueue: wit::EnqueueRule::Itself,
        on: wit::EventKinds::ADDED | wit::EventKinds::DELETED,
        observe: false,
        old_bodies: false,
        indexes: vec![wit::Index {
            name: "node".into(),
            path: "spec.nodeName".into(),
        }],
    }
}

fn valid() -> wit::Manifest {
    wit::Manifest {
        name: "pod-counter".into(),
        version: "1.0".into(),
        watches: vec![pods()],
        workers: 4,
        permissions: vec![wit::Permission {
            groups: vec![String::new()],
            resources: vec!["pods/status".into()],
            verbs: vec!["patch".into()],
        }],
        api_qps: 0,
        api_burst: 0,
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut wit::Manifest), message: &str) {
    let mut manifest = valid();
    change(&mut manifest);
    assert_eq!(
        from_guest(manifest, NO_OPTIONAL_EXPORTS).unwrap_err().to_string(),
        message
    );
}

#[test]
fn a_valid_manifest_is_carried_over() {
    let manifest = from_guest(valid(), NO_OPTIONAL_EXPORTS).unwrap();
    let watch = &manifest.watches[0];
    assert_eq!(watch.target, WatchTarget::One(Resource::new("", "v1", "pods")));
    assert_eq!(
        watch.on,
        EventKinds {
            added: true,
            updated: false,
            deleted: true
        }
    );
    assert_eq!(
        watch.indexes,
        [IndexSpec {
            name: "node".into(),
            path: "spec.nodeName".into()
        }]
    );
    assert_eq!(manifest.permissions[0].resources, ["pods/status"]);
}

#[test]
fn names_must_be_dns_labels() {
    let rule = "use at most 63 lower-case letters, digits and dashes, with no dash at either end";
    for name in ["", "-a", "a-", "Pod", "a.b", "a_b", &"a".repeat(64)] {
        refused(
            |manifest| manifest.name = name.into(),
            &format!("name: {name:?} is not a controller name: {rule}"),
        );
    }
}

#[test]
fn workers_have_bounds() {
    refused(
        |manifest| manifest.workers = 0,
        "workers: 0 is not between 1 and 1000",
    );
    refused(
        |manifest| manifest.workers = 1001,
        "workers: 1001 is not between 1 and 1000",
    );
}

#[test]
fn rules_need_the_exports_they_call() {
    refused(
        |manifest| manifest.watches[0].observe = true,
        "watches[0].observe: is set, but the component does not export `observer`",
    );
    refused(
        |manifest| manifest.watches[0].enqueue = wit::EnqueueRule::Mapper,
        "watches[0].enqueue: is `mapper`, but the component does not export `mapper`",
    );
}

#[test]
fn paths_and_indexes_are_checked() {
    refused(
        |manifest| manifest.watches[0].indexes[0].path = "spec..nodeName".into(),
        "watches[0].indexes[0].path: \"spec..nodeName\" is not a path such as `spec.nodeName`",
    );
    refused(
        |manifest| {
            manifest.watches[0].indexes.push(wit::Index {
                name: "node".into(),
                path: "spec".into(),
            })
        },
        "watches[0].indexes[1].name: \"node\" is declared twice",
    );
    refused(
        |manifest| manifest.watches[0].view = wit::View::Fields(vec![".spec".into()]),
        "watches[0].view: \".spec\" is not a path such as `spec.nodeName`",
    );
}

#[test]
fn discovered_watches_are_metadata_for_observers_only() {
    let discovered = |manifest: &mut wit::Manifest| {
        manifest.watches[0].target = wit::WatchTarget::Discovered(vec!["/events".into()]);
    };
    refused(
        discovered,
        "watches[0].view: must be `metadata` for discovered resources",
    );
    refused(
        |manifest| {
            discovered(manifest);
            manifest.watches[0].view = wit::View::Metadata;
        },
        "watches[0].enqueue: must be `none` for discovered resources",
    );
}

#[test]
fn a_rule_that_can_never_apply_is_refused() {
    refused(
        |manifest| manifest.watches[0].on = wit::EventKinds::empty(),
        "watches[0].on: names no event, so the enqueue rule never applies",
    );
    refused(
        |manifest| manifest.permissions[0].verbs.clear(),
        "permissions[0].verbs: is empty, so the rule allows nothing",
    );
}
