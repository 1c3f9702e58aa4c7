//! Tokens, and helper programs.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use windlass_registry::client::{Client, Options};
use windlass_registry::credentials::{Credential, Credentials, Helpers};
use windlass_registry::digest::Digest;
use windlass_registry::secret::Secret;

use crate::script::{Asked, Script, answer, status};
use crate::support::{options, reference};

const MARK: &str = "WINDLASS_TEST_HELPER";

/// A registry that wants the newest token of the service beside it, which gives a new one
/// each time.
async fn token_registry(accepts: fn(&Asked) -> bool) -> Script {
    let mut tokens = 0;
    let digest = Digest::of(b"x");
    Script::start(move |asked| {
        let host = asked.header("host").unwrap();
        if asked.line.contains(" /token") {
            if !accepts(asked) {
                return status("401 Unauthorized");
            }
            tokens += 1;
            return answer("200 OK", "", format!(r#"{{"access_token":"t{tokens}"}}"#).as_bytes());
        }
        if asked.header("authorization") == Some(&format!("Bearer t{tokens}")) && !asked.line.contains("expired") {
            return answer("200 OK", &format!("Docker-Content-Digest: {digest}\r\n"), b"");
        }
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"reg\",scope=\"repository:gc:pull\"\r\n");
        answer("401 Unauthorized", &challenge, b"")
    })
    .await
}

fn client(host: &str, credential: Credential) -> Client {
    Client::new(Options {
        credentials: Credentials::anonymous().with(host, credential),
        ..options(host)
    })
    .unwrap()
}

async fn resolve(client: &Client, host: &str) -> Result<Digest, String> {
    let resolved = client.resolve(&reference(host, "gc:v1")).await;
    resolved
        .map(|resolved| resolved.digest)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_token_is_fetched_with_the_password_and_kept() {
    let script =
        token_registry(|asked| asked.header("authorization") == Some("Basic YWxpY2U6d29uZGVy")).await;
    let alice = Credential::Basic {
        username: "alice".to_owned(),
        password: Secret::new("wonder"),
    };
    let client = client(&script.host, alice);
    assert_eq!(resolve(&client, &script.host).await, Ok(Digest::of(b"x")));
    assert_eq!(resolve(&client, &script.host).await, Ok(Digest::of(b"x")));
    let lines: Vec<_> = script.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        [
            "HEAD /v2/gc/manifests/v1 HTTP/1.1",
            "GET /token?service=reg&scope=repository%3Agc%3Apull HTTP/1.1",
            "HEAD /v2/gc/manifests/v1 HTTP/1.1",
            "HEAD /v2/gc/manifests/v1 HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let script = token_registry(|asked| {
        asked.line.starts_with("POST")
            && asked.body
                == "grant_type=refresh_token&client_id=windlass&service=reg&scope=repository%3Agc%3Apull&refresh_token=re%2Ffresh"
    })
    .await;
    let client = client(&script.host, Credential::IdentityToken(Secret::new("re/fresh")));
    assert_eq!(resolve(&client, &script.host).await, Ok(Digest::of(b"x")));
}

#[tokio::test]
async fn an_expired_token_is_replaced() {
    let script = token_registry(|_| true).await;
    let client = client(&script.host, Credential::Anonymous);
    resolve(&client, &script.host).await.unwrap();
    // Another client's token makes ours the old one.
    resolve(&self::client(&script.host, Credential::Anonymous), &script.host)
        .await
        .unwrap();
    assert_eq!(resolve(&client, &script.host).await, Ok(Digest::of(b"x")));
}

#[tokio::test]
async fn a_refused_token_request_says_whether_credentials_are_missing_or_wrong() {
    let script = token_registry(|_| false).await;
    let anonymous = resolve(&client(&script.host, Credential::Anonymous), &script.host).await;
    assert!(
        anonymous
            .unwrap_err()
            .contains("asks for credentials and none are configured")
    );
    let wrong = Credential::IdentityToken(Secret::new("hunter2"));
    let refused = resolve(&client(&script.host, wrong), &script.host)
        .await
        .unwrap_err();
    assert!(refused.contains("refuses the credentials configured") && !refused.contains("hunter2"));
}

#[tokio::test]
async fn a_registry_that_takes_no_token_is_not_asked_for_ever() {
    let script = token_registry(|_| true).await;
    let client = client(&script.host, Credential::Anonymous);
    let error = client
        .resolve(&reference(&script.host, "expired:v1"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("refuses the credentials configured"));
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn credentials_are_not_sent_to_a_token_service_without_tls() {
    let challenge = "WWW-Authenticate: Bearer realm=\"http://tokens.example/token\"\r\n";
    let script = Script::start(move |_| answer("401 Unauthorized", challenge, b"")).await;
    let client = client(&script.host, Credential::IdentityToken(Secret::new("refresh")));
    let error = resolve(&client, &script.host).await.unwrap_err();
    assert!(
        error.contains("points to `tokens.example` without TLS"),
        "{error}"
    );
}

/// The search path is the process's own, so the test runs once more in another process.
#[test]
fn a_helper_is_asked_for_its_registry() {
    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("docker-credential-windlass-test");
    let script = r#"#!/bin/sh
[ "$1" = get ] || exit 2
case "$(/bin/cat)" in
known.example) echo '{"ServerURL":"known.example","Username":"alice","Secret":"wonder"}' ;;
unknown.example) echo 'credentials not found in native keychain'; exit 1 ;;
*) echo 'hunter2 leaks'; exit 1 ;;
esac
"#;
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["credentials::in_the_process_with_the_helper", "--exact"])
        .env("PATH", folder.path())
        .env(MARK, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Part of the test above; without its process there is nothing to check.
#[tokio::test]
async fn in_the_process_with_the_helper() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    let config = br#"{"credsStore": "windlass-test"}"#;
    let credentials = Credentials::from_docker_config(config, Helpers::Run).unwrap();
    let find = async |host: &str| {
        let reference = reference(host, "gc");
        credentials
            .find(reference.repository())
            .await
            .map_err(|error| error.to_string())
    };
    let alice = Credential::Basic {
        username: "alice".to_owned(),
        password: Secret::new("wonder"),
    };
    assert_eq!(find("known.example").await, Ok(alice));
    assert_eq!(find("unknown.example").await, Ok(Credential::Anonymous));
    assert_eq!(
        find("broken.example").await.unwrap_err(),
        "`docker-credential-windlass-test` did not give credentials for `broken.example`: exit status: 1; try \
         `echo broken.example | docker-credential-windlass-test get`"
    );
}
