//! Objects that are refused, with the exact words, and objects that are not.

use super::*;
use crate::types::defaults;
use serde_json::json;

fn defaulted(group: &str, kind: &str, mut object: Value) -> Value {
    defaults::apply(group, kind, &mut object);
    object
}

#[track_caller]
fn refused(group: &str, kind: &str, object: Value, expected: &[&str]) {
    let errors = create(group, kind, &defaulted(group, kind, object));
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expected
    );
}

#[track_caller]
fn refused_change(group: &str, kind: &str, new: &Value, old: &Value, expected: &[&str]) {
    let errors = update(group, kind, new, old);
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expected
    );
}

fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "d"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn deployment(spec: Value) -> Value {
    let mut deployment = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    for (key, value) in spec.as_object().unwrap() {
        deployment["spec"][key] = value.clone();
    }
    deployment
}

#[test]
fn plain_objects_are_accepted() {
    refused("", "Pod", pod(json!({})), &[]);
    refused("apps", "Deployment", deployment(json!({})), &[]);
    refused("apps", "ReplicaSet", deployment(json!({})), &[]);
    refused(
        "",
        "ConfigMap",
        json!({"metadata": {"generateName": "x-"}, "data": {"a.b": "c"}}),
        &[],
    );
    refused(
        "",
        "Service",
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
        &[],
    );
    refused(
        "rbac.authorization.k8s.io",
        "ClusterRole",
        json!({"metadata": {"name": "system:node"}}),
        &[],
    );
    refused("example.com", "Thing", json!({"metadata": {"name": "x"}}), &[]);
}

#[test]
fn metadata_is_checked_for_every_type() {
    refused(
        "example.com",
        "Thing",
        json!({"metadata": {}}),
        &["metadata.name: Required value: name or generateName is required"],
    );
    let errors = create("", "Namespace", &json!({"metadata": {"name": "a.b"}}));
    assert!(
        errors[0]
            .message
            .starts_with("Invalid value: \"a.b\": a lowercase RFC 1123 label must consist of"),
        "{errors:?}"
    );
    let owner =
        |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
    let errors = create(
        "",
        "ConfigMap",
        &json!({"metadata": {"name": "x", "ownerReferences": [owner("a"), owner("b")]}}),
    );
    assert!(errors[0].message.ends_with(
        "Only one reference can have Controller set to true. Found \"true\" in references for a and b"
    ));
    refused(
        "",
        "ConfigMap",
        json!({"metadata": {"name": "x", "annotations": {"a": "b".repeat(262_144)}}}),
        &["metadata.annotations: Too long: may not be more than 262144 bytes"],
    );
    let errors = create(
        "",
        "ConfigMap",
        &json!({"metadata": {"name": "x", "labels": {"a": "b c"}}}),
    );
    assert_eq!(errors[0].field, "metadata.labels");
}

#[test]
fn a_deleted_object_gains_no_finalizers_and_names_stay() {
    let old = json!({"metadata": {"name": "x", "uid": "u", "deletionTimestamp": "t", "finalizers": ["a/b"]}});
    let new = json!({"metadata": {"name": "x", "uid": "v", "finalizers": ["a/b", "a/c"]}});
    refused_change(
        "",
        "ConfigMap",
        &new,
        &old,
        &[
            "metadata.uid: Invalid value: \"v\": field is immutable",
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a/c\"}",
        ],
    );
}

#[test]
fn pods_need_named_containers_with_images() {
    refused(
        "",
        "Pod",
        pod(json!({"containers": []})),
        &["spec.containers: Required value"],
    );
    refused(
        "",
        "Pod",
        pod(json!({"containers": [{"name": "a"}, {"name": "a", "image": "i"}]})),
        &[
            "spec.containers[0].image: Required value",
            "spec.containers[1].name: Duplicate value: \"a\"",
        ],
    );
    refused(
        "",
        "Pod",
        pod(json!({"restartPolicy": "Sometimes"})),
        &[
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ],
    );
}

#[test]
fn requests_stay_below_limits() {
    let resources =
        |value: Value| pod(json!({"containers": [{"name": "c", "image": "i", "resources": value}]}));
    refused(
        "",
        "Pod",
        resources(json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}})),
        &[
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m",
        ],
    );
    refused(
        "",
        "Pod",
        resources(json!({"requests": {"cpu": "-1"}})),
        &[
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ],
    );
    refused(
        "",
        "Pod",
        resources(json!({"requests": {"example.com/gpu": "1"}})),
        &[
            "spec.containers[0].resources.requests: Required value: Limit must be set for non overcommitable resources",
        ],
    );
}

#[test]
fn mounts_refer_to_volumes() {
    let container = json!({"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/v"}]});
    refused(
        "",
        "Pod",
        pod(json!({"containers": [container], "volumes": [{"name": "v"}, {"name": "v"}]})),
        &[
            "spec.volumes[1].name: Duplicate value: \"v\"",
            "spec.containers[0].volumeMounts[1].name: Not found: \"w\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/v\": must be unique",
        ],
    );
}

#[test]
fn gated_pods_have_no_node_and_ports_have_ranges() {
    refused(
        "",
        "Pod",
        pod(json!({"nodeName": "n", "schedulingGates": [{"name": "g"}]})),
        &["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    );
    refused(
        "",
        "Pod",
        pod(json!({"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 70000}]}]})),
        &[
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ],
    );
}

#[test]
fn a_pod_changes_its_images_deadline_and_tolerations_only() {
    let old = defaulted(
        "",
        "Pod",
        pod(json!({"tolerations": [{"key": "k", "operator": "Exists"}], "activeDeadlineSeconds": 10})),
    );
    let changed = |edit: fn(&mut Value)| {
        let mut new = old.clone();
        edit(&mut new["spec"]);
        update("", "Pod", &new, &old)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert!(changed(|spec| spec["containers"][0]["image"] = "j".into()).is_empty());
    assert!(changed(|spec| spec["activeDeadlineSeconds"] = 5.into()).is_empty());
    assert!(
        changed(|spec| spec["tolerations"]
            .as_array_mut()
            .unwrap()
            .push(json!({"operator": "Exists"})))
        .is_empty()
    );
    assert_eq!(
        changed(|spec| spec["activeDeadlineSeconds"] = 15.into()),
        ["spec.activeDeadlineSeconds: Invalid value: 15: must be less than or equal to previous value"]
    );
    assert_eq!(
        changed(|spec| spec["tolerations"] = json!([])),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
    assert_eq!(
        changed(|spec| spec["schedulingGates"] = json!([{"name": "g"}])),
        ["spec.schedulingGates[0]: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"]
    );
    let forbidden = changed(|spec| spec["nodeName"] = "n".into());
    assert!(forbidden[0].starts_with(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
    ));
    assert!(forbidden[0].ends_with("changed: spec.nodeName"));
    assert!(
        changed(|spec| spec["containers"][0]["command"] = json!(["x"]))[0]
            .ends_with("changed: spec.containers[0].command")
    );
}

#[test]
fn workloads_select_their_template() {
    refused(
        "apps",
        "Deployment",
        deployment(json!({"selector": null})),
        &["spec.selector: Required value"],
    );
    refused(
        "apps",
        "Deployment",
        deployment(json!({"selector": {}})),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    refused(
        "apps",
        "ReplicaSet",
        deployment(json!({"selector": {"matchLabels": {"x": "y"}}, "replicas": -1})),
        &[
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    let mut never = deployment(json!({}));
    never["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
    refused(
        "apps",
        "DaemonSet",
        never,
        &["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""],
    );
    refused(
        "",
        "ReplicationController",
        json!({"metadata": {"name": "x"}, "spec": {}}),
        &["spec.selector: Required value", "spec.template: Required value"],
    );
}

#[test]
fn rolling_updates_can_make_progress() {
    let rolling = |value: Value| deployment(json!({"strategy": {"rollingUpdate": value}}));
    refused(
        "apps",
        "Deployment",
        rolling(json!({"maxSurge": 0, "maxUnavailable": "0%"})),
        &[
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ],
    );
    refused(
        "apps",
        "Deployment",
        rolling(json!({"maxUnavailable": "101%"})),
        &[
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ],
    );
    refused(
        "apps",
        "Deployment",
        deployment(json!({"minReadySeconds": 600})),
        &["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
    );
    refused(
        "apps",
        "Deployment",
        deployment(json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}})),
        &["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    );
}

#[test]
fn selectors_and_stateful_set_specs_stay() {
    let old = defaulted("apps", "Deployment", deployment(json!({})));
    let mut new = old.clone();
    new["spec"]["selector"] = json!({"matchLabels": {"a": "b", "c": "d"}});
    new["spec"]["template"]["metadata"]["labels"] = json!({"a": "b", "c": "d"});
    refused_change(
        "apps",
        "Deployment",
        &new,
        &old,
        &["spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"c\":\"d\"}}: field is immutable"],
    );
    let old = defaulted("apps", "StatefulSet", deployment(json!({"serviceName": "a"})));
    let mut new = old.clone();
    new["spec"]["replicas"] = 3.into();
    refused_change("apps", "StatefulSet", &new, &old, &[]);
    new["spec"]["serviceName"] = "b".into();
    assert!(
        update("apps", "StatefulSet", &new, &old)[0]
            .message
            .contains("updates to statefulset spec")
    );
}

#[test]
fn jobs_end_and_services_have_ports() {
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    refused(
        "batch",
        "Job",
        job,
        &["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""],
    );
    refused(
        "",
        "Service",
        json!({"metadata": {"name": "s"}, "spec": {}}),
        &["spec.ports: Required value"],
    );
    refused(
        "",
        "Service",
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}, {"port": 80}]}}),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value",
            "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}",
        ],
    );
}

#[test]
fn immutable_configuration_stays() {
    let old = json!({"metadata": {"name": "x"}, "immutable": true, "data": {"a": "b"}});
    let new = json!({"metadata": {"name": "x"}, "data": {"a": "c"}});
    refused_change(
        "",
        "ConfigMap",
        &new,
        &old,
        &[
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
    let errors = create(
        "",
        "Secret",
        &json!({"metadata": {"name": "x"}, "data": {"a/b": ""}}),
    );
    assert_eq!(errors[0].field, "data[a/b]");
}

#[test]
fn a_status_message_names_kind_group_and_object() {
    let errors = create(
        "apps",
        "Deployment",
        &defaulted(
            "apps",
            "Deployment",
            deployment(json!({"selector": null, "replicas": -1})),
        ),
    );
    assert_eq!(
        status_message("apps", "Deployment", "d", &errors),
        "Deployment.apps \"d\" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: must be greater than or equal to 0]"
    );
    assert_eq!(
        status_message("", "Pod", "p", &errors[..1]),
        "Pod \"p\" is invalid: spec.selector: Required value"
    );
    assert_eq!(errors[0].reason.as_str(), "FieldValueRequired");
}

fn definition(schema: Value) -> Value {
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

#[track_caller]
fn refused_schema(schema: Value, expected: &str) {
    let expected = format!("spec.validation.openAPIV3Schema{expected}");
    let group = "apiextensions.k8s.io";
    refused(
        group,
        "CustomResourceDefinition",
        definition(schema),
        &[&expected],
    );
}

#[test]
fn definitions_have_consistent_names_and_versions() {
    let group = "apiextensions.k8s.io";
    let kind = "CustomResourceDefinition";
    let good = definition(json!({"type": "object"}));
    refused(group, kind, good.clone(), &[]);
    let mut misnamed = good.clone();
    misnamed["metadata"]["name"] = "gadgets.example.com".into();
    let name =
        r#"metadata.name: Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group"#;
    refused(group, kind, misnamed, &[name]);
    let mut scopeless = good.clone();
    scopeless["spec"]["scope"] = "Everywhere".into();
    let scope = r#"spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced""#;
    refused(group, kind, scopeless, &[scope]);
    let mut unstored = good.clone();
    unstored["spec"]["versions"][0]["storage"] = false.into();
    let errors = create(group, kind, &unstored);
    assert!(
        errors[0]
            .message
            .ends_with("must have exactly one version marked as storage version")
    );
    let mut renamed = good.clone();
    renamed["spec"]["names"]["kind"] = "Gadget".into();
    refused_change(group, kind, &renamed, &good, &[]);
    let mut established = good;
    established["status"] =
        json!({"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]});
    let immutable = r#"spec.names.kind: Invalid value: "Gadget": field is immutable"#;
    refused_change(group, kind, &renamed, &established, &[immutable]);
    let mut moved = established.clone();
    moved["spec"]["versions"][0]["name"] = "v2".into();
    let errors = update(group, kind, &moved, &established);
    assert_eq!(errors[0].field, "status.storedVersions[0]");
}

#[test]
fn schemas_are_structural() {
    refused_schema(json!({}), ".type: Required value: must not be empty at the root");
    let text = ".type: Invalid value: \"string\": must be object at the root";
    refused_schema(json!({"type": "string"}), text);
    let inner = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
    let untyped = ".properties[a].type: Required value: must not be empty for specified object fields";
    refused_schema(inner(json!({})), untyped);
    let items = ".properties[a].items.type: Required value: must not be empty for specified array items";
    refused_schema(inner(json!({"type": "array", "items": {}})), items);
    let unique = ".properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    let list = json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}});
    refused_schema(inner(list), unique);
    let both =
        json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": true});
    let exclusive = ".properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive";
    refused_schema(inner(both), exclusive);
    let typed = json!({"type": "object", "anyOf": [{"type": "object"}]});
    let forbidden = ".properties[a].anyOf[0].type: Forbidden: must be empty to be structural";
    refused_schema(inner(typed), forbidden);
    let default = ".properties[a].default: Invalid value: \"string\": spec.validation.openAPIV3Schema.properties[a].default in body must be of type integer: \"string\"";
    refused_schema(inner(json!({"type": "integer", "default": "many"})), default);
    let group = "apiextensions.k8s.io";
    let any = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    refused(group, "CustomResourceDefinition", definition(inner(any)), &[]);
}
