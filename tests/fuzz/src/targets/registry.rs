//! What registries and their configuration hand the host.

use windlass_registry::credentials::{Credentials, Helpers};
use windlass_registry::digest::Digest;
use windlass_registry::fuzzing::{component, is_challenge};
use windlass_registry::policy::{Identity, Policy};
use windlass_registry::reference::Reference;
use windlass_registry::signing::SigningKey;

use crate::Target;
use crate::input::{Record, records};
use crate::service::runtime;

/// References and digests read back as they print; the rest gets an answer, and nothing of
/// a credential is in an error.
pub(crate) const READ: Target = Target {
    name: "registry",
    run: read,
    mutations: 10_000,
};

const LIMIT: u64 = 1 << 20;

/// Records of what the body is, and a reference.
fn read(data: &[u8]) {
    for record in records(data) {
        let text = String::from_utf8_lossy(record.body);
        if let Ok(reference) = record.text(1).parse::<Reference>() {
            check_reference(&reference);
        }
        match record.text(0).as_str() {
            "credentials" => check_credentials(&record),
            "manifest" => {
                if let Ok((_, size)) = component(record.body, LIMIT) {
                    assert!(size <= LIMIT);
                }
            }
            "challenge" => _ = is_challenge(&text.lines().collect::<Vec<_>>()),
            "digest" => {
                if let Ok(digest) = text.parse::<Digest>() {
                    assert_eq!(digest.to_string(), text);
                }
            }
            "identity" => drop(Identity::matching(&text)),
            _ => {
                drop(Policy::key(&text));
                drop(SigningKey::from_pem(&text));
            }
        }
    }
}

fn check_reference(reference: &Reference) {
    let printed = reference.to_string();
    let again: Reference = printed
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {printed}"));
    let parts = |reference: &Reference| {
        let tag = reference.tag().map(str::to_owned);
        (reference.repository().clone(), tag, reference.digest())
    };
    assert_eq!(parts(&again), parts(reference));
    let repository = reference.repository();
    let uri = format!(
        "https://{}/v2/{}/manifests/x",
        repository.registry(),
        repository.path()
    );
    let uri: http::Uri = uri.parse().unwrap_or_else(|error| panic!("{error}: {uri}"));
    assert_eq!(
        uri.authority().map(|authority| authority.as_str()),
        Some(repository.registry())
    );
    assert_eq!(uri.query(), None);
}

fn check_credentials(record: &Record<'_>) {
    match Credentials::from_docker_config(record.body, Helpers::Ignore) {
        Ok(credentials) => {
            if let Ok(reference) = record.text(1).parse::<Reference>() {
                let found = runtime().block_on(credentials.find(reference.repository()));
                found.expect("without helpers there is nothing that could fail");
            }
        }
        Err(error) => assert!(!error.to_string().contains("hunter2")),
    }
}
