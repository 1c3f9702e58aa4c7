//! Docker's configuration in the forms that it takes.

use super::*;
use crate::reference::Reference;

fn repository(reference: &str) -> Repository {
    reference.parse::<Reference>().unwrap().repository().clone()
}

async fn find(config: &str, reference: &str) -> Credential {
    let credentials = Credentials::from_docker_config(config.as_bytes(), Helpers::Run).unwrap();
    credentials.find(&repository(reference)).await.unwrap()
}

fn user(name: &str, password: &str) -> Credential {
    basic(name.into(), password.into())
}

#[tokio::test]
async fn an_entry_is_found_by_host_url_or_longest_path() {
    // alice:wonder, bob:builder
    let config = r#"{"auths": {
        "https://ghcr.io/v1/": {"auth": "YWxpY2U6d29uZGVy"},
        "ghcr.io/acme": {"username": "bob", "password": "builder"}
    }}"#;
    assert_eq!(find(config, "ghcr.io/other/gc").await, user("alice", "wonder"));
    assert_eq!(find(config, "ghcr.io/acme/gc").await, user("bob", "builder"));
    assert_eq!(find(config, "ghcr.io/acmeist/gc").await, user("alice", "wonder"));
    assert_eq!(find(config, "quay.io/acme/gc").await, Credential::Anonymous);
}

#[tokio::test]
async fn docker_hub_is_one_registry_under_all_its_names() {
    let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YWxpY2U6d29uZGVy"}}}"#;
    assert_eq!(find(config, "docker.io/acme/gc").await, user("alice", "wonder"));
    assert_eq!(
        find(config, "index.docker.io/acme/gc").await,
        user("alice", "wonder")
    );
}

#[tokio::test]
async fn tokens_come_before_passwords() {
    let config = r#"{"auths": {
        "a.io": {"auth": "YWxpY2U6d29uZGVy", "identitytoken": "refresh"},
        "b.io": {"registrytoken": "bearer"},
        "c.io": {"username": "<token>", "password": "refresh"}
    }}"#;
    let refresh = Credential::IdentityToken(Secret::new("refresh"));
    assert_eq!(find(config, "a.io/x").await, refresh);
    assert_eq!(
        find(config, "b.io/x").await,
        Credential::RegistryToken(Secret::new("bearer"))
    );
    assert_eq!(find(config, "c.io/x").await, refresh);
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let credentials =
        Credentials::from_docker_config(br#"{"credHelpers": {"a.io": "windlass-none"}}"#, Helpers::Run)
            .unwrap();
    let error = credentials.find(&repository("a.io/x")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot run `docker-credential-windlass-none` for `a.io`; is it installed and in PATH?"
    );
    assert_eq!(
        credentials.find(&repository("b.io/x")).await.unwrap(),
        Credential::Anonymous
    );
}

#[tokio::test]
async fn helpers_of_a_secret_are_passed_over() {
    let config = br#"{"credsStore": "windlass-none", "credHelpers": {"a.io": "../../bin/sh"}}"#;
    let credentials = Credentials::from_docker_config(config, Helpers::Ignore).unwrap();
    assert_eq!(
        credentials.find(&repository("a.io/x")).await.unwrap(),
        Credential::Anonymous
    );
}

#[test]
fn a_helper_cannot_be_a_path() {
    let config = br#"{"credsStore": "../../bin/sh"}"#;
    let error = Credentials::from_docker_config(config, Helpers::Run).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`../../bin/sh` is not a credential helper")
    );
}

#[test]
fn errors_and_debug_output_do_not_show_what_is_secret() {
    let malformed = br#"{"auths": {"a.io": {"auth": hunter2}}}"#;
    let error = Credentials::from_docker_config(malformed, Helpers::Run).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    // "hunter2" alone, without a user.
    let no_user = br#"{"auths": {"a.io": {"auth": "aHVudGVyMg=="}}}"#;
    let error = Credentials::from_docker_config(no_user, Helpers::Run).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the registry credentials for `a.io` are malformed")
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter2") && !format!("{error:?}").contains("aHVudGVyMg")
    );
    let good = br#"{"auths": {"a.io": {"username": "u", "password": "hunter2"}}}"#;
    let credentials = Credentials::from_docker_config(good, Helpers::Run).unwrap();
    assert!(!format!("{credentials:?}").contains("hunter2"));
}
