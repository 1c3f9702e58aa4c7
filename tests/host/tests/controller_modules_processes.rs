//! `ControllerModule` objects and hosts in processes of their own: what kubectl shows, what
//! replicas agree on, and what the commands say beforehand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use windlass_manager::controller_modules::definition::definition;
use windlass_tests::cluster::Cluster;
use windlass_tests::kubectl::Kubectl;
use windlass_tests::process::{Process, binary, repository};
use windlass_tests::wait;

const HEAD: &str = "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n";
/// The usual times would make the tests five times as long.
const ELECTION: &str = "leaderElection: {leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 1s}\n";

fn configuration(folder: &Path, rest: &str) -> Result<PathBuf> {
    let file = folder.join("host.yaml");
    std::fs::write(&file, format!("{HEAD}{rest}"))?;
    Ok(file)
}

fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "windlass.dev/v1alpha1", "kind": "ControllerModule",
        "metadata": {"name": name}, "spec": spec
    })
}

/// Creates the definition and these objects.
async fn create(cluster: &Cluster, objects: &[Value]) -> Result<Api<DynamicObject>> {
    let client = cluster.client().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_value(definition()?)?;
    definitions.create(&PostParams::default(), &definition).await?;
    let kind = GroupVersionKind::gvk("windlass.dev", "v1alpha1", "ControllerModule");
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&kind));
    let list = || async { Ok(api.list(&ListParams::default()).await?.items.len()) };
    wait::until("the resource", list, |_| true).await?;
    for object in objects {
        let object = serde_json::from_value(object.clone())?;
        api.create(&PostParams::default(), &object).await?;
    }
    Ok(api)
}

/// A member of an object's status; for conditions their status.
fn says(object: &DynamicObject, what: &str) -> String {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let condition = conditions.into_iter().find(|condition| condition["type"] == what);
    let value = condition.map_or(&status[what], |condition| &condition["status"]);
    value.as_str().unwrap_or_default().to_owned()
}

/// Runs a command of the binary to its end.
fn windlass(arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(binary()).args(arguments).output()?;
    let text = format!(
        "{}{}",
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?
    );
    Ok((output.status.success(), text))
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_shows_what_became_of_objects_and_is_refused_what_breaks_the_schema() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path(), "controllerModules: {enabled: true}\n")?;
    let Some((cluster, kubectl)) = Kubectl::up(&["--config", &config.to_string_lossy()]).await? else {
        return Ok(());
    };
    let missing = "the API server does not serve ControllerModules";
    let told = || async { Ok(cluster.process.output()) };
    let told = wait::until("what is missing", told, |output| output.contains(missing)).await?;
    assert!(
        told.contains("windlass config crd | kubectl apply -f -"),
        "{told}"
    );

    let manifest = repository().join("deploy/crds/controllermodules.yaml");
    let (printed, text) = windlass(&["config", "crd"])?;
    assert!(printed && text == std::fs::read_to_string(&manifest)?);
    kubectl
        .run(&format!("apply --filename={}", manifest.display()))
        .await?;
    kubectl
        .run("wait crd/controllermodules.windlass.dev --for=condition=Established")
        .await?;
    let apply = |name: &str, spec: Value| {
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, object(name, &spec).to_string())?;
        anyhow::Ok(format!("apply --filename={}", file.display()))
    };
    let stock = json!({"stock": "replicaset"});
    kubectl
        .run(&apply("replicaset", json!({"source": stock}))?)
        .await?;
    kubectl
        .run(&apply("off", json!({"source": stock, "enabled": false}))?)
        .await?;
    kubectl
        .run(&apply("wrong", json!({"source": stock, "workers": 0}))?)
        .await?;
    kubectl
        .run("wait cmod/replicaset --for=condition=Ready --timeout=120s")
        .await?;
    kubectl
        .run("wait cmod/wrong --for=condition=Accepted=false --timeout=120s")
        .await?;
    kubectl
        .run("wait cmod/off --for=condition=Accepted --timeout=120s")
        .await?;
    let table = kubectl.stdout("get controllermodules").await?;
    let shown: Vec<Vec<&str>> = rows(&table)
        .into_iter()
        .map(|mut row| {
            // The age differs.
            row.pop();
            row
        })
        .collect();
    assert_eq!(
        shown,
        [
            vec!["NAME", "STATE", "READY", "ACCEPTED", "VERSION"],
            vec!["off", "Disabled", "False", "True"],
            vec!["replicaset", "Running", "True", "True", "0.1.0"],
            vec!["wrong", "Rejected", "False", "False"],
        ]
    );
    let wide = kubectl.stdout("get cmod wrong --output=wide").await?;
    assert!(
        wide.contains("spec.workers: must be at least 1; use `enabled: false` to stop a module"),
        "{wide}"
    );
    let explained = kubectl.stdout("explain cmod.spec.source").await?;
    assert!(
        explained.contains("A guest that ships with Windlass") && !explained.contains("directory"),
        "{explained}"
    );

    let unknown = kubectl
        .refused(&apply(
            "bad",
            json!({"source": {"file": "guest.wasm"}, "wrokers": 1}),
        )?)
        .await?;
    for field in ["spec.source.file", "spec.wrokers"] {
        assert!(
            unknown.contains(&format!("unknown field \"{field}\"")),
            "{unknown}"
        );
    }
    let several = json!({"source": {"stock": "replicaset", "oci": {"reference": "r.example.com/a:1"}}});
    let several = kubectl.refused(&apply("bad", several)?).await?;
    assert!(several.contains("spec.source: Too many"), "{several}");

    kubectl.run("delete cmod replicaset off wrong").await?;
    let removed = || async { Ok(cluster.process.output()) };
    wait::until("the modules to go", removed, |output| {
        output.matches("module removed").count() >= 2
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_replicas_the_one_that_leads_tells_and_another_goes_on_telling() -> Result<()> {
    let cluster = Cluster::up(&["--no-modules"]).await?;
    let config = configuration(
        cluster.folder.path(),
        &format!("{ELECTION}controllerModules: {{enabled: true}}\n"),
    )?;
    let objects = [
        object("replicaset", &json!({"source": {"stock": "replicaset"}})),
        object("wrong", &json!({"source": {"stock": "replicaset"}, "workers": 0})),
        object(
            "everywhere",
            &json!({"source": {"stock": "deployment"}, "leadership": {"mode": "None"}}),
        ),
    ];
    let api = create(&cluster, &objects).await?;
    let start = |number: usize| {
        let log = cluster.folder.path().join(format!("host-{number}.log"));
        let kubeconfig = cluster.kubeconfig();
        let arguments = [
            "run",
            "--config",
            &*config.to_string_lossy(),
            "--kubeconfig",
            &*kubeconfig.to_string_lossy(),
            "--status-address",
            "none",
        ];
        Process::start(&arguments, &log)
    };
    let mut hosts = [start(1)?, start(2)?];
    let leases: Api<Lease> = Api::namespaced(cluster.client().await?, "kube-system");
    let holder = async |lease: &str| {
        let lease = leases.get(lease).await?;
        anyhow::Ok(
            lease
                .spec
                .and_then(|spec| spec.holder_identity)
                .unwrap_or_default(),
        )
    };
    // Who tells is who leads the module, and where nobody does who holds the objects' Lease.
    let told = async |holds: &dyn Fn(&str) -> bool| {
        for (name, lease, accepted) in [
            ("replicaset", "windlass-replicaset", "True"),
            ("wrong", "windlass.controllermodules", "False"),
            ("everywhere", "windlass.controllermodules", "True"),
        ] {
            let ask = || async {
                let object = api.get(name).await?;
                let leads = holder(lease).await?;
                Ok((says(&object, "Accepted"), says(&object, "replica"), leads))
            };
            wait::until(
                &format!("{name} told by its leader"),
                ask,
                |(said, replica, leader)| said == accepted && replica == leader && holds(replica),
            )
            .await?;
        }
        anyhow::Ok(())
    };
    told(&|replica| !replica.is_empty()).await?;
    let ready = || async { Ok(says(&api.get("replicaset").await?, "Ready")) };
    wait::until("the module to serve", ready, |ready| ready == "True").await?;

    let leader = says(&api.get("replicaset").await?, "replica");
    let killed = hosts.iter_mut().find(|host| host.output().contains(&leader));
    killed.context("the leader is one of the hosts")?.kill();
    told(&|replica| replica != leader).await?;
    wait::until("the module to serve again", ready, |ready| ready == "True").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_objects_would_do_and_what_following_them_takes_is_told_beforehand() -> Result<()> {
    let cluster = Cluster::up(&["--no-modules"]).await?;
    let config = configuration(
        cluster.folder.path(),
        "controllerModules: {enabled: true, selector: \"team=a\"}\nmodules:\n- {name: scheduler, source: {stock: scheduler}}\n",
    )?;
    let config = &*config.to_string_lossy();
    let dry_run = |kubeconfig: &Path| {
        let kubeconfig = kubeconfig.to_string_lossy();
        windlass(&[
            "run",
            "--dry-run",
            "--config",
            config,
            "--kubeconfig",
            &kubeconfig,
        ])
    };
    let (succeeds, output) = dry_run(&cluster.kubeconfig())?;
    assert!(
        !succeeds && output.contains("the API server does not serve them; apply `windlass config crd`"),
        "{output}"
    );

    let labelled = |name: &str, spec: &Value| {
        let mut object = object(name, spec);
        object["metadata"]["labels"] = json!({"team": "a"});
        object
    };
    let stock = json!({"source": {"stock": "replicaset"}});
    let objects = [
        labelled("replicaset", &stock),
        labelled("scheduler", &stock),
        object("other", &stock),
    ];
    create(&cluster, &objects).await?;
    let (succeeds, output) = dry_run(&cluster.kubeconfig())?;
    assert!(!succeeds, "{output}");
    for line in [
        "module scheduler\n",
        "module replicaset, a ControllerModule\n",
        "ControllerModule scheduler\n",
        "the host's configuration has a module \"scheduler\" of its own",
        "1 would fail",
    ] {
        assert!(output.contains(line), "{line:?}: {output}");
    }
    assert!(!output.contains("other"), "{output}");

    let nowhere = cluster.folder.path().join("nowhere");
    let text = std::fs::read_to_string(cluster.kubeconfig())?;
    let server = text
        .lines()
        .find(|line| line.contains("server:"))
        .context("a server")?;
    std::fs::write(&nowhere, text.replace(server, "    server: http://127.0.0.1:1"))?;
    let (succeeds, output) = dry_run(&nowhere)?;
    assert!(
        succeeds && output.contains("ControllerModules: not looked at, because the cluster is not reached"),
        "{output}"
    );

    let (printed, roles) = windlass(&["rbac", "--config", config])?;
    assert!(printed, "{roles}");
    for part in ["controllermodules/status", "controllermodules.windlass.dev"] {
        assert!(roles.contains(part), "{part}: {roles}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_leaves_objects_as_they_are() -> Result<()> {
    let cluster = Cluster::up(&["--no-modules"]).await?;
    let config = configuration(
        cluster.folder.path(),
        "leaderElection: {enabled: false}\ncontrollerModules: {enabled: true}\n",
    )?;
    let api = create(
        &cluster,
        &[object("replicaset", &json!({"source": {"stock": "replicaset"}}))],
    )
    .await?;
    let log = cluster.folder.path().join("host.log");
    let arguments = [
        "run",
        "--config",
        &*config.to_string_lossy(),
        "--kubeconfig",
        &*cluster.kubeconfig().to_string_lossy(),
        "--status-address",
        "none",
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut host = Process::start(&arguments, &log)?;
    let ready = || async { Ok(says(&api.get("replicaset").await?, "Ready")) };
    wait::until("the module to serve", ready, |ready| ready == "True").await?;
    host.signal("TERM")?;
    assert_eq!(host.wait(Duration::from_secs(60))?, Some(0), "{}", host.output());
    assert_eq!(says(&api.get("replicaset").await?, "state"), "Running");
    Ok(())
}
