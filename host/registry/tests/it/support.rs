//! Components, clients and references for tests.

use std::time::Duration;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::Timestamp;
use tempfile::TempDir;
use windlass_registry::cache::Cache;
use windlass_registry::client::{Client, Options, PullOptions, Pulled, PushOptions};
use windlass_registry::manifest::Description;
use windlass_registry::policy::Policy;
use windlass_registry::reference::Reference;
use windlass_registry::retry::Backoff;
use windlass_registry::signing::SigningKey;

/// Retries that do not slow tests down.
pub(crate) const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(1),
    cap: Duration::from_millis(2),
    attempts: 4,
};

/// A component that differs from others: an empty one with a custom section.
pub(crate) fn component(content: &str) -> Bytes {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let section = [&[4], b"test".as_slice(), content.as_bytes()].concat();
    bytes.push(0);
    bytes.push(u8::try_from(section.len()).unwrap());
    bytes.extend(section);
    assert!(bytes.len() < 128, "the section's length is one byte");
    bytes.into()
}

/// Options for a registry at a loopback address.
pub(crate) fn options(host: &str) -> Options {
    Options {
        insecure_registries: vec![host.to_owned()],
        backoff: BACKOFF,
        time: Duration::from_secs(60),
        ..Options::default()
    }
}

pub(crate) fn client(host: &str) -> Client {
    Client::new(options(host)).unwrap()
}

/// A client with a cache in a folder.
pub(crate) fn cached_client(host: &str, folder: &TempDir) -> Client {
    let folder = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    Client::new(Options {
        cache: Some(Cache::open(folder, 1 << 20).unwrap()),
        ..options(host)
    })
    .unwrap()
}

pub(crate) fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}

/// A push whose digest depends on the component alone.
pub(crate) fn push_options(key: Option<&SigningKey>) -> PushOptions<'_> {
    PushOptions {
        description: Description {
            created: Timestamp::UNIX_EPOCH,
            author: None,
            title: None,
            annotations: [("org.opencontainers.image.version".to_owned(), "1.0.0".to_owned())].into(),
        },
        key,
    }
}

pub(crate) async fn pull(client: &Client, reference: &Reference) -> Pulled {
    client.pull(reference, PullOptions::default()).await.unwrap()
}

pub(crate) async fn pull_error(client: &Client, reference: &Reference) -> String {
    let error = client.pull(reference, PullOptions::default()).await.unwrap_err();
    error.to_string()
}

/// A pull under a policy: who signed, or the error.
pub(crate) async fn signer(
    client: &Client,
    reference: &Reference,
    policy: &Policy,
) -> Result<String, String> {
    let options = PullOptions { policy: Some(policy) };
    match client.pull(reference, options).await {
        Ok(pulled) => Ok(pulled.verified.unwrap().signer),
        Err(error) => Err(error.to_string()),
    }
}
