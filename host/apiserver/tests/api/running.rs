use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::net::TcpStream;
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule, Scheme, ServerConfig, StartError, start};

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, version};

#[tokio::test]
async fn only_health_and_version_are_for_everybody() {
    let cluster = Cluster::start().await;
    for path in [
        "/healthz",
        "/livez",
        "/readyz",
        "/version",
        "/readyz?verbose",
        "/livez/ping",
    ] {
        let anonymous = http::Request::builder().uri(path).header("host", "localhost");
        assert_eq!(cluster.answer(anonymous, "").await.code, 200, "{path}");
    }
    assert_eq!(cluster.get("/version").await.ok()["minor"], "36");
    let verbose = cluster.get("/readyz?verbose&exclude=etcd").await.text;
    assert!(
        verbose.contains("[+]ping ok\n")
            && verbose.ends_with("readyz check passed\n")
            && !verbose.contains("etcd")
    );
    for path in ["/api", PODS, "/debug/windlass/faults"] {
        let anonymous = http::Request::builder().uri(path).header("host", "localhost");
        let (code, reason, message) = cluster.answer(anonymous, "").await.refusal();
        assert_eq!(
            (code, reason.as_str(), message.as_str()),
            (401, "Unauthorized", "Unauthorized")
        );
    }
}

#[tokio::test]
async fn bodies_are_limited() {
    let cluster = Cluster::start().await;
    let mut large = config_map("a");
    large["data"]["key"] = "x".repeat(3 * 1024 * 1024).into();
    let (code, reason, message) = cluster.post(CONFIG_MAPS, large).await.refusal();
    assert_eq!((code, reason.as_str()), (413, "RequestEntityTooLarge"));
    assert_eq!(message, "Request entity too large: limit is 3145728");
    let protobuf = cluster
        .request("POST", CONFIG_MAPS)
        .header("content-type", "application/vnd.kubernetes.protobuf");
    assert_eq!(cluster.answer(protobuf, "k8s").await.refusal().0, 400);
    let message =
        b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x0d\x0a\x03\x0a\x01p\x12\x06\x0a\x01k\x12\x01v";
    let protobuf = cluster
        .request("POST", CONFIG_MAPS)
        .header("content-type", "application/vnd.kubernetes.protobuf");
    let created = cluster.answer(protobuf, message.as_slice()).await.ok();
    assert_eq!(
        (&created["metadata"]["name"], &created["data"]["k"]),
        (&json!("p"), &json!("v"))
    );
    let other = cluster
        .request("POST", CONFIG_MAPS)
        .header("content-type", "text/plain");
    assert_eq!(cluster.answer(other, "x").await.refusal().0, 415);
    let yaml = cluster
        .request("POST", CONFIG_MAPS)
        .header("content-type", "application/yaml");
    let created = cluster
        .answer(yaml, "metadata:\n  name: from-yaml\ndata:\n  a: b\n")
        .await
        .ok();
    assert_eq!(created["data"]["a"], "b");
}

#[tokio::test]
async fn the_kubeconfig_leads_to_a_trusted_server() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sub").join("config");
    cluster.server.write_kubeconfig(&path, Scheme::Https).unwrap();
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let url = cluster.server.url(Scheme::Https).unwrap();
    assert!(text.contains(&format!("server: {url}\n")) && text.contains(cluster.server.token()));

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(cluster.server.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap())
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(ServerName::try_from("127.0.0.1").unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = cluster
        .request("GET", "/api/v1/namespaces/default")
        .body(Full::<bytes::Bytes>::default())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let cluster = Cluster::start().await;
    let address: SocketAddr = cluster
        .server
        .url(Scheme::Http)
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let error = start(ServerConfig {
        http: Some(address),
        ..ServerConfig::default()
    })
    .await
    .unwrap_err();
    let expected = format!(
        "cannot listen on {address}: the address is in use; stop what listens there or choose another port"
    );
    assert_eq!(error.to_string(), expected);
    let public = ServerConfig {
        http: Some("0.0.0.0:0".parse().unwrap()),
        ..ServerConfig::default()
    };
    assert!(matches!(start(public).await, Err(StartError::NotLoopback { .. })));
}

#[tokio::test]
async fn faults_hit_what_they_name_and_can_be_lifted() {
    let cluster = Cluster::start().await;
    let policy = |kind| FaultPolicy {
        seed: 1,
        rules: vec![FaultRule {
            kind,
            probability: 1.0,
            verbs: vec!["create".to_owned()],
            resources: vec![],
        }],
    };
    for (kind, code) in [
        (FaultKind::InternalError, 500),
        (FaultKind::Unavailable, 503),
        (FaultKind::TooManyRequests, 429),
        (FaultKind::Conflict, 409),
    ] {
        cluster.server.set_faults(policy(kind));
        assert_eq!(cluster.post(CONFIG_MAPS, config_map("a")).await.code, code);
    }
    cluster.get(CONFIG_MAPS).await.ok();
    let create = || cluster.try_answer(cluster.request("POST", CONFIG_MAPS), config_map("a").to_string());
    cluster.server.set_faults(policy(FaultKind::Drop));
    assert!(create().await.is_err());
    assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await.code, 404);
    cluster.server.set_faults(policy(FaultKind::DropAfter));
    assert!(create().await.is_err());
    assert_eq!(
        cluster.get(&format!("{CONFIG_MAPS}/a")).await.code,
        200,
        "carried out, but not answered"
    );

    let path = "/debug/windlass/faults";
    assert_eq!(cluster.get(path).await.ok()["rules"][0]["kind"], "drop-after");
    cluster.put(path, json!({"rules": []})).await.ok();
    assert_eq!(create().await.unwrap().code, 409);
    assert_eq!(
        cluster
            .put(path, json!({"rules": [{"kind": "explode", "probability": 1}]}))
            .await
            .refusal()
            .0,
        400
    );
}

#[tokio::test]
async fn shutting_down_ends_watches_and_waits_for_connections() {
    let cluster = Cluster::start().await;
    let list = cluster.get(PODS).await.ok();
    let mut watch = cluster
        .watch(&format!("{PODS}?watch=true&resourceVersion={}", version(&list)))
        .await;
    cluster.server.shutdown().await;
    assert_eq!(watch.next().await, None);
}
