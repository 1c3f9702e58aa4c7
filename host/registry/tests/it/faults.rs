//! Registries that are busy, broken, redirecting or hostile.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use windlass_registry::client::{Client, Options};
use windlass_registry::credentials::{Credential, Credentials};
use windlass_registry::digest::Digest;
use windlass_registry::secret::Secret;

use crate::script::{Asked, Script, answer, status};
use crate::support::{BACKOFF, client, component, options, pull, pull_error, reference};

/// Serves the manifest and the layer of one component; everything else is not found.
fn artifact(asked: &Asked) -> Vec<u8> {
    let layer = component("a");
    let digest = Digest::of(&layer);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{digest}","size":1}},"layers":[{{"mediaType":"application/wasm","digest":"{digest}","size":{}}}]}}"#,
        layer.len()
    );
    let header = format!("Docker-Content-Digest: {}\r\n", Digest::of(manifest.as_bytes()));
    match asked.line.split(' ').collect::<Vec<_>>().as_slice() {
        ["HEAD", ..] => answer("200 OK", &header, b""),
        ["GET", path, ..] if path.contains("/manifests/") => answer("200 OK", "", manifest.as_bytes()),
        ["GET", path, ..] if path.contains(&digest.hex()) => answer("200 OK", "", &layer),
        _ => status("404 Not Found"),
    }
}

#[tokio::test]
async fn requests_are_repeated_while_the_registry_is_busy() {
    let mut answers = 0;
    let script = Script::start(move |asked| {
        answers += 1;
        match answers {
            1 => answer("429 Too Many Requests", "Retry-After: 0\r\n", b""),
            2 => status("503 Service Unavailable"),
            3 => b"HTTP/1.1 200 OK\r\nConte".to_vec(),
            _ => artifact(asked),
        }
    })
    .await;
    let pulled = pull(&client(&script.host), &reference(&script.host, "gc:v1")).await;
    assert_eq!(pulled.bytes, component("a"));
    assert_eq!(script.asked().len(), 3 + 3);
}

#[tokio::test]
async fn a_registry_that_stays_broken_is_given_up() {
    let script = Script::start(|_| status("502 Bad Gateway")).await;
    let tagged = reference(&script.host, "gc:v1");
    assert_eq!(
        pull_error(&client(&script.host), &tagged).await,
        format!(
            "cannot pull {tagged}: registry {} failed (502 Bad Gateway) (tried {} times)",
            script.host, BACKOFF.attempts
        )
    );
    assert_eq!(script.asked().len(), BACKOFF.attempts as usize);
}

#[tokio::test]
async fn a_wait_beyond_the_time_limit_is_not_begun() {
    let script = Script::start(|_| answer("429 Too Many Requests", "Retry-After: 3600\r\n", b"")).await;
    let tagged = reference(&script.host, "gc:v1");
    assert_eq!(
        pull_error(&client(&script.host), &tagged).await,
        format!(
            "cannot pull {tagged}: registry {} asks for fewer requests (429 Too Many Requests, to be tried again in 3600 s) (tried 1 times)",
            script.host
        )
    );
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for refusal in ["400 Bad Request", "403 Forbidden", "404 Not Found"] {
        let script = Script::start(move |_| status(refusal)).await;
        let error = pull_error(&client(&script.host), &reference(&script.host, "gc:v1")).await;
        assert!(error.contains(refusal), "{error}");
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_silent_registry_ends_with_the_time_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let client = Client::new(Options {
        time: Duration::from_millis(100),
        ..options(&host)
    })
    .unwrap();
    let error = pull_error(&client, &reference(&host, "gc:v1")).await;
    assert!(
        error.ends_with(&format!("registry {host} did not answer within the time limit")),
        "{error}"
    );
}

#[tokio::test]
async fn a_download_that_breaks_off_is_repeated_from_the_start() {
    let mut broken = false;
    let script = Script::start(move |asked| {
        let whole = artifact(asked);
        if asked.line.contains("/blobs/") && !broken {
            broken = true;
            return whole[..whole.len() - 3].to_vec();
        }
        whole
    })
    .await;
    let pulled = pull(&client(&script.host), &reference(&script.host, "gc:v1")).await;
    assert_eq!(pulled.bytes, component("a"));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let script = Script::start(|asked| match asked.line.contains("/blobs/") {
        true => [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(),
            &[0; 1 << 20],
        ]
        .concat(),
        false => artifact(asked),
    })
    .await;
    let error = pull_error(&client(&script.host), &reference(&script.host, "gc:v1")).await;
    assert!(error.ends_with("bytes that are allowed"), "{error}");
}

#[tokio::test]
async fn a_manifest_other_than_the_pinned_one_is_refused() {
    let script = Script::start(artifact).await;
    let pinned = reference(&script.host, "gc").with_digest(Digest::of(b"pinned"));
    let error = pull_error(&client(&script.host), &pinned).await;
    assert!(
        error.contains(&format!("where {} was asked for", Digest::of(b"pinned"))),
        "{error}"
    );
}

/// A client that is alice at these hosts.
fn alice(hosts: &[&str]) -> Client {
    let alice = Credential::Basic {
        username: "alice".to_owned(),
        password: Secret::new("wonder"),
    };
    Client::new(Options {
        credentials: Credentials::anonymous().with(hosts[0], alice),
        insecure_registries: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..options(hosts[0])
    })
    .unwrap()
}

/// Asks for a password first.
fn with_password(asked: &Asked) -> Option<Vec<u8>> {
    let challenge = || answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", b"");
    // alice:wonder
    (asked.header("authorization") != Some("Basic YWxpY2U6d29uZGVy")).then(challenge)
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_carry_the_password() {
    let store = Script::start(artifact).await;
    let target = store.host.clone();
    let registry = Script::start(move |asked| {
        with_password(asked).unwrap_or_else(|| match asked.line.contains("/blobs/") {
            true => {
                let path = asked.line.split(' ').nth(1).unwrap();
                let location = format!("Location: http://{target}{path}?signature=s3cret\r\n");
                answer("307 Temporary Redirect", &location, b"")
            }
            false => artifact(asked),
        })
    })
    .await;
    let client = alice(&[&registry.host, &store.host]);
    assert_eq!(
        pull(&client, &reference(&registry.host, "gc:v1")).await.bytes,
        component("a")
    );
    let [stored] = &store.asked()[..] else {
        panic!("the store was not asked once");
    };
    assert!(stored.line.ends_with("?signature=s3cret HTTP/1.1"));
    assert_eq!(stored.header("authorization"), None);
    // The registry does not ask again for what it was told.
    let challenged = registry
        .asked()
        .iter()
        .filter(|asked| asked.header("authorization").is_none())
        .count();
    assert_eq!(challenged, 1);
}

#[tokio::test]
async fn a_redirect_to_a_host_without_tls_is_refused_and_its_query_is_not_shown() {
    let registry = Script::start(|_| {
        let location = "Location: http://store.example/x?signature=s3cret\r\n";
        answer("307 Temporary Redirect", location, b"")
    })
    .await;
    let tagged = reference(&registry.host, "gc:v1");
    assert_eq!(
        pull_error(&client(&registry.host), &tagged).await,
        format!(
            "cannot pull {tagged}: registry {} points to `store.example` without TLS: list that host as insecure if \
             that is intended",
            registry.host
        )
    );
}

#[tokio::test]
async fn what_a_hostile_registry_repeats_is_not_shown() {
    let script = Script::start(|asked| {
        with_password(asked).unwrap_or_else(|| {
            let echo = asked.header("authorization").unwrap();
            let body =
                format!(r#"{{"errors":[{{"code":"{echo}","message":"{echo}"}},{{"code":"DENIED"}}]}}"#);
            answer("403 Forbidden", "", body.as_bytes())
        })
    })
    .await;
    let error = pull_error(&alice(&[&script.host]), &reference(&script.host, "gc:v1")).await;
    // HEAD has no body, so the digest is asked for to see one.
    let pinned = reference(&script.host, "gc").with_digest(Digest::of(b""));
    let error = error + &pull_error(&alice(&[&script.host]), &pinned).await;
    assert!(
        error.contains("403 Forbidden, DENIED") && !error.contains("YWxpY2U6d29uZGVy"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_http_is_not_tried_at_hosts_that_are_not_listed() {
    let script = Script::start(artifact).await;
    let client = Client::new(Options {
        insecure_registries: Vec::new(),
        ..options(&script.host)
    })
    .unwrap();
    let tagged = reference(&script.host, "gc:v1");
    assert_eq!(
        pull_error(&client, &tagged).await,
        format!(
            "cannot pull {tagged}: cannot trust registry {}: it does not speak TLS: list it as insecure if that is \
             intended",
            script.host
        )
    );
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_registry_of_a_private_authority_is_trusted_if_the_authority_is() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let script = Script::start_tls(Arc::new(tls).into(), artifact).await;
    let with_roots = |extra_roots: Vec<u8>| {
        Client::new(Options {
            insecure_registries: Vec::new(),
            extra_roots,
            ..options(&script.host)
        })
        .unwrap()
    };
    let tagged = reference(&script.host, "gc:v1");
    let trusting = with_roots(certified.cert.pem().into_bytes());
    assert_eq!(pull(&trusting, &tagged).await.bytes, component("a"));
    let error = pull_error(&with_roots(Vec::new()), &tagged).await;
    assert!(
        error.ends_with(
            "its certificate is from an unknown authority: add the authority to those that are trusted"
        ),
        "{error}"
    );
}
