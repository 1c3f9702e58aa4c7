//! The chart and the manifests under `deploy`: what they render, whether the API server
//! takes it, and what a release goes through. Skipped where Helm or kubectl could not be
//! built. That the copies and roles kept there are current is for `xtask deploy --check`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_tests::cluster::Cluster;
use windlass_tests::helm::{Helm, objects};
use windlass_tests::kubectl::Kubectl;
use windlass_tests::process::{binary, repository};

const IMAGE: &str = "--set image.repository=registry.example.com/windlass";
const WITH_MONITORING: &str =
    "--set serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true";

/// Objects that may grant something in two namespaces, by verb `*` and by name; a stock
/// guest with rules of its own; a pull secret; numbers and nulls that YAML could garble.
const GRANTED: &str = "\
configuration:
  controllerModules:
    enabled: true
    maxPermissions:
    - {apiGroups: [''], resources: [configmaps], verbs: [get, list, watch, patch], namespaces: [shop, bank]}
    - {apiGroups: [''], resources: [pods], verbs: ['*']}
    - {apiGroups: [apps], resources: [deployments], verbs: [get, patch], resourceNames: [till]}
  registry: {pullSecrets: [{namespace: shop, name: registry}]}
  leaderElection: {namespace: kube-system}
  otlp: {endpoint: 'http://collector:4318', interval: null, sampleRatio: 0.01}
  modules:
  - name: replicaset
    source: {stock: replicaset}
    grantDeclared: false
    permissions:
    - {apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch]}
    - {apiGroups: [''], resources: [pods], verbs: [get, list, watch, create, delete, patch]}
    - {apiGroups: ['', events.k8s.io], resources: [events], verbs: [create, patch]}
    - {apiGroups: [apps], resources: [replicasets/status, replicasets/finalizers], verbs: [update]}
    limits: {queueLength: 2000000, memory: 134217728}
";

/// What the operator of Prometheus would define.
const MONITORING: [(&str, &str); 2] = [
    ("servicemonitors", "ServiceMonitor"),
    ("prometheusrules", "PrometheusRule"),
];

fn example(name: &str) -> String {
    let file = Helm::chart().join("examples").join(name);
    format!("--values {}", file.display())
}

/// What an account may do: namespace or nothing, group, resource, verb, name or nothing.
type Right = [String; 5];

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Every single right that the roles among these objects give.
fn rights(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let is_role = |object: &&Value| object["kind"] == "Role" || object["kind"] == "ClusterRole";
    for role in objects.iter().filter(is_role) {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let mut names = strings(&rule["resourceNames"]);
            if names.is_empty() {
                names.push(String::new());
            }
            for group in strings(&rule["apiGroups"]) {
                for resource in strings(&rule["resources"]) {
                    for verb in strings(&rule["verbs"]) {
                        rights.extend(names.iter().map(|name| {
                            let (group, resource) = (group.clone(), resource.clone());
                            [namespace.to_owned(), group, resource, verb.clone(), name.clone()]
                        }));
                    }
                }
            }
        }
    }
    rights
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.with_context(|| format!("there is no {kind}"))
}

fn windlass(arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary()).args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`windlass {arguments:?}` failed: {errors}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What `windlass rbac` says of a configuration.
fn rights_of(configuration: &str, folder: &Path) -> Result<BTreeSet<Right>> {
    let file = folder.join("host.yaml");
    std::fs::write(&file, configuration)?;
    let file = file.to_str().context("the path is not UTF-8")?;
    windlass(&["config", "check", "--file", file])?;
    Ok(rights(&objects(&windlass(&["rbac", "--config", file])?)?))
}

/// Asserts what the level `restricted` of the pod security standards asks of a Deployment.
fn assert_restricted(deployment: &Value) {
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(pod[key], Value::Null, "{key}");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        assert!(
            volume["configMap"].is_object() || volume["emptyDir"].is_object(),
            "{volume}"
        );
    }
    for container in pod["containers"].as_array().into_iter().flatten() {
        let expected = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}
        });
        assert_eq!(container["securityContext"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_s_roles_give_what_windlass_rbac_prints_and_nothing_else() -> Result<()> {
    let Some(helm) = Helm::find()? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut sets = vec![
        String::new(),
        example("stock.yaml"),
        "--set configuration.controllerModules.enabled=true".to_owned(),
        "--set configuration.leaderElection.enabled=false".to_owned(),
        format!("--values {}", helm.values("granted", GRANTED)?.display()),
    ];
    for guest in ["deployment", "replicaset", "scheduler", "garbage-collector"] {
        let module = "configuration.modules[0]";
        sets.push(format!(
            "--set {module}.name={guest},{module}.source.stock={guest}"
        ));
    }
    for set in sets {
        let rendered = objects(&helm.template(&format!("{IMAGE} {set}")).await?)?;
        let configuration = of_kind(&rendered, "ConfigMap")?["data"]["host.yaml"].as_str();
        let expected = rights_of(configuration.context("there is no host.yaml")?, folder.path())?;
        assert_eq!(rights(&rendered), expected, "{set}");
        assert_restricted(of_kind(&rendered, "Deployment")?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_others_gets_what_its_permissions_say() -> Result<()> {
    let Some(helm) = Helm::find()? else {
        return Ok(());
    };
    let rendered = helm
        .template(&format!("{IMAGE} {}", example("guests.yaml")))
        .await?;
    let rights = rights(&objects(&rendered)?);
    let verbs = |resource: &str| -> Vec<String> {
        let of_resource = rights
            .iter()
            .filter(|right| right[0].is_empty() && right[2] == resource);
        of_resource.map(|right| right[3].clone()).collect()
    };
    assert_eq!(verbs("namespaces"), ["get", "list", "patch", "watch"]);
    assert_eq!(
        verbs("configmaps"),
        ["get", "list", "patch", "watch"],
        "of objects"
    );
    assert_eq!(verbs("secrets"), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_wrong_are_refused() -> Result<()> {
    let Some(helm) = Helm::find()? else {
        return Ok(());
    };
    let stock = "configuration.modules[0].name=a,configuration.modules[0].source.stock=scheduler";
    let refused = [
        ("--set replica=3", "additional properties 'replica' not allowed"),
        (
            "--set configuration.statusAddress=none",
            "at '/configuration': additional properties 'statusAddress' not allowed",
        ),
        (
            "--set configuration.modules[0].name=a,configuration.modules[0].source.stok=b",
            "at '/configuration/modules/0/source': additional properties 'stok' not allowed",
        ),
        (
            "--set configuration.shutdownGrace=3",
            "at '/configuration/shutdownGrace': got number, want string",
        ),
        (
            &format!("--set {stock},configuration.modules[0].impersonate.user=u"),
            "set rbac.create to false and apply what `windlass rbac` prints",
        ),
        (
            "--set image.repository=",
            "image.repository is needed: no image is published, `make image` builds one",
        ),
    ];
    for (arguments, message) in refused {
        let answer = helm.template(&format!("{IMAGE} {arguments}")).await;
        let error = answer.err().with_context(|| format!("{arguments} was taken"))?;
        assert!(format!("{error:#}").contains(message), "{arguments}: {error:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_passes_lint() -> Result<()> {
    let Some(helm) = Helm::find()? else {
        return Ok(());
    };
    for set in [example("stock.yaml"), example("guests.yaml")] {
        let line = format!(
            "lint {} --strict {IMAGE} {WITH_MONITORING} {set}",
            Helm::chart().display()
        );
        let linted = helm.run(&line).await?;
        assert!(linted.stdout.contains("0 chart(s) failed"), "{linted:?}");
    }
    Ok(())
}

/// A definition that takes any object of this kind.
fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
            }]
        }
    })
}

/// A cluster with the namespace and the kinds that the objects need.
async fn cluster() -> Result<Option<(Cluster, Kubectl, Helm)>> {
    let Some(helm) = Helm::find()? else {
        return Ok(None);
    };
    let Some((cluster, kubectl)) = Kubectl::up(&["--nodes", "2"]).await? else {
        return Ok(None);
    };
    kubectl.run("create namespace windlass-system").await?;
    for (plural, kind) in MONITORING {
        let file = cluster.folder.path().join(format!("{plural}.json"));
        std::fs::write(&file, definition(plural, kind).to_string())?;
        kubectl
            .run(&format!("create --filename={}", file.display()))
            .await?;
        kubectl
            .run(&format!(
                "wait crd/{plural}.monitoring.coreos.com --for=condition=Established"
            ))
            .await?;
    }
    let helm = helm.with(&cluster);
    Ok(Some((cluster, kubectl, helm)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_what_the_chart_and_the_overlays_render() -> Result<()> {
    let Some((cluster, kubectl, helm)) = cluster().await? else {
        return Ok(());
    };
    for namespace in ["shop", "bank"] {
        kubectl.run(&format!("create namespace {namespace}")).await?;
    }
    let granted = helm.values("granted", GRANTED)?;
    let sets = [
        example("stock.yaml"),
        example("guests.yaml"),
        format!("--values {}", granted.display()),
    ];
    for set in sets {
        let rendered = helm.template(&format!("{IMAGE} {WITH_MONITORING} {set}")).await?;
        let file = cluster.folder.path().join("rendered.yaml");
        std::fs::write(&file, &rendered)?;
        let line = format!(
            "create --dry-run=server --output=name --filename={}",
            file.display()
        );
        let taken = kubectl.stdout(&line).await?;
        assert_eq!(taken.lines().count(), objects(&rendered)?.len(), "{taken}");
    }
    for overlay in ["stock", "guests"] {
        let folder = repository().join("deploy/kustomize/overlays").join(overlay);
        let line = format!(
            "apply --dry-run=server --output=name --kustomize={}",
            folder.display()
        );
        let taken = kubectl.stdout(&line).await?;
        assert!(
            taken.lines().any(|name| name == "deployment.apps/windlass"),
            "{taken}"
        );
        let rendered = kubectl.stdout(&format!("kustomize {}", folder.display())).await?;
        assert_restricted(of_kind(&objects(&rendered)?, "Deployment")?);
    }
    Ok(())
}

/// A release `w`, and what it is at.
struct Release<'a> {
    helm: &'a Helm,
    kubectl: &'a Kubectl,
}

impl Release<'_> {
    async fn change(&self, verb: &str, arguments: &str) -> Result<()> {
        let line = format!(
            "{verb} {arguments} --namespace windlass-system --server-side=false --wait --timeout 60s"
        );
        self.helm.run(&line).await?;
        Ok(())
    }

    /// Installs or upgrades to these values.
    async fn set(&self, verb: &str, values: &str) -> Result<()> {
        let chart = Helm::chart();
        self.change(
            verb,
            &format!("w {} {IMAGE} {WITH_MONITORING} {values}", chart.display()),
        )
        .await
    }

    async fn get(&self, what: &str) -> Result<String> {
        self.kubectl
            .stdout(&format!("get {what} --namespace=windlass-system"))
            .await
    }

    /// The rights that the cluster has for it now.
    async fn rights(&self) -> Result<BTreeSet<Right>> {
        let roles = "clusterrole,role --selector=app.kubernetes.io/instance=w --output=json";
        let list: Value = serde_json::from_str(&self.get(roles).await?)?;
        Ok(rights(list["items"].as_array().context("a list")?))
    }

    /// How many versions of the pods there have been.
    async fn versions(&self) -> Result<usize> {
        Ok(self.get("replicasets --output=name").await?.lines().count())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_upgraded_rolled_back_and_uninstalled() -> Result<()> {
    let Some((cluster, kubectl, helm)) = cluster().await? else {
        return Ok(());
    };
    let release = Release {
        helm: &helm,
        kubectl: &kubectl,
    };
    release.set("install", &example("stock.yaml")).await?;
    let ready = "deployment w-windlass --output=jsonpath={.status.readyReplicas}";
    assert_eq!(release.get(ready).await?, "2");
    let at_first = release.rights().await?;
    let configuration = r"configmap w-windlass --output=jsonpath={.data.host\.yaml}";
    let expected = rights_of(&release.get(configuration).await?, cluster.folder.path())?;
    assert_eq!(at_first, expected);

    release.set("upgrade", &example("guests.yaml")).await?;
    let modules = release.get(configuration).await?;
    assert!(
        modules.contains("default-owner") && !modules.contains("stock"),
        "{modules}"
    );
    assert!(
        !release
            .rights()
            .await?
            .iter()
            .any(|right| right[2] == "pods/binding")
    );
    assert_eq!(
        release.versions().await?,
        2,
        "the other class of priority makes new pods"
    );
    let follow = format!(
        "{} --set configuration.controllerModules.selector=a=b",
        example("guests.yaml")
    );
    release.set("upgrade", &follow).await?;
    assert_eq!(
        release.versions().await?,
        2,
        "the host takes modules up as it runs"
    );
    release
        .set(
            "upgrade",
            &format!("{follow} --set configuration.log.format=json"),
        )
        .await?;
    assert_eq!(
        release.versions().await?,
        3,
        "the format of the log needs a start"
    );

    release.change("rollback", "w 1").await?;
    assert_eq!(release.rights().await?, at_first);
    assert_eq!(release.get(ready).await?, "2");

    helm.run("uninstall w --namespace windlass-system --wait").await?;
    let everything = "deployments,services,configmaps,serviceaccounts,secrets,networkpolicies,poddisruptionbudgets,\
                      roles,rolebindings,clusterroles,clusterrolebindings,priorityclasses,prometheusrules,servicemonitors";
    let left = release.get(&format!("{everything} --output=name")).await?;
    let of_the_cluster = [
        "configmap/kube-root-ca.crt",
        "serviceaccount/default",
        "priorityclass.scheduling.k8s.io/system-cluster-critical",
        "priorityclass.scheduling.k8s.io/system-node-critical",
    ];
    assert_eq!(left.lines().collect::<Vec<_>>(), of_the_cluster);
    let definition = release
        .get("crd controllermodules.windlass.dev --output=name")
        .await?;
    assert!(!definition.is_empty(), "it and its objects are kept");
    Ok(())
}
