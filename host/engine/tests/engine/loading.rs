//! What is a guest of this host, and what is told to whoever offers something else.

use bytes::Bytes;
use windlass_engine::load::OptionalExports;

use crate::support::{engine, fixture, load, try_load};

async fn refusal(bytes: Bytes, config: &'static str) -> String {
    try_load(&engine(), bytes, config).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_guest_is_described_while_it_is_loaded() {
    let engine = engine();
    let counter = load(&engine, "counter").await;
    assert_eq!(counter.manifest.name, "counter");
    assert_eq!(counter.manifest.workers, 1000);
    assert_eq!(
        counter.exports,
        OptionalExports {
            observer: true,
            mapper: true,
            blocking: false
        }
    );
    assert!(
        counter
            .imports
            .contains(&"windlass:controller/clientset@0.1.0".to_owned())
    );
    assert_eq!(
        (counter.digest.len(), counter.size_bytes),
        (64, fixture("counter").len())
    );
    let hostile = load(&engine, "hostile").await;
    assert_eq!(
        hostile.exports,
        OptionalExports {
            observer: false,
            mapper: false,
            blocking: false
        }
    );
}

#[tokio::test]
async fn a_component_of_another_contract_version_is_refused_with_both_versions() {
    assert_eq!(
        refusal(fixture("other-version"), "").await,
        "built for contract windlass:controller@0.9.0, but this host serves windlass:controller@0.1.0: \
         rebuild the guest against it, or use a host that serves its version"
    );
}

#[tokio::test]
async fn a_component_with_the_right_names_and_the_wrong_types_is_refused() {
    let bytes = fixture("other-version");
    let message = refusal(replace(&bytes, b"@0.9.0", b"@0.1.0").into(), "").await;
    assert!(
        message.starts_with("cannot be described: it could not be instantiated: "),
        "{message}"
    );
}

fn replace(bytes: &[u8], from: &[u8; 6], to: &[u8; 6]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

/// The smallest component that imports an instance of this name.
fn importing(name: &str) -> Bytes {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // A type, which is an instance with nothing in it.
    bytes.extend([7, 3, 1, 0x42, 0]);
    let length = u8::try_from(name.len()).unwrap();
    // An import of that type.
    bytes.extend([10, length + 5, 1, 0, length]);
    bytes.extend(name.as_bytes());
    bytes.extend([5, 0]);
    bytes.into()
}

#[tokio::test]
async fn a_component_that_wants_what_no_guest_gets_is_refused_by_name() {
    for name in [
        "wasi:http/outgoing-handler@0.2.3",
        "wasi:keyvalue/store@0.2.0",
        "wasi:filesystem/preopens@0.3.0",
        "wasi:sockets/tcp@0.1.0",
        "windlass:controller/files@0.1.0",
    ] {
        assert_eq!(
            refusal(importing(name), "").await,
            format!("imports {name}, which Windlass does not provide")
        );
    }
}

#[tokio::test]
async fn a_component_without_a_handler_is_refused() {
    assert_eq!(
        refusal(fixture("no-handler"), "").await,
        "exports neither windlass:controller/handler nor blocking-handler, it exports windlass:controller/observer@0.1.0"
    );
}

#[tokio::test]
async fn a_component_cut_anywhere_is_refused_as_cut_off() {
    let counter = fixture("counter");
    for length in [1, 7, 100, counter.len() / 2, counter.len() - 1] {
        assert_eq!(
            refusal(counter.slice(..length), "").await,
            format!("the component is cut off after {length} bytes: fetch or build it again")
        );
    }
}

#[tokio::test]
async fn a_damaged_component_is_refused() {
    let mut bytes = fixture("counter").to_vec();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let message = refusal(bytes.into(), "").await;
    assert!(message.starts_with("not a valid component: "), "{message}");
}

#[tokio::test]
async fn a_guest_that_cannot_describe_itself_is_refused() {
    let hostile = || fixture("hostile");
    assert_eq!(
        refusal(hostile(), r#"{"misdeed":"describe-loop"}"#).await,
        "cannot be described: it exceeded its CPU budget of 1s without waiting"
    );
    assert_eq!(
        refusal(hostile(), r#"{"misdeed":"describe-read"}"#).await,
        "cannot be described: it broke the contract: `describe` called an import other than `module-config`"
    );
    assert_eq!(
        refusal(hostile(), r#"{"misdeed":"describe-name"}"#).await,
        "its manifest is wrong: name: \"Not A Name\" is not a controller name: use at most 63 lower-case \
         letters, digits and dashes, with no dash at either end"
    );
}
