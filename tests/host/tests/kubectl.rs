//! The embedded cluster as today's kubectl sees it: what it prints, and what comes of
//! what it asks for. Skipped where kubectl could not be built.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use windlass_tests::cluster::Cluster;
use windlass_tests::kubectl::Kubectl;
use windlass_tests::wait;

const NODES: [&str; 2] = ["--nodes", "3"];

/// A cluster with the Deployment `web`, rolled out: three pods of nginx.
async fn with_web(arguments: &[&str]) -> Result<Option<(Cluster, Kubectl)>> {
    let Some((cluster, kubectl)) = Kubectl::up(arguments).await? else {
        return Ok(None);
    };
    assert_eq!(
        kubectl
            .stdout("create deployment web --image=nginx --replicas=3")
            .await?,
        "deployment.apps/web created\n"
    );
    rolled_out(&kubectl).await?;
    Ok(Some((cluster, kubectl)))
}

async fn rolled_out(kubectl: &Kubectl) -> Result<()> {
    let status = kubectl.stdout("rollout status deployment/web").await?;
    assert!(
        status.ends_with("deployment \"web\" successfully rolled out\n"),
        "{status}"
    );
    Ok(())
}

/// The rows of a table, the first being its header.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

/// The lines of a description from a heading on, to its end.
fn section<'a>(description: &'a str, heading: &str) -> &'a str {
    description
        .find(heading)
        .map_or("", |start| &description[start..])
}

fn manifest(cluster: &Cluster, replicas: u32) -> Result<PathBuf> {
    let object = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx"}]}
            }
        }
    });
    let file = cluster.folder.path().join("web.json");
    std::fs::write(&file, object.to_string())?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn client_and_server_are_of_one_version_and_every_group_is_listed() -> Result<()> {
    let Some((_cluster, kubectl)) = Kubectl::up(&NODES).await? else {
        return Ok(());
    };
    let version = kubectl.run("version").await?;
    assert!(version.stdout.contains("Server Version: v1.36."), "{version:?}");
    assert_eq!(version.stderr, "", "no warning of a version skew");

    let resources = kubectl.stdout("api-resources").await?;
    let resources = rows(&resources);
    assert!(
        resources.contains(&vec!["deployments", "deploy", "apps/v1", "true", "Deployment"]),
        "{resources:?}"
    );
    assert!(
        resources.contains(&vec!["nodes", "no", "v1", "false", "Node"]),
        "{resources:?}"
    );
    let apps = kubectl
        .stdout("api-resources --api-group=apps --verbs=list --output=name")
        .await?;
    assert!(apps.lines().any(|name| name == "replicasets.apps"), "{apps}");
    let versions = kubectl.stdout("api-versions").await?;
    for group in ["apps/v1", "batch/v1", "coordination.k8s.io/v1", "v1"] {
        assert!(
            versions.lines().any(|line| line == group),
            "{group} is missing from {versions}"
        );
    }
    assert!(
        kubectl
            .refused("get unicorns")
            .await?
            .contains("the server doesn't have a resource type \"unicorns\"")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_shown_as_tables() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let table = kubectl.stdout("get deployments").await?;
    let [header, web] = &rows(&table)[..] else {
        panic!("one row: {table}")
    };
    assert_eq!(header[..], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(web[..4], ["web", "3/3", "3", "3"]);

    let wide = kubectl.stdout("get pods --output=wide").await?;
    let pods = rows(&wide);
    assert_eq!(
        pods[0][..7],
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    );
    let mut nodes: Vec<&str> = pods[1..].iter().map(|pod| pod[6]).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["node-0", "node-1", "node-2"], "spread over the nodes");
    assert!(
        pods[1..].iter().all(|pod| pod[1..4] == ["1/1", "Running", "0"]),
        "{wide}"
    );

    let sets = kubectl
        .stdout("get replicasets --output=wide --no-headers")
        .await?;
    assert_eq!(rows(&sets)[0][1..4], ["3", "3", "3"], "{sets}");
    let nodes = kubectl.stdout("get nodes --no-headers").await?;
    assert!(rows(&nodes).iter().all(|node| node[1] == "Ready"), "{nodes}");
    let columns = kubectl
        .stdout("get deployment web --output=custom-columns=NAME:.metadata.name,WANTED:.spec.replicas")
        .await?;
    assert_eq!(rows(&columns), [["NAME", "WANTED"], ["web", "3"]]);
    let nothing = kubectl.run("get pods --namespace=kube-public").await?;
    assert_eq!(nothing.stderr, "No resources found in kube-public namespace.\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_shown_in_machine_readable_formats() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let yaml = kubectl.stdout("get deployment web --output=yaml").await?;
    assert!(
        yaml.starts_with("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n"),
        "{yaml}"
    );
    assert!(yaml.contains("\n  replicas: 3\n"), "{yaml}");
    let json: Value = serde_json::from_str(&kubectl.stdout("get deployment web --output=json").await?)?;
    assert_eq!(
        json["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%",
        "defaults are filled in"
    );
    assert_eq!(json["status"]["availableReplicas"], 3);
    let list: Value = serde_json::from_str(&kubectl.stdout("get pods --output=json").await?)?;
    assert_eq!(list["kind"], "List");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        kubectl.stdout("get deployment web --output=name").await?,
        "deployment.apps/web\n"
    );
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.spec.template.spec.containers[*].image}")
            .await?,
        "nginx"
    );
    let template = "get pods --output=go-template={{range.items}}{{.status.phase}},{{end}}";
    assert_eq!(kubectl.stdout(template).await?, "Running,Running,Running,");
    let missing = kubectl.refused("get deployment nobody").await?;
    assert_eq!(
        missing,
        "Error from server (NotFound): deployments.apps \"nobody\" not found\n"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_end_with_the_events_of_the_object() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let described = || async { kubectl.stdout("describe deployment web").await };
    // Events are sent after what they report.
    let deployment = wait::until("the event", described, |text: &String| {
        section(text, "Events:").contains("ScalingReplicaSet")
    })
    .await?;
    assert!(
        deployment.contains("3 desired | 3 updated | 3 total | 3 available | 0 unavailable"),
        "{deployment}"
    );
    assert!(
        deployment.contains("25% max unavailable, 25% max surge"),
        "{deployment}"
    );
    let conditions = section(&deployment, "Conditions:");
    assert!(
        rows(conditions).contains(&vec!["Available", "True", "MinimumReplicasAvailable"]),
        "{conditions}"
    );
    assert!(
        rows(conditions).contains(&vec!["Progressing", "True", "NewReplicaSetAvailable"]),
        "{conditions}"
    );
    assert!(conditions.contains("(3/3 replicas created)"), "{conditions}");
    assert!(
        section(&deployment, "Events:").contains("deployment-controller"),
        "{deployment}"
    );

    let pod = kubectl
        .stdout("get pods --output=jsonpath={.items[0].metadata.name}")
        .await?;
    let line = format!("describe pod {pod}");
    let described = || async { kubectl.stdout(&line).await };
    let pod = wait::until("the events", described, |text: &String| {
        section(text, "Events:").contains("Started")
    })
    .await?;
    assert!(
        section(&pod, "Events:").contains("Successfully assigned default/"),
        "{pod}"
    );
    assert!(section(&pod, "Status:").contains("Running"), "{pod}");
    assert!(pod.contains("Controlled By:  ReplicaSet/web-"), "{pod}");
    let node = kubectl.stdout("describe node node-0").await?;
    assert!(section(&node, "Non-terminated Pods:").contains("web-"), "{node}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_and_found_by_their_object() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let listed = || async { kubectl.stdout("get events").await };
    let all = wait::until("all events", listed, |text: &String| {
        text.matches("Started").count() == 3
    })
    .await?;
    assert_eq!(
        rows(&all)[0],
        ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    );
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "Scheduled"] {
        assert!(all.contains(reason), "{reason} is missing from {all}");
    }
    let own = kubectl.stdout("events --for=deployment/web --no-headers").await?;
    assert_eq!(own.lines().count(), 1, "{own}");
    assert!(
        own.contains("Scaled up replica set web-") && own.contains("from 0 to 3"),
        "{own}"
    );
    let selected = kubectl
        .stdout("get events --field-selector=reason=Scheduled --no-headers")
        .await?;
    assert_eq!(selected.lines().count(), 3, "{selected}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_scaled_rolled_and_rolled_back() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    assert_eq!(
        kubectl.stdout("scale deployment web --replicas=5").await?,
        "deployment.apps/web scaled\n"
    );
    rolled_out(&kubectl).await?;
    let wrong = kubectl
        .refused("scale deployment web --replicas=7 --current-replicas=3")
        .await?;
    assert_eq!(wrong, "error: Expected replicas to be 3, was 5\n");

    assert_eq!(
        kubectl.stdout("set image deployment/web nginx=nginx:2").await?,
        "deployment.apps/web image updated\n"
    );
    rolled_out(&kubectl).await?;
    kubectl
        .run("annotate deployment/web kubernetes.io/change-cause=second")
        .await?;
    let images = "get pods --selector=app=web --output=jsonpath={.items[*].spec.containers[0].image}";
    let current = || async { kubectl.stdout(images).await };
    wait::until("only the new image", current, |images: &String| {
        images == &["nginx:2"; 5].join(" ")
    })
    .await?;
    let history = || async { kubectl.stdout("rollout history deployment/web").await };
    let expected = vec![
        vec!["deployment.apps/web"],
        vec!["REVISION", "CHANGE-CAUSE"],
        vec!["1", "<none>"],
        vec!["2", "second"],
        vec![],
    ];
    wait::until("the history with the cause", history, |text: &String| {
        rows(text) == expected
    })
    .await?;
    let second = kubectl
        .stdout("rollout history deployment/web --revision=2")
        .await?;
    assert!(
        second.starts_with("deployment.apps/web with revision #2\n") && second.contains("nginx:2"),
        "{second}"
    );

    assert_eq!(
        kubectl.stdout("rollout undo deployment/web").await?,
        "deployment.apps/web rolled back\n"
    );
    rolled_out(&kubectl).await?;
    wait::until("the old image again", current, |images: &String| {
        images == &["nginx"; 5].join(" ")
    })
    .await?;
    let revisions = kubectl.stdout("rollout history deployment/web").await?;
    assert!(
        !revisions.contains("\n1 ") && revisions.contains("\n3 "),
        "revision 1 has become 3: {revisions}"
    );
    let unknown = kubectl
        .refused("rollout undo deployment/web --to-revision=9")
        .await?;
    assert_eq!(unknown, "error: unable to find specified revision 9 in history\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_rollout_is_seen_and_undone() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    kubectl
        .run("set image deployment/web nginx=nginx:nonexistent")
        .await?;
    let status = || async {
        kubectl
            .stdout("rollout status deployment/web --watch=false")
            .await
    };
    let stuck =
        "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...\n";
    wait::until("the stuck rollout", status, |text: &String| text == stuck).await?;
    let pods = || async { kubectl.stdout("get pods --no-headers").await };
    let failing = |text: &String| text.contains("ImagePullBackOff") && text.matches("Running").count() == 3;
    wait::until("one pod that cannot start, three that run", pods, failing).await?;
    let timed_out = kubectl
        .refused("rollout status deployment/web --timeout=1s")
        .await?;
    assert_eq!(timed_out, "error: timed out waiting for the condition\n");
    kubectl.run("rollout undo deployment/web").await?;
    rolled_out(&kubectl).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_paused_resumed_and_restarted() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    assert_eq!(
        kubectl.stdout("rollout pause deployment/web").await?,
        "deployment.apps/web paused\n"
    );
    assert_eq!(
        kubectl.refused("rollout pause deployment/web").await?,
        "error: deployments.apps \"web\" is already paused\n"
    );
    kubectl.run("set image deployment/web nginx=nginx:2").await?;
    let reason = "wait deployment/web --for=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=DeploymentPaused";
    kubectl.run(reason).await?;
    assert_eq!(
        kubectl
            .stdout("get pods --output=jsonpath={.items[*].spec.containers[0].image}")
            .await?,
        "nginx nginx nginx"
    );
    assert_eq!(
        kubectl.stdout("rollout resume deployment/web").await?,
        "deployment.apps/web resumed\n"
    );
    rolled_out(&kubectl).await?;

    assert_eq!(
        kubectl.stdout("rollout restart deployment/web").await?,
        "deployment.apps/web restarted\n"
    );
    rolled_out(&kubectl).await?;
    let revision =
        "get deployment web --output=jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}";
    assert_eq!(kubectl.stdout(revision).await?, "3");
    let image = "get deployment web --output=jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(
        kubectl.stdout(image).await?,
        "nginx:2",
        "a restart changes nothing else"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_annotations_are_set_changed_and_removed() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    assert_eq!(
        kubectl.stdout("label deployment web tier=front").await?,
        "deployment.apps/web labeled\n"
    );
    let taken = kubectl.refused("label deployment web tier=back").await?;
    assert_eq!(
        taken,
        "error: 'tier' already has a value (front), and --overwrite is false\n"
    );
    kubectl.run("label deployment web tier=back --overwrite").await?;
    assert_eq!(
        kubectl
            .stdout("get deployments --selector=tier=back --output=name")
            .await?,
        "deployment.apps/web\n"
    );
    assert_eq!(
        kubectl
            .stdout("get deployments --selector=tier!=back --output=name")
            .await?,
        ""
    );
    let shown = kubectl
        .stdout("get deployment web --show-labels --no-headers")
        .await?;
    assert!(shown.trim_end().ends_with(" app=web,tier=back"), "{shown}");
    assert_eq!(
        kubectl.stdout("label deployment web tier-").await?,
        "deployment.apps/web unlabeled\n"
    );
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.metadata.labels}")
            .await?,
        r#"{"app":"web"}"#
    );

    assert_eq!(
        kubectl.stdout("annotate deployment web note=first").await?,
        "deployment.apps/web annotated\n"
    );
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.metadata.annotations.note}")
            .await?,
        "first"
    );
    kubectl.run("annotate deployment web note-").await?;
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.metadata.annotations.note}")
            .await?,
        ""
    );
    let invalid = kubectl.refused("label deployment web tier=-").await?;
    assert!(
        invalid.contains("invalid label value") || invalid.contains("Invalid value"),
        "{invalid}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_a_condition_and_with_a_deletion() -> Result<()> {
    let slow = [
        "--nodes",
        "3",
        "--pod-start-latency",
        "200ms",
        "--pod-stop-latency",
        "200ms",
    ];
    let Some((_cluster, kubectl)) = Kubectl::up(&slow).await? else {
        return Ok(());
    };
    kubectl
        .run("create deployment web --image=nginx --replicas=3")
        .await?;
    let met = kubectl
        .stdout("wait --for=condition=Available deployment/web")
        .await?;
    assert_eq!(met, "deployment.apps/web condition met\n");
    let pods = kubectl
        .stdout("wait --for=condition=Ready pod --selector=app=web")
        .await?;
    assert_eq!(pods.matches(" condition met\n").count(), 3, "{pods}");
    let never = kubectl
        .refused("wait --for=condition=Unheard deployment/web --timeout=1s")
        .await?;
    assert_eq!(
        never,
        "error: timed out waiting for the condition on deployments/web\n"
    );

    kubectl.run("delete deployment web --wait=false").await?;
    kubectl.run("wait --for=delete deployment/web").await?;
    kubectl.run("wait --for=delete pod --selector=app=web").await?;
    let left = || async { kubectl.stdout("get replicasets,pods --output=name").await };
    wait::until("nothing left", left, String::is_empty).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_changes_as_they_come() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let first = kubectl
        .stdout("get pods --output=jsonpath={.items[*].metadata.name}")
        .await?;
    let is_new = |line: &str| {
        line.split_whitespace()
            .next()
            .is_some_and(|name| !first.contains(name))
    };
    let mut watch = kubectl.follow("get pods --watch --no-headers")?;
    watch
        .until("a pod of before", |line| {
            !is_new(line) && line.contains("Running")
        })
        .await?;
    kubectl.run("scale deployment web --replicas=4").await?;
    let line = watch
        .until("a new pod that runs", |line| {
            is_new(line) && line.contains("Running")
        })
        .await?;
    let name = line.split_whitespace().next().context("a row has a name")?;
    kubectl.run(&format!("delete pod {name}")).await?;
    let replaced = |line: &str| is_new(line) && !line.starts_with(name) && line.contains("Running");
    watch.until("the deleted pod's successor", replaced).await?;
    watch.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_creates_then_leaves_alone_then_changes() -> Result<()> {
    let Some((cluster, kubectl)) = Kubectl::up(&NODES).await? else {
        return Ok(());
    };
    let file = manifest(&cluster, 2)?;
    let apply = format!("apply --filename={}", file.display());
    assert_eq!(kubectl.stdout(&apply).await?, "deployment.apps/web created\n");
    assert_eq!(kubectl.stdout(&apply).await?, "deployment.apps/web unchanged\n");
    manifest(&cluster, 4)?;
    let rehearsed = kubectl.stdout(&format!("{apply} --dry-run=server")).await?;
    assert_eq!(rehearsed, "deployment.apps/web configured (server dry run)\n");
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.spec.replicas}")
            .await?,
        "2"
    );
    assert_eq!(kubectl.stdout(&apply).await?, "deployment.apps/web configured\n");
    rolled_out(&kubectl).await?;
    assert_eq!(
        kubectl
            .stdout("get deployment web --output=jsonpath={.spec.replicas}")
            .await?,
        "4"
    );
    let again = kubectl
        .refused(&format!("create --filename={}", file.display()))
        .await?;
    assert!(
        again.contains("(AlreadyExists)") && again.contains("deployments.apps \"web\" already exists"),
        "{again}"
    );
    let deleted = kubectl
        .stdout(&format!("delete --filename={}", file.display()))
        .await?;
    assert!(
        deleted.starts_with("deployment.apps \"web\" deleted"),
        "{deleted}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_other_kinds_are_created_in_a_namespace_and_go_with_it() -> Result<()> {
    let Some((_cluster, kubectl)) = Kubectl::up(&NODES).await? else {
        return Ok(());
    };
    let created = [
        ("create namespace shop", "namespace/shop created\n"),
        (
            "create configmap settings --from-literal=colour=red --namespace=shop",
            "configmap/settings created\n",
        ),
        (
            "create secret generic password --from-literal=word=open --namespace=shop",
            "secret/password created\n",
        ),
        (
            "create serviceaccount clerk --namespace=shop",
            "serviceaccount/clerk created\n",
        ),
        (
            "create job count --image=busybox --namespace=shop -- sleep 1",
            "job.batch/count created\n",
        ),
    ];
    for (line, answer) in created {
        assert_eq!(kubectl.stdout(line).await?, answer);
    }
    let colour = "get configmap settings --namespace=shop --output=jsonpath={.data.colour}";
    assert_eq!(kubectl.stdout(colour).await?, "red");
    let word =
        "get secret password --namespace=shop --output=go-template={{.type}}:{{.data.word|base64decode}}";
    assert_eq!(kubectl.stdout(word).await?, "Opaque:open");
    let accounts = kubectl
        .stdout("get serviceaccounts --namespace=shop --output=name")
        .await?;
    assert!(
        accounts.lines().any(|name| name == "serviceaccount/clerk"),
        "{accounts}"
    );
    let job = kubectl
        .stdout("get job count --namespace=shop --no-headers")
        .await?;
    assert_eq!(rows(&job)[0][..1], ["count"]);
    assert!(job.contains("0/1"), "{job}");

    assert_eq!(
        kubectl.stdout("delete namespace shop").await?,
        "namespace \"shop\" deleted\n"
    );
    assert!(
        kubectl
            .refused("get namespace shop")
            .await?
            .contains("namespaces \"shop\" not found")
    );
    let left = kubectl
        .stdout("get configmaps,secrets,jobs --all-namespaces --output=name")
        .await?;
    assert!(
        !left.contains("settings") && !left.contains("password") && !left.contains("count"),
        "{left}"
    );
    let refused = kubectl.refused("delete namespace default").await?;
    assert!(refused.contains("this namespace may not be deleted"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cascade_background_deletes_the_dependents_afterwards() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let deleted = kubectl
        .stdout("delete deployment web --cascade=background")
        .await?;
    assert!(
        deleted.starts_with("deployment.apps \"web\" deleted"),
        "{deleted}"
    );
    kubectl
        .run("wait --for=delete replicaset,pod --selector=app=web")
        .await?;
    let left = || async {
        kubectl
            .stdout("get deployments,replicasets,pods --output=name")
            .await
    };
    wait::until("nothing left", left, String::is_empty).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cascade_foreground_returns_when_everything_is_gone() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&["--nodes", "3", "--pod-stop-latency", "500ms"]).await? else {
        return Ok(());
    };
    kubectl.run("delete deployment web --cascade=foreground").await?;
    assert_eq!(
        kubectl
            .stdout("get deployments,replicasets,pods --output=name")
            .await?,
        ""
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cascade_orphan_leaves_the_dependents_without_an_owner() -> Result<()> {
    let Some((_cluster, kubectl)) = with_web(&NODES).await? else {
        return Ok(());
    };
    let pods = kubectl.stdout("get pods --output=name").await?;
    kubectl.run("delete deployment web --cascade=orphan").await?;
    assert_eq!(kubectl.stdout("get deployments --output=name").await?, "");
    let owners =
        "get replicasets --output=jsonpath={.items[*].metadata.name}:{.items[*].metadata.ownerReferences}";
    let set = kubectl.stdout(owners).await?;
    assert!(
        set.starts_with("web-") && set.ends_with(':'),
        "one ReplicaSet and no owner: {set}"
    );
    assert_eq!(
        kubectl.stdout("get pods --output=name").await?,
        pods,
        "the pods stay as they were"
    );

    kubectl
        .run("create deployment web --image=nginx --replicas=3")
        .await?;
    rolled_out(&kubectl).await?;
    assert_eq!(
        kubectl.stdout("get pods --output=name").await?,
        pods,
        "a new owner adopts them"
    );
    Ok(())
}
