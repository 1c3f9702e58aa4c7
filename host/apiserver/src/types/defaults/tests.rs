//! Whole objects before and after defaulting.

use super::apply;
use serde_json::{Value, json};

fn defaulted(group: &str, kind: &str, mut object: Value) -> Value {
    apply(group, kind, &mut object);
    let once = object.clone();
    apply(group, kind, &mut object);
    assert_eq!(object, once, "defaulting is idempotent");
    object
}

#[test]
fn a_small_pod_becomes_whole() {
    let pod = defaulted(
        "",
        "Pod",
        json!({"spec": {"containers": [{
        "name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }], "volumes": [{"name": "v", "configMap": {"name": "m"}}, {"name": "e"}]}}),
    );
    assert_eq!(
        pod["spec"],
        json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30, "securityContext": {}, "enableServiceLinks": true,
            "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 420}}, {"name": "e", "emptyDir": {}}],
            "containers": [{
                "name": "c", "image": "nginx:1", "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "periodSeconds": 5,
                    "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
            }],
        })
    );
}

#[test]
fn host_network_pods_have_host_ports() {
    let pod = defaulted(
        "",
        "Pod",
        json!({"spec": {"hostNetwork": true, "containers": [{"ports": [{"containerPort": 80}]}]}}),
    );
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["hostPort"], 80);
}

#[test]
fn a_template_does_not_get_what_only_pods_get() {
    let set = defaulted(
        "apps",
        "ReplicaSet",
        json!({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "image": "a", "resources": {"limits": {"cpu": "1"}}}]}}}}),
    );
    let spec = &set["spec"]["template"]["spec"];
    assert_eq!(
        spec["containers"][0]["resources"],
        json!({"limits": {"cpu": "1"}})
    );
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "Always");
    assert!(spec.get("enableServiceLinks").is_none());
    assert_eq!(set["spec"]["replicas"], 1);
}

#[test]
fn a_deployment_rolls_by_quarters() {
    let deployment = defaulted("apps", "Deployment", json!({"spec": {"template": {}}}));
    let spec = &deployment["spec"];
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
    );
    assert_eq!(
        (
            &spec["replicas"],
            &spec["revisionHistoryLimit"],
            &spec["progressDeadlineSeconds"]
        ),
        (&json!(1), &json!(10), &json!(600))
    );
    let recreate = defaulted(
        "apps",
        "Deployment",
        json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}}),
    );
    assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(recreate["spec"]["replicas"], 0);
}

#[test]
fn stateful_and_daemon_sets_have_their_strategies() {
    let set = defaulted("apps", "StatefulSet", json!({"spec": {}}));
    assert_eq!(
        set["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    );
    assert_eq!(set["spec"]["podManagementPolicy"], "OrderedReady");
    let set = defaulted("apps", "DaemonSet", json!({"spec": {}}));
    assert_eq!(
        set["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
}

#[test]
fn a_replication_controller_takes_labels_and_selector_from_its_template() {
    let rc = defaulted(
        "",
        "ReplicationController",
        json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
    );
    assert_eq!(rc["spec"]["selector"], json!({"a": "b"}));
    assert_eq!(rc["metadata"]["labels"], json!({"a": "b"}));
}

#[test]
fn jobs_run_once_with_six_retries() {
    let job = defaulted("batch", "Job", json!({"spec": {"template": {"spec": {}}}}));
    let spec = &job["spec"];
    assert_eq!(
        (&spec["completions"], &spec["parallelism"], &spec["backoffLimit"]),
        (&json!(1), &json!(1), &json!(6))
    );
    assert_eq!(spec["completionMode"], "NonIndexed");
    assert_eq!(spec["podReplacementPolicy"], "TerminatingOrFailed");
    let queue = defaulted(
        "batch",
        "Job",
        json!({"spec": {"parallelism": 3, "template": {"spec": {}}}}),
    );
    assert!(queue["spec"].get("completions").is_none());
    let cron = defaulted("batch", "CronJob", json!({"spec": {}}));
    assert_eq!(cron["spec"]["successfulJobsHistoryLimit"], 3);
}

#[test]
fn services_target_their_own_port() {
    let service = defaulted(
        "",
        "Service",
        json!({"spec": {"ports": [{"port": 80}, {"port": 81, "targetPort": "web"}]}}),
    );
    assert_eq!(
        service["spec"],
        json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ports": [
            {"port": 80, "targetPort": 80, "protocol": "TCP"}, {"port": 81, "targetPort": "web", "protocol": "TCP"}]})
    );
    let balanced = defaulted("", "Service", json!({"spec": {"type": "LoadBalancer"}}));
    assert_eq!(balanced["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(balanced["spec"]["allocateLoadBalancerNodePorts"], true);
}

#[test]
fn a_namespace_is_labelled_with_its_name() {
    let namespace = defaulted("", "Namespace", json!({"metadata": {"name": "a"}}));
    assert_eq!(
        namespace,
        json!({"metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    );
}

#[test]
fn smaller_types_have_defaults_too() {
    assert_eq!(defaulted("", "Secret", json!({}))["type"], "Opaque");
    assert_eq!(
        defaulted("", "Node", json!({"status": {"capacity": {"cpu": "1"}}}))["status"]["allocatable"]["cpu"],
        "1"
    );
    assert_eq!(
        defaulted(
            "networking.k8s.io",
            "NetworkPolicy",
            json!({"spec": {"egress": [{}]}})
        )["spec"]["policyTypes"],
        json!(["Ingress", "Egress"])
    );
    assert_eq!(
        defaulted("autoscaling", "HorizontalPodAutoscaler", json!({"spec": {}}))["spec"]["minReplicas"],
        1
    );
    assert_eq!(
        defaulted(
            "rbac.authorization.k8s.io",
            "RoleBinding",
            json!({"roleRef": {}, "subjects": [{"kind": "User"}]})
        ),
        json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io"}, "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io"}]})
    );
    assert_eq!(
        defaulted("example.com", "Thing", json!({"a": 1})),
        json!({"a": 1})
    );
}
