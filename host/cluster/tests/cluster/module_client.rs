//! The API server as a module may use it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use windlass_cluster::call_budget::{CallBudget, Seat};
use windlass_cluster::impersonation::Impersonation;
use windlass_cluster::module_client::{CallObserver, CallTrace, ModuleClient, ModuleClientConfig, SentCall};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::gate::{Write, WriteEffect};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::seams::{
    ApiRequest, ApiVerb, DeleteOptions, ListOptions, ObjectWriter, PatchType, PropagationPolicy, SyncId,
};

use crate::informer::pods;
use crate::server::{Server, server};

#[derive(Default)]
struct Log(
    Mutex<Vec<(SyncId, Write)>>,
    Mutex<Vec<(SyncId, u16)>>,
    Mutex<Vec<Duration>>,
);

impl Log {
    fn budget_waits(&self) -> Vec<Duration> {
        self.2.lock().clone()
    }
}

impl CallObserver for Log {
    fn trace(&self, _sync: SyncId, _request: &ApiRequest) -> Option<Box<dyn CallTrace>> {
        None
    }

    fn called(&self, call: SentCall<'_>) {
        self.2.lock().push(call.budget_wait);
        self.1.lock().push((call.sync, call.code));
    }

    fn shown_revision(&self, _resource: &Resource, _key: &ObjectKey) -> u64 {
        11
    }

    fn wrote(&self, sync: SyncId, write: Write) {
        self.0.lock().push((sync, write));
    }
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PermissionRule {
    let list = |items: &[&str]| items.iter().map(|item| (*item).into()).collect();
    PermissionRule {
        api_groups: list(groups),
        resources: list(resources),
        verbs: list(verbs),
        ..PermissionRule::default()
    }
}

fn config(grants: Vec<PermissionRule>) -> ModuleClientConfig {
    ModuleClientConfig {
        module: "shop".into(),
        field_manager: "shop-manager".into(),
        event_source: "shop".into(),
        grants: Grants(grants),
        qps: 0,
        burst: 0,
        seat: Seat::default(),
        max_in_flight: 10,
        impersonate: None,
        tenure: None,
    }
}

fn module_with(config: ModuleClientConfig) -> (ModuleClient, Server, Arc<Log>) {
    let (client, server) = server();
    let log: Arc<Log> = Arc::default();
    let observer: Arc<dyn CallObserver> = log.clone();
    (
        ModuleClient::new(client, config, Some(observer)).unwrap(),
        server,
        log,
    )
}

fn module() -> (ModuleClient, Server, Arc<Log>) {
    module_with(config(vec![rule(&["*"], &["*"], &["*"])]))
}

fn request(name: &str, verb: ApiVerb) -> ApiRequest {
    ApiRequest {
        resource: pods(),
        key: ObjectKey::new("ns", name),
        subresource: "".into(),
        verb,
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_permission_is_never_sent_and_names_the_missing_rule() {
    let (module, mut server, _log) = module_with(config(vec![rule(&[""], &["pods"], &["get"])]));
    let mut denied = request("a", ApiVerb::Update(Bytes::new()));
    denied.subresource = "status".into();
    let error = module.call(1, denied).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::NotPermitted);
    assert_eq!(
        error.message,
        "module shop is not permitted to update pods/status in API group \"\" in namespace \"ns\"; grant \
         {apiGroups: [\"\"], resources: [\"pods/status\"], verbs: [\"update\"], namespaces: [\"ns\"]}"
    );
    server.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn names_that_would_change_the_path_are_never_sent() {
    let (module, mut server, _log) = module();
    for name in ["", "..", "a/b", "a/../../secrets/b"] {
        let error = module.call(1, request(name, ApiVerb::Get)).await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::BadRequest, "{name}");
    }
    let mut elsewhere = request("a", ApiVerb::Get);
    elsewhere.resource = Resource::new("", "v1", "pods/a/exec?");
    assert_eq!(
        module.call(1, elsewhere).await.unwrap_err().kind,
        ApiErrorKind::BadRequest
    );
    server.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn each_verb_becomes_its_request() {
    let (module, mut server, _log) = module();
    let options = ListOptions {
        label_selector: "a=b".into(),
        limit: 5,
        ..ListOptions::default()
    };
    let delete = DeleteOptions {
        propagation_policy: Some(PropagationPolicy::Orphan),
        grace_period_seconds: Some(0),
        precondition_uid: Some("u1".into()),
        precondition_resource_version: None,
    };
    let patch = ApiVerb::Patch(PatchType::StrategicMerge, "{}".into());
    let cases = [
        (
            request("a", ApiVerb::Get),
            "GET",
            "/api/v1/namespaces/ns/pods/a",
            "",
        ),
        (
            request("", ApiVerb::List(options)),
            "GET",
            "/api/v1/namespaces/ns/pods",
            "",
        ),
        (
            request("", ApiVerb::Create("{}".into())),
            "POST",
            "/api/v1/namespaces/ns/pods",
            "application/json",
        ),
        (
            request("a", ApiVerb::Update("{}".into())),
            "PUT",
            "/api/v1/namespaces/ns/pods/a",
            "application/json",
        ),
        (
            request("a", patch),
            "PATCH",
            "/api/v1/namespaces/ns/pods/a",
            "application/strategic-merge-patch+json",
        ),
        (
            request("a", ApiVerb::Delete(delete)),
            "DELETE",
            "/api/v1/namespaces/ns/pods/a",
            "application/json",
        ),
    ];
    for (request, method, path, content_type) in cases {
        let verb = request.verb.clone();
        let answered = tokio::spawn(module.call(1, request));
        let call = server.expect(path).await;
        assert_eq!(
            (call.method.as_str(), call.header("content-type")),
            (method, content_type)
        );
        assert_eq!(
            call.header("user-agent"),
            concat!("windlass/", env!("CARGO_PKG_VERSION"), " shop")
        );
        let writes = matches!(verb, ApiVerb::Create(_) | ApiVerb::Update(_) | ApiVerb::Patch(..));
        assert_eq!(
            call.query.get("fieldManager").map(String::as_str),
            writes.then_some("shop-manager")
        );
        match verb {
            ApiVerb::List(_) => assert_eq!(
                (call.query["labelSelector"].as_str(), call.query["limit"].as_str()),
                ("a%3Db", "5")
            ),
            ApiVerb::Delete(_) => assert_eq!(
                call.json(),
                json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan",
                        "gracePeriodSeconds": 0, "preconditions": { "uid": "u1" } })
            ),
            _ => {}
        }
        call.ok(&json!({ "kind": "Pod" }));
        answered.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn successful_writes_are_reported_and_failed_ones_are_not() {
    let (module, mut server, log) = module();
    let stored = json!({ "kind": "Pod", "metadata": { "name": "a-x1", "namespace": "ns", "uid": "u1", "resourceVersion": "42" } });
    let created = tokio::spawn(module.call(7, request("", ApiVerb::Create("{}".into()))));
    server.next().await.ok(&stored);
    created.await.unwrap().unwrap();
    let deleted = tokio::spawn(module.call(8, request("b", ApiVerb::Delete(DeleteOptions::default()))));
    server
        .next()
        .await
        .ok(&json!({ "kind": "Status", "status": "Success", "details": { "uid": "u2" } }));
    deleted.await.unwrap().unwrap();
    let failed = tokio::spawn(module.call(9, request("c", ApiVerb::Update("{}".into()))));
    server.next().await.status(409, "Conflict");
    assert_eq!(failed.await.unwrap().unwrap_err().kind, ApiErrorKind::Conflict);
    let read = tokio::spawn(module.call(9, request("a-x1", ApiVerb::Get)));
    server.next().await.ok(&stored);
    read.await.unwrap().unwrap();
    let mut binding = request("a", ApiVerb::Create("{}".into()));
    binding.subresource = "binding".into();
    let bound = tokio::spawn(module.call(9, binding));
    server
        .expect("/api/v1/namespaces/ns/pods/a/binding")
        .await
        .ok(&json!({ "kind": "Status", "status": "Success" }));
    bound.await.unwrap().unwrap();

    let write = |name: &str, uid: &str, effect| Write {
        resource: pods(),
        key: ObjectKey::new("ns", name),
        uid: uid.into(),
        effect,
    };
    let expected = [
        (7, write("a-x1", "u1", WriteEffect::Stored { revision: 42 })),
        (8, write("b", "u2", WriteEffect::Deleted)),
        (9, write("a", "", WriteEffect::Changed { from: 11 })),
    ];
    assert_eq!(*log.0.lock(), expected);
    assert_eq!(*log.1.lock(), [(7, 200), (8, 200), (9, 409), (9, 200), (9, 200)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_retried_and_the_servers_pause_is_passed_on() {
    let (module, mut server, _log) = module();
    let call = tokio::spawn(module.call(1, request("a", ApiVerb::Get)));
    server.next().await.retry_after(429, 3);
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (ApiErrorKind::TooManyRequests, Some(3000))
    );
    let call = tokio::spawn(module.call(1, request("a", ApiVerb::Get)));
    server.next().await.reset();
    assert_eq!(call.await.unwrap().unwrap_err().kind, ApiErrorKind::Unavailable);
    server.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_the_budget_of_their_module() {
    let (module, mut server, _log) = module_with(ModuleClientConfig {
        qps: 10,
        burst: 2,
        ..config(vec![rule(&["*"], &["*"], &["*"])])
    });
    let start = Instant::now();
    let calls: Vec<_> = (0..7)
        .map(|_| tokio::spawn(module.call(1, request("a", ApiVerb::Get))))
        .collect();
    for _ in 0..7 {
        server.next().await.ok(&json!({}));
    }
    assert_eq!(start.elapsed(), Duration::from_millis(500));
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn modules_share_the_budget_of_the_host_in_turn() {
    let budget = CallBudget::default();
    budget.set(10, 1);
    let (client, mut server) = server();
    let log: Arc<Log> = Arc::default();
    let module = |name: &str| {
        let config = ModuleClientConfig {
            module: name.into(),
            seat: budget.seat(),
            ..config(vec![rule(&["*"], &["*"], &["*"])])
        };
        let observer: Arc<dyn CallObserver> = log.clone();
        ModuleClient::new(client.clone(), config, Some(observer)).unwrap()
    };
    let (loud, quiet) = (module("loud"), module("quiet"));
    let _calls: Vec<_> = (0..100)
        .map(|_| tokio::spawn(loud.call(1, request("a", ApiVerb::Get))))
        .collect();
    let start = Instant::now();
    server.next().await.ok(&json!({}));
    let _call = tokio::spawn(quiet.call(1, request("b", ApiVerb::Get)));
    let mut agents = Vec::new();
    for _ in 0..3 {
        let call = server.next().await;
        agents.push(call.header("user-agent").to_owned());
        call.ok(&json!({}));
    }
    assert_eq!(start.elapsed(), Duration::from_millis(300));
    let of_quiet = agents.iter().position(|agent| agent.ends_with(" quiet"));
    assert!(of_quiet.is_some_and(|place| place < 2), "{agents:?}");
    let waits = log.budget_waits();
    assert!(
        waits.iter().all(|wait| *wait <= Duration::from_millis(400)),
        "{waits:?}"
    );
    assert!(waits.contains(&Duration::from_millis(100)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_the_module_may_have() {
    let (module, mut server, _log) = module_with(ModuleClientConfig {
        max_in_flight: 2,
        ..config(vec![rule(&["*"], &["*"], &["*"])])
    });
    let _calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(module.call(1, request("a", ApiVerb::Get))))
        .collect();
    let first = server.next().await;
    let _second = server.next().await;
    server.expect_quiet().await;
    first.ok(&json!({}));
    server.next().await;
}

#[tokio::test(start_paused = true)]
async fn a_module_may_act_as_a_user_or_a_service_account() {
    let user = Impersonation {
        user: "windlass:shop".into(),
        groups: vec!["tills".into(), "shops".into()],
    };
    let account = Impersonation::service_account("shop", "till");
    for (impersonation, name, groups) in [
        (user, "windlass:shop", &["tills", "shops"][..]),
        (account, "system:serviceaccount:shop:till", &[]),
    ] {
        let (module, mut server, _log) = module_with(ModuleClientConfig {
            impersonate: Some(impersonation),
            ..config(vec![rule(&["*"], &["*"], &["*"])])
        });
        let _call = tokio::spawn(module.call(1, request("a", ApiVerb::Get)));
        let call = server.next().await;
        assert_eq!(call.header("impersonate-user"), name);
        assert_eq!(
            call.headers
                .get_all("impersonate-group")
                .iter()
                .collect::<Vec<_>>(),
            groups
        );
    }
    let (client, _server) = crate::server::server();
    let wrong = ModuleClientConfig {
        impersonate: Some(Impersonation {
            user: "a\nb".into(),
            groups: Vec::new(),
        }),
        ..config(Vec::new())
    };
    let error = ModuleClient::new(client, wrong, None).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("impersonated user of module shop cannot be sent in a header: "),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_module_of_one_namespace_can_neither_leave_it_nor_ask_for_all() {
    let mut within = rule(&[""], &["pods"], &["*"]);
    within.namespaces = vec!["ns".into()];
    let (module, mut server, _log) = module_with(config(vec![within]));
    let mut everywhere = request("", ApiVerb::List(ListOptions::default()));
    everywhere.key = ObjectKey::new("", "");
    let mut elsewhere = request("a", ApiVerb::Get);
    elsewhere.key = ObjectKey::new("kube-system", "a");
    let smuggled = request(
        "",
        ApiVerb::Create(r#"{"metadata":{"namespace":"kube-system"}}"#.into()),
    );
    for (refused, kind) in [
        (everywhere, ApiErrorKind::NotPermitted),
        (elsewhere, ApiErrorKind::NotPermitted),
        (smuggled, ApiErrorKind::BadRequest),
    ] {
        assert_eq!(module.call(1, refused).await.unwrap_err().kind, kind);
    }
    server.expect_quiet().await;
    let _call = tokio::spawn(module.call(1, request("", ApiVerb::List(ListOptions::default()))));
    server.expect("/api/v1/namespaces/ns/pods").await;
}

#[tokio::test(start_paused = true)]
async fn a_module_of_one_object_may_list_it_by_name_alone() {
    let mut one = rule(&[""], &["pods"], &["list"]);
    one.resource_names = vec!["a".into()];
    let (module, mut server, _log) = module_with(config(vec![one]));
    let list = |field_selector: &str| {
        let options = ListOptions {
            field_selector: field_selector.into(),
            ..ListOptions::default()
        };
        request("", ApiVerb::List(options))
    };
    for refused in [
        "",
        "metadata.name=b",
        "metadata.name!=a",
        "metadata.name=a,spec.nodeName=x",
        "spec.nodeName=a",
    ] {
        let error = module.call(1, list(refused)).await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::NotPermitted, "{refused}");
    }
    server.expect_quiet().await;
    let _call = tokio::spawn(module.call(1, list("metadata.name=a")));
    server.next().await;
}

/// Follows calls and writes down what it is told.
#[derive(Clone, Default)]
struct Follower(Arc<Mutex<Vec<String>>>);

impl Follower {
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl CallObserver for Follower {
    fn trace(&self, sync: SyncId, request: &ApiRequest) -> Option<Box<dyn CallTrace>> {
        self.0.lock().push(format!("{sync}: {}", request.verb.name()));
        Some(Box::new(self.clone()))
    }

    fn called(&self, _call: SentCall<'_>) {}

    fn shown_revision(&self, _resource: &Resource, _key: &ObjectKey) -> u64 {
        0
    }

    fn wrote(&self, _sync: SyncId, _write: Write) {}
}

impl CallTrace for Follower {
    fn traceparent(&self) -> Option<String> {
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())
    }

    fn sent(&mut self, path_and_query: &str, _throttled: Duration) {
        self.0.lock().push(format!("sent {path_and_query}"));
    }

    fn ended(self: Box<Self>, end: Result<u16, &ApiError>) {
        self.0.lock().push(match end {
            Ok(code) => format!("ended with {code}"),
            Err(error) => format!("ended with {} {:?}", error.code, error.kind),
        });
    }
}

fn followed(config: ModuleClientConfig) -> (ModuleClient, Server, Follower) {
    let (client, server) = server();
    let follower = Follower::default();
    let observer: Arc<dyn CallObserver> = Arc::new(follower.clone());
    (
        ModuleClient::new(client, config, Some(observer)).unwrap(),
        server,
        follower,
    )
}

#[tokio::test(start_paused = true)]
async fn a_call_is_followed_from_asked_to_answered_and_the_server_is_told() {
    let (module, mut server, follower) = followed(config(vec![rule(&["*"], &["*"], &["*"])]));
    let call = tokio::spawn(module.call(3, request("a", ApiVerb::Get)));
    let get = server.next().await;
    assert_eq!(
        get.headers["traceparent"],
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
    get.ok(&json!({}));
    call.await.unwrap().unwrap();
    assert_eq!(
        follower.told(),
        ["3: get", "sent /api/v1/namespaces/ns/pods/a", "ended with 200"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_is_refused_or_given_up_is_followed_to_that_end() {
    let only_get = config(vec![rule(&[""], &["pods"], &["get"])]);
    let (module, mut server, follower) = followed(only_get);
    let refused = request("a", ApiVerb::Delete(DeleteOptions::default()));
    module.call(1, refused).await.unwrap_err();
    assert_eq!(follower.told(), ["1: delete", "ended with 0 NotPermitted"]);

    let call = tokio::spawn(module.call(2, request("a", ApiVerb::Get)));
    let get = server.next().await;
    get.raw(404, String::new());
    call.await.unwrap().unwrap_err();
    let told = follower.told();
    assert_eq!(told[told.len() - 1], "ended with 404 NotFound");

    let call = tokio::spawn(module.call(3, request("a", ApiVerb::Get)));
    let _unanswered = server.next().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let told = follower.told();
    assert_eq!(told.len(), 2, "it has no end: {told:?}");
}

#[tokio::test]
async fn calls_that_nobody_follows_tell_the_server_nothing() {
    let (module, mut server, _log) = module();
    let _call = tokio::spawn(module.call(1, request("a", ApiVerb::Get)));
    assert!(!server.next().await.headers.contains_key("traceparent"));
}
