//! `xtask cluster`: installs the chart on a real API server and asks it what came of that.
//!
//! The embedded one does not authorise, so only a real one can tell what the host's account
//! may do: exactly what `windlass rbac` prints for the configuration that the chart
//! rendered. No pod needs to start, so an API server alone will do. Everything is in a
//! namespace of its own, and goes again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::clients;
use crate::process::{run as run_command, stdout};

const NAMESPACE: &str = "windlass-check";
const ACCOUNT: &str = "check-windlass";
/// An account that no role names: what it may do, everybody may.
const NOBODY: &str = "nobody";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
/// Where the host's rights are looked at beside its own namespace.
const ELSEWHERE: [&str; 2] = ["default", "kube-system"];

/// Guests of others, which objects name: rights in all namespaces, in one and to one name.
const OBJECTS: &str = "\
configuration:
  controllerModules:
    enabled: true
    maxPermissions:
    - {apiGroups: [''], resources: [configmaps], verbs: [get, list, watch, patch]}
    - {apiGroups: ['', events.k8s.io], resources: [events], verbs: [create, patch]}
    - {apiGroups: [apps], resources: [deployments], verbs: [get, patch], namespaces: [default], resourceNames: [till]}
";

/// API group, resource, verb and name.
type Right = [String; 4];

/// Checks with an administrator's kubeconfig: stock guests, an upgrade to others, and back.
pub(crate) fn run(root: &Path, windlass: &str, kubeconfig: &str) -> Result<()> {
    clients::build(root, &clients::KUBECTL)?;
    clients::build(root, &clients::HELM)?;
    let cluster = Cluster {
        root,
        windlass: root.join(windlass),
        kubeconfig: root.join(kubeconfig),
        work: root.join("target/cluster"),
    };
    fs::create_dir_all(&cluster.work)?;
    cluster.prepare()?;
    let checked = cluster.check_all();
    let removed = cluster.remove();
    checked?;
    removed
}

struct Cluster<'a> {
    root: &'a Path,
    windlass: PathBuf,
    kubeconfig: PathBuf,
    work: PathBuf,
}

impl Cluster<'_> {
    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.root.join("target/kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    fn helm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.root.join("target/helm"));
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--namespace", NAMESPACE]);
        command.args(arguments);
        command
    }

    /// A namespace that takes only pods of the strictest level.
    fn prepare(&self) -> Result<()> {
        run_command(&mut self.kubectl(&["create", "namespace", NAMESPACE]))?;
        let level = "pod-security.kubernetes.io/enforce=restricted";
        run_command(&mut self.kubectl(&["label", "namespace", NAMESPACE, level]))?;
        run_command(&mut self.kubectl(&["create", "serviceaccount", NOBODY, "--namespace", NAMESPACE]))
    }

    fn remove(&self) -> Result<()> {
        stdout(&mut self.helm(&["uninstall", "check", "--ignore-not-found"]))?;
        run_command(&mut self.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]))
    }

    fn check_all(&self) -> Result<()> {
        let chart = self.root.join("deploy/helm/windlass");
        let stock = chart.join("examples/stock.yaml");
        let objects = self.write("objects.yaml", OBJECTS)?;
        for (verb, what, values) in [("install", "stock", stock), ("upgrade", "objects", objects)] {
            let image = "image.repository=registry.example.com/windlass,controllerModules.definition=false";
            let mut helm = self.helm(&[verb, "check", "--set", image, "--values"]);
            stdout(helm.arg(values).arg(&chart))?;
            self.check(what)?;
        }
        stdout(&mut self.helm(&["rollback", "check", "1"]))?;
        self.check("stock, by rollback")?;
        stdout(&mut self.helm(&["uninstall", "check"]))?;
        let left = stdout(&mut self.kubectl(&[
            "get",
            "clusterroles",
            "--output=name",
            "--selector=app.kubernetes.io/instance=check",
        ]))?;
        ensure!(left.is_empty(), "still there after it was uninstalled: {left}");
        Ok(())
    }

    /// What the release is now.
    fn check(&self, what: &str) -> Result<()> {
        self.check_pod().with_context(|| format!("a pod of {what}"))?;
        let needed = self.needed()?;
        let mut count = 0;
        for namespace in [NAMESPACE].iter().chain(&ELSEWHERE) {
            let everybody = self.may(NOBODY, namespace)?;
            let has: BTreeSet<Right> = self
                .may(ACCOUNT, namespace)?
                .difference(&everybody)
                .cloned()
                .collect();
            let wants: BTreeSet<Right> = needed
                .iter()
                .filter(|(of, _)| of.is_empty() || of == namespace)
                .map(|(_, right)| right.clone())
                .collect();
            let beyond: Vec<_> = has.difference(&wants).collect();
            ensure!(
                beyond.is_empty(),
                "{what} may, beyond its needs, in {namespace}: {beyond:?}"
            );
            let lacking: Vec<_> = wants
                .difference(&has)
                .filter(|right| !everybody.contains(*right))
                .collect();
            ensure!(lacking.is_empty(), "{what} may not in {namespace}: {lacking:?}");
            count = count.max(has.len());
        }
        println!("{what}: taken; {count} rights, as `windlass rbac` has them, and none beyond");
        Ok(())
    }

    /// That the API server would admit a pod of the Deployment.
    fn check_pod(&self) -> Result<()> {
        let get = [
            "get",
            "deployment",
            ACCOUNT,
            "--namespace",
            NAMESPACE,
            "--output=json",
        ];
        let deployment: Value = serde_json::from_str(&stdout(&mut self.kubectl(&get))?)?;
        let template = &deployment["spec"]["template"];
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
            "metadata": {"name": "probe", "namespace": NAMESPACE, "labels": template["metadata"]["labels"]},
        });
        let file = self.write("pod.json", &pod.to_string())?;
        stdout(
            self.kubectl(&["create", "--dry-run=server", "--validate=strict", "--filename"])
                .arg(file),
        )?;
        Ok(())
    }

    /// What the configuration of the release needs, and in which namespace, or in all.
    fn needed(&self) -> Result<BTreeSet<(String, Right)>> {
        let key = r"--output=jsonpath={.data.host\.yaml}";
        let get = ["get", "configmap", ACCOUNT, "--namespace", NAMESPACE, key];
        let configuration = self.write("host.yaml", &stdout(&mut self.kubectl(&get))?)?;
        let roles = stdout(
            Command::new(&self.windlass)
                .args(["rbac", "--config"])
                .arg(configuration),
        )?;
        let roles = self.write("rbac.yaml", &roles)?;
        let convert = ["create", "--dry-run=client", "--output=json", "--filename"];
        let objects = stdout(self.kubectl(&convert).arg(roles))?;
        let mut needed = BTreeSet::new();
        for object in serde_json::Deserializer::from_str(&objects).into_iter::<Value>() {
            let object = object.context("kubectl's JSON")?;
            if object["kind"] == "Role" || object["kind"] == "ClusterRole" {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                needed.extend(
                    rights(&object["rules"])
                        .into_iter()
                        .map(|right| (namespace.to_owned(), right)),
                );
            }
        }
        Ok(needed)
    }

    /// What the API server says that an account may do.
    fn may(&self, account: &str, namespace: &str) -> Result<BTreeSet<Right>> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let file = self.write("review.json", &review.to_string())?;
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        let answer = stdout(
            self.kubectl(&["create", "--raw", REVIEWS, &account, "--filename"])
                .arg(file),
        )?;
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(
            answer["status"]["incomplete"] == false,
            "the API server does not know all: {answer}"
        );
        Ok(rights(&answer["status"]["resourceRules"]))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.work.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// Every single right that rules give.
fn rights(rules: &Value) -> BTreeSet<Right> {
    let strings = |rule: &Value, key: &str| -> Vec<String> {
        let items = rule[key].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules.as_array().into_iter().flatten() {
        let mut names = strings(rule, "resourceNames");
        if names.is_empty() {
            names.push(String::new());
        }
        for group in strings(rule, "apiGroups") {
            for resource in strings(rule, "resources") {
                for verb in strings(rule, "verbs") {
                    rights.extend(
                        names
                            .iter()
                            .map(|name| [group.clone(), resource.clone(), verb.clone(), name.clone()]),
                    );
                }
            }
        }
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_taken_apart() {
        let rules = json!([
            {"apiGroups": ["", "apps"], "resources": ["a"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["b"], "verbs": ["get"], "resourceNames": ["x"]},
        ]);
        let right =
            |group: &str, resource: &str, name: &str| [group, resource, "get", name].map(str::to_owned);
        let expected = [right("", "a", ""), right("apps", "a", ""), right("", "b", "x")];
        assert_eq!(rights(&rules), BTreeSet::from(expected));
    }
}
