//! Modules that are objects of the cluster: what becomes of them, and what they say of it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule};
use windlass_core::permission::PermissionRule;
use windlass_manager::config::{HostConfiguration, ModuleEntry};
use windlass_manager::controller_modules::ControllerModules;
use windlass_manager::controller_modules::definition::{self, definition};
use windlass_manager::controller_modules::status::{Condition, ControllerModuleStatus, Reporter};
use windlass_manager::supervisor::ModuleState;
use windlass_registry::digest::Digest;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::wait;

const COUNTER: &str = "windlass-fixture-counter";
const ITEM: &str = "guest.wasm";

/// A host in the test's process that follows objects.
struct Following {
    cluster: InProcess,
    objects: ControllerModules,
    configuration: HostConfiguration,
}

impl Following {
    /// Starts one; what its file says can be changed later.
    async fn start(folder: &Path, file: Vec<ModuleEntry>) -> Result<Self> {
        let cluster = InProcess::start(folder, 1, file.clone()).await?;
        let reporter = Reporter {
            host: "windlass".into(),
            replica: "test".into(),
        };
        let mut configuration = HostConfiguration {
            modules: file,
            ..HostConfiguration::default()
        };
        configuration.controller_modules.enabled = true;
        let mut following = Self {
            objects: ControllerModules::start(&cluster.platform, reporter, None)?,
            cluster,
            configuration,
        };
        following.apply();
        Ok(following)
    }

    /// The same, with the definition there and a ConfigMap with a guest.
    async fn start_with_definition(builds: &Builds, file: Vec<ModuleEntry>) -> Result<Self> {
        let following = Self::start(builds.path(), file).await?;
        following.define().await?;
        following
            .put_guest(builds.bytes(COUNTER, Build::Original)?)
            .await?;
        Ok(following)
    }

    /// As the binary does whenever the objects or the file change.
    fn apply(&mut self) {
        let modules = self
            .objects
            .join(&self.configuration, &self.configuration.modules);
        self.cluster.host.apply(modules);
        self.objects.report(&self.cluster.host);
    }

    /// Follows the objects until something comes about.
    async fn until<T>(&mut self, coming: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(coming);
        loop {
            tokio::select! {
                came = &mut coming => return came,
                () = self.objects.changed() => self.apply(),
            }
        }
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.cluster.namespace.client.clone())
    }

    /// Creates the definition and waits until its objects are served.
    async fn define(&self) -> Result<()> {
        let definition: CustomResourceDefinition = serde_json::from_value(definition()?)?;
        self.definitions()
            .create(&PostParams::default(), &definition)
            .await?;
        let api = self.api();
        let list = || async { Ok(api.list(&ListParams::default()).await?.items.len()) };
        wait::until("the resource", list, |_| true).await?;
        Ok(())
    }

    fn api(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(definition::GROUP, definition::VERSION, "ControllerModule");
        Api::all_with(
            self.cluster.namespace.client.clone(),
            &ApiResource::from_gvk(&kind),
        )
    }

    async fn put_guest(&self, content: Vec<u8>) -> Result<()> {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.cluster.namespace.client.clone(), "default");
        let mut object = ConfigMap::default();
        object.metadata.name = Some("guests".to_owned());
        object.binary_data = Some([(ITEM.to_owned(), ByteString(content))].into());
        if config_maps.get_opt("guests").await?.is_some() {
            config_maps
                .replace("guests", &PostParams::default(), &object)
                .await?;
        } else {
            config_maps.create(&PostParams::default(), &object).await?;
        }
        Ok(())
    }

    async fn remove_guest(&self) -> Result<()> {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.cluster.namespace.client.clone(), "default");
        config_maps.delete("guests", &DeleteParams::default()).await?;
        Ok(())
    }

    async fn create(&self, name: &str, spec: Value) -> Result<DynamicObject> {
        Ok(self
            .api()
            .create(&PostParams::default(), &object(name, spec)?)
            .await?)
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<DynamicObject> {
        let patch = Patch::Merge(patch);
        Ok(self.api().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Waits until an object says what it should.
    async fn wait_for(
        &mut self,
        name: &str,
        what: &str,
        holds: impl Fn(&Said) -> bool,
    ) -> Result<ControllerModuleStatus> {
        let api = self.api();
        let ask = || async { Said::of(&api.get(name).await?) };
        let said = self
            .until(wait::until(&format!("{name}: {what}"), ask, holds))
            .await?;
        Ok(said.status)
    }

    /// Waits until an object is taken up as it is now, and serves.
    async fn wait_serving(&mut self, name: &str) -> Result<ControllerModuleStatus> {
        self.wait_for(name, "accepted and ready", |said| {
            said.is_current()
                && said.accepted() == ("True", "Accepted")
                && said.ready() == ("True", "Running")
        })
        .await
    }

    /// Waits until an object as it is now was refused, and gives the reason for people.
    async fn wait_refused(&mut self, name: &str, reason: &str, ready: &str) -> Result<String> {
        let status = self
            .wait_for(name, &format!("{reason}, {ready}"), |said| {
                said.is_current() && said.accepted() == ("False", reason) && said.ready().1 == ready
            })
            .await?;
        Ok(condition(&status, "Accepted").message.clone())
    }

    /// Waits until the host has exactly these modules.
    async fn wait_modules(&mut self, names: &[String]) -> Result<()> {
        let expected: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let roster = self.cluster.host.roster();
        let names = || async {
            let modules = roster.modules();
            Ok(modules.iter().map(|module| module.name.to_string()).collect())
        };
        let same = |names: &Vec<String>| names.iter().map(String::as_str).eq(expected.iter().copied());
        self.until(wait::until("the modules", names, same)).await?;
        Ok(())
    }

    async fn stop(self) {
        self.objects.stop().await;
        self.cluster.stop().await;
    }
}

/// An object as far as it speaks.
#[derive(Debug)]
struct Said {
    generation: Option<i64>,
    status: ControllerModuleStatus,
}

impl Said {
    fn of(object: &DynamicObject) -> Result<Self> {
        let status = object.data.get("status").cloned().unwrap_or_default();
        Ok(Self {
            generation: object.metadata.generation,
            status: if status.is_null() {
                ControllerModuleStatus::default()
            } else {
                serde_json::from_value(status)?
            },
        })
    }

    fn is_current(&self) -> bool {
        self.status.observed_generation.is_some() && self.status.observed_generation == self.generation
    }

    fn accepted(&self) -> (&str, &str) {
        self.condition("Accepted")
    }

    fn ready(&self) -> (&str, &str) {
        self.condition("Ready")
    }

    fn condition(&self, kind: &str) -> (&str, &str) {
        use windlass_manager::controller_modules::status::ConditionStatus;
        let found = self
            .status
            .conditions
            .iter()
            .find(|condition| condition.kind == kind);
        found.map_or(("", ""), |condition| {
            let status = match condition.status {
                ConditionStatus::True => "True",
                ConditionStatus::False => "False",
                ConditionStatus::Unknown => "Unknown",
            };
            (status, condition.reason.as_str())
        })
    }
}

#[track_caller]
fn condition<'a>(status: &'a ControllerModuleStatus, kind: &str) -> &'a Condition {
    let found = status.conditions.iter().find(|condition| condition.kind == kind);
    found.expect("both conditions are written")
}

fn object(name: &str, spec: Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "windlass.dev/v1alpha1", "kind": "ControllerModule",
        "metadata": {"name": name}, "spec": spec
    }))?)
}

/// A counter from the ConfigMap, its needs granted.
fn counter() -> Value {
    json!({
        "source": {"configMap": {"namespace": "default", "name": "guests", "key": ITEM}},
        "grantDeclared": true
    })
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("counter-{number}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_a_module_from_creation_to_deletion() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    following.create("counter", counter()).await?;
    let status = following.wait_serving("counter").await?;
    let digest = Digest::of(&builds.bytes(COUNTER, Build::Original)?).to_string();
    assert_eq!(status.digest, Some(digest));
    assert_eq!(
        (
            status.state.as_deref(),
            status.guest.as_deref(),
            status.version.as_deref()
        ),
        (Some("Running"), Some("counter"), Some("0.1.0"))
    );
    assert_eq!(
        (
            status.origin.as_deref(),
            status.host.as_deref(),
            status.replica.as_deref()
        ),
        (
            Some("ConfigMap default/guests, guest.wasm"),
            Some("windlass"),
            Some("test")
        )
    );
    let defaulted = following.api().get("counter").await?;
    assert_eq!(
        (
            &defaulted.data["spec"]["limits"]["memory"],
            &defaulted.data["spec"]["enabled"]
        ),
        (&json!("64Mi"), &json!(true))
    );

    following
        .patch("counter", json!({"spec": {"workers": 1}}))
        .await?;
    let status = following.wait_serving("counter").await?;
    assert_eq!(status.observed_generation, Some(2));
    let module = following.cluster.module("counter")?;
    let workers = module
        .status
        .borrow()
        .serving
        .as_ref()
        .map(|module| module.concurrency.in_each);
    assert_eq!(workers, Some(1));

    following
        .patch("counter", json!({"spec": {"enabled": false}}))
        .await?;
    let disabled = |said: &Said| said.is_current() && said.ready() == ("False", "Disabled");
    let status = following.wait_for("counter", "disabled", disabled).await?;
    assert_eq!(
        (
            status.state.as_deref(),
            condition(&status, "Accepted").reason.as_str()
        ),
        (Some("Disabled"), "Accepted")
    );
    following
        .patch("counter", json!({"spec": {"enabled": true}}))
        .await?;
    following.wait_serving("counter").await?;

    let mut module = following.cluster.module("counter")?.status;
    following
        .api()
        .delete("counter", &DeleteParams::default())
        .await?;
    following.wait_modules(&[]).await?;
    let stopped = module.wait_for(|status| status.state == ModuleState::Stopped);
    tokio::time::timeout(wait::LIMIT, stopped).await??;
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_starts_without_the_definition_and_takes_objects_up_when_it_comes() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let file = vec![from_file("of-the-file", &format!("{COUNTER}.wasm"))];
    let mut following = Following::start(builds.path(), file).await?;
    following
        .put_guest(builds.bytes(COUNTER, Build::Original)?)
        .await?;
    following.wait_modules(&["of-the-file".to_owned()]).await?;
    let both = ["counter".to_owned(), "of-the-file".to_owned()];
    for _ in 0..2 {
        following.define().await?;
        following.create("counter", counter()).await?;
        following.wait_serving("counter").await?;
        following.wait_modules(&both).await?;
        // The objects go with their definition.
        following
            .definitions()
            .delete(definition::NAME, &DeleteParams::default())
            .await?;
        following.wait_modules(&both[1..]).await?;
        let definitions = following.definitions();
        let gone = || async { Ok(definitions.get_opt(definition::NAME).await?.is_none()) };
        wait::until("the definition to be gone", gone, |gone| *gone).await?;
    }
    assert_eq!(following.cluster.restarts("of-the-file")?, 0);
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_objects_come_change_and_go_at_once() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    for name in names(0..20) {
        following.create(&name, counter()).await?;
    }
    for name in names(0..20) {
        following.wait_serving(&name).await?;
    }
    // Ten go, ten change, one of them is disabled, ten are new: renamed, as it were.
    for name in names(0..10) {
        following.api().delete(&name, &DeleteParams::default()).await?;
    }
    for name in names(10..20) {
        let enabled = name != "counter-10";
        following
            .patch(&name, json!({"spec": {"workers": 1, "enabled": enabled}}))
            .await?;
    }
    for name in names(20..30) {
        following.create(&name, counter()).await?;
    }
    following.wait_modules(&names(10..30)).await?;
    let disabled = |said: &Said| said.is_current() && said.ready() == ("False", "Disabled");
    following.wait_for("counter-10", "disabled", disabled).await?;
    for name in names(11..30) {
        following.wait_serving(&name).await?;
    }
    following
        .api()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    following.wait_modules(&[]).await?;
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_change_is_told_with_its_reason_while_the_last_good_state_goes_on() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    // Refused by the host from the start: there is no module.
    let mut wrong = counter();
    wrong["workers"] = 0.into();
    following.create("counter", wrong).await?;
    let why = following.wait_refused("counter", "Invalid", "Rejected").await?;
    assert_eq!(
        why,
        "spec.workers: must be at least 1; use `enabled: false` to stop a module"
    );
    following.wait_modules(&[]).await?;
    following
        .patch("counter", json!({"spec": {"workers": 2}}))
        .await?;
    let good = following.wait_serving("counter").await?;

    // A change that the host refuses.
    following
        .patch("counter", json!({"spec": {"workers": 0}}))
        .await?;
    following.wait_refused("counter", "Invalid", "Running").await?;
    let running = following.cluster.module("counter")?.status.borrow().state.clone();
    assert_eq!(running, ModuleState::Running);
    following
        .patch("counter", json!({"spec": {"workers": 1}}))
        .await?;
    following.wait_serving("counter").await?;

    // A change that its guest cannot live with.
    let memory = |amount: &str| json!({"spec": {"limits": {"memory": amount}}});
    following.patch("counter", memory("1Ki")).await?;
    let why = following.wait_refused("counter", "Rejected", "Running").await?;
    assert!(why.contains("ConfigMap default/guests, guest.wasm"), "{why}");
    following.patch("counter", memory("64Mi")).await?;
    following.wait_serving("counter").await?;

    // A component that is none, and then one that is.
    following
        .put_guest(builds.bytes(COUNTER, Build::NoHandler)?)
        .await?;
    let why = following.wait_refused("counter", "Rejected", "Running").await?;
    assert!(
        why.contains("exports neither windlass:controller/handler nor blocking-handler"),
        "{why}"
    );
    let status = following.wait_for("counter", "anything", |_| true).await?;
    assert_eq!(
        condition(&status, "Ready").message,
        "the last good version serves"
    );
    assert_eq!(status.digest, good.digest);
    let new = builds.bytes(COUNTER, Build::New(1))?;
    let digest = Digest::of(&new).to_string();
    following.put_guest(new).await?;
    let serves = |said: &Said| said.status.digest.as_deref() == Some(&digest);
    following.wait_for("counter", "the new component", serves).await?;
    following.wait_serving("counter").await?;

    // A source that is gone for a while.
    following.remove_guest().await?;
    let why = following.wait_refused("counter", "Rejected", "Running").await?;
    assert_eq!(why, "there is no ConfigMap default/guests");
    following.put_guest(builds.bytes(COUNTER, Build::New(1))?).await?;
    following.wait_serving("counter").await?;
    assert_eq!(following.cluster.restarts("counter")?, 0);
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_breaks_the_schema_never_becomes_an_object() -> Result<()> {
    let builds = Builds::of(&[])?;
    let following = Following::start_with_definition(&builds, Vec::new()).await?;
    let with = |key: &str, value: Value| {
        let mut spec = counter();
        spec[key] = value;
        spec
    };
    let source = |source: Value| json!({"source": source});
    for (name, spec, message) in [
        ("a", json!({}), "spec.source: Required value"),
        ("a", source(json!({})), "spec.source"),
        (
            "a",
            source(json!({"stock": "deployment", "oci": {"reference": "r/a:1"}})),
            "spec.source: Too many",
        ),
        (
            "a",
            with("workers", json!("many")),
            "spec.workers in body must be of type integer",
        ),
        (
            "a",
            with("workers", json!(-1)),
            "spec.workers in body should be greater than or equal to 0",
        ),
        (
            "a",
            with("limits", json!({"memory": "lots"})),
            "spec.limits.memory in body should match",
        ),
        (
            "a",
            with("limits", json!({"cpuBudget": "1"})),
            "spec.limits.cpuBudget in body should match",
        ),
        (
            "a",
            with("logLevel", json!("loud")),
            "spec.logLevel: Unsupported value",
        ),
        (
            "a",
            with("leadership", json!({"mode": "Both"})),
            "spec.leadership.mode: Unsupported value",
        ),
        (
            "a",
            with("config", json!([])),
            "spec.config in body must be of type object",
        ),
        (
            "a",
            with("permissions", json!([{"verbs": ["get"]}])),
            "spec.permissions[0].apiGroups: Required value",
        ),
        ("not.a.label", counter(), "metadata.name in body should match"),
    ] {
        let created = following.create(name, spec.clone()).await;
        let refusal = format!(
            "{:#}",
            created.err().with_context(|| format!("{spec} was taken"))?
        );
        assert!(refusal.contains(message), "{refusal}");
    }
    // What the schema does not know is left out, files of the host among it.
    let mut spec = counter();
    spec["source"]["file"] = "guest.wasm".into();
    let mut other = counter();
    other["anything"] = 1.into();
    let created = following.create("pruned", other).await?;
    assert_eq!(created.data["spec"].get("anything"), None);
    let created = following.create("pruned-file", spec).await?;
    assert_eq!(created.data["spec"]["source"].get("file"), None);
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_of_the_file_comes_before_an_object_of_its_name() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    following.create("counter", counter()).await?;
    following.wait_serving("counter").await?;
    following.configuration.modules = vec![from_file("counter", &format!("{COUNTER}.wasm"))];
    following.apply();
    let why = following.wait_refused("counter", "NameTaken", "Rejected").await?;
    assert_eq!(
        why,
        "the host's configuration has a module \"counter\" of its own, which comes first; rename one of them"
    );
    let of_file = |status: &windlass_manager::supervisor::ModuleStatus| {
        let serving = status.serving.as_ref();
        serving.is_some_and(|module| module.origin.starts_with("file "))
    };
    following
        .cluster
        .wait_for("counter", "the component of the file", of_file)
        .await?;
    following.configuration.modules.clear();
    following.apply();
    following.wait_serving("counter").await?;
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_decides_which_objects_are_followed_and_the_others_are_told() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    following.configuration.controller_modules.selector = "windlass.dev/host=blue".to_owned();
    following.apply();
    following.create("other", counter()).await?;
    following.create("ours", counter()).await?;
    let blue = json!({"metadata": {"labels": {"windlass.dev/host": "blue"}}});
    following.patch("ours", blue.clone()).await?;
    following.wait_serving("ours").await?;
    following.wait_modules(&["ours".to_owned()]).await?;
    assert!(following.api().get("other").await?.data.get("status").is_none());

    following.patch("other", blue).await?;
    let green = json!({"metadata": {"labels": {"windlass.dev/host": "green"}}});
    following.patch("ours", green).await?;
    following.wait_serving("other").await?;
    following.wait_modules(&["other".to_owned()]).await?;
    let released = |said: &Said| said.ready() == ("False", "NotFollowed");
    let status = following.wait_for("ours", "released", released).await?;
    assert_eq!((status.state, status.digest, status.host), (None, None, None));

    following.configuration.controller_modules.enabled = false;
    following.apply();
    following.wait_modules(&[]).await?;
    following.wait_for("other", "released", released).await?;
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_grant_no_more_than_the_host_lets_them() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    let rule = |groups: &[&str], resource: &str, verbs: &[&str]| PermissionRule {
        api_groups: groups.iter().copied().map(Into::into).collect(),
        resources: vec![resource.into()],
        verbs: verbs.iter().copied().map(Into::into).collect(),
        ..PermissionRule::default()
    };
    let most = vec![
        rule(&[""], "configmaps", &["*"]),
        rule(&["", "events.k8s.io"], "events", &["*"]),
    ];
    following.configuration.controller_modules.max_permissions = Some(most.clone());
    following.apply();
    following.create("counter", counter()).await?;
    following.wait_serving("counter").await?;

    // An object that asks for more, and one whose guest declares more.
    let mut more = counter();
    more["permissions"] = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    following.create("more", more).await?;
    let why = following.wait_refused("more", "NotAllowed", "Rejected").await?;
    assert!(
        why.starts_with("spec.permissions: more than this host lets objects grant"),
        "{why}"
    );
    following.configuration.controller_modules.max_permissions = Some(most[1..].to_vec());
    following.apply();
    // It counts at once for what runs.
    let why = following.wait_refused("counter", "Rejected", "Failed").await?;
    assert!(
        why.contains("declares more than the host lets a ControllerModule grant")
            && why.contains("configmaps"),
        "{why}"
    );
    following.configuration.controller_modules.max_permissions = Some(most);
    following.apply();
    following.wait_serving("counter").await?;
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_written_once_and_put_right_when_somebody_else_writes_it() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    following.create("counter", counter()).await?;
    following.wait_serving("counter").await?;
    let version = async |following: &Following| -> Result<Option<String>> {
        Ok(following.api().get("counter").await?.metadata.resource_version)
    };
    let before = version(&following).await?;
    // What comes later has been told, so whatever was left to tell of this one has been, too.
    for name in ["barrier-1", "barrier-2"] {
        following.create(name, counter()).await?;
        following.wait_serving(name).await?;
    }
    assert_eq!(
        version(&following).await?,
        before,
        "nothing was written without news"
    );

    let bogus = json!({"status": {"state": "Bogus", "version": "9", "replica": "somebody"}});
    following
        .api()
        .patch_status("counter", &PatchParams::default(), &Patch::Merge(bogus))
        .await?;
    let right = |said: &Said| said.status.state.as_deref() == Some("Running");
    let status = following.wait_for("counter", "put right", right).await?;
    assert_eq!(
        (status.version.as_deref(), status.replica.as_deref()),
        (Some("0.1.0"), Some("test"))
    );

    // Changes and statuses that overtake each other end in the last change.
    for workers in 1..=20 {
        let spec =
            json!({"spec": {"workers": 1 + workers % 2}, "metadata": {"labels": {"n": workers.to_string()}}});
        following.patch("counter", spec).await?;
    }
    let status = following.wait_serving("counter").await?;
    let generation = following.api().get("counter").await?.metadata.generation;
    assert_eq!(status.observed_generation, generation);
    following.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_and_their_statuses_come_right_through_errors_conflicts_and_lost_answers() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut following = Following::start_with_definition(&builds, Vec::new()).await?;
    // A third of all requests fails. Were it most of them, pauses that double up to half a
    // minute would decide how long this takes.
    let rule = |kind| FaultRule {
        kind,
        probability: 0.1,
        verbs: ["list", "watch", "patch"].map(str::to_owned).into(),
        resources: ["controllermodules", "customresourcedefinitions"]
            .map(str::to_owned)
            .into(),
    };
    let kinds = [
        FaultKind::InternalError,
        FaultKind::Conflict,
        FaultKind::Drop,
        FaultKind::DropAfter,
    ];
    following.cluster.server.set_faults(FaultPolicy {
        seed: 7,
        rules: kinds.map(rule).into(),
    });
    for name in names(0..5) {
        following.create(&name, counter()).await?;
    }
    for name in names(0..5) {
        following.wait_serving(&name).await?;
    }
    following
        .api()
        .delete("counter-0", &DeleteParams::default())
        .await?;
    following.wait_modules(&names(1..5)).await?;
    following.cluster.server.set_faults(FaultPolicy::default());
    following.stop().await;
    Ok(())
}
