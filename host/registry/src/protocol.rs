//! The part of the OCI distribution protocol that guests need: manifests, blobs and
//! referrers (`opencontainers/distribution-spec`).
//!
//! Promises: content that is asked for by digest has that digest.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method};

use crate::digest::Digest;
use crate::http::escape;
use crate::manifest::{Descriptor, INDEX_TYPE, Index, MANIFEST_TYPE};
use crate::remote::{Call, Errand, Remote, RemoteError};

/// The longest manifest taken: the least that the specification asks registries to take.
pub(crate) const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                              application/vnd.docker.distribution.manifest.v2+json, \
                              application/vnd.docker.distribution.manifest.list.v2+json";
/// The type of a configuration without content.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const CONTENT_DIGEST: &str = "docker-content-digest";
/// Answers to writes are short.
const MAX_RECEIPT: u64 = 64 * 1024;

/// The digest that a tag points to now.
pub(crate) async fn resolve(remote: &Remote, errand: Errand<'_>, tag: &str) -> Result<Digest, RemoteError> {
    let call = Call {
        method: Method::HEAD,
        ..manifest_call(errand, tag)
    };
    let answer = remote.send(errand, &call).await?;
    match content_digest(&answer.headers) {
        Some(digest) => Ok(digest),
        // The specification does not oblige registries to send the header.
        None => {
            let answer = remote.send(errand, &manifest_call(errand, tag)).await?;
            Ok(Digest::of(&answer.body))
        }
    }
}

/// A manifest by digest.
pub(crate) async fn manifest(
    remote: &Remote,
    errand: Errand<'_>,
    digest: Digest,
) -> Result<Bytes, RemoteError> {
    let answer = remote
        .send(errand, &manifest_call(errand, &digest.to_string()))
        .await?;
    verified(errand, digest, answer.body)
}

/// The manifest that a tag points to, if there is one.
pub(crate) async fn tagged_manifest(
    remote: &Remote,
    errand: Errand<'_>,
    tag: &str,
) -> Result<Option<Bytes>, RemoteError> {
    match remote.send(errand, &manifest_call(errand, tag)).await {
        Ok(answer) => Ok(Some(answer.body)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A blob, whose size the caller has found acceptable.
pub(crate) async fn blob(
    remote: &Remote,
    errand: Errand<'_>,
    digest: Digest,
    size: u64,
) -> Result<Bytes, RemoteError> {
    let call = Call {
        method: Method::GET,
        target: path(errand, &format!("blobs/{digest}")),
        accept: "",
        content_type: "",
        body: Bytes::new(),
        limit: size,
    };
    let answer = remote.send(errand, &call).await?;
    verified(errand, digest, answer.body)
}

/// What refers to a manifest and is, or may be, of an artifact type.
pub(crate) async fn referrers(
    remote: &Remote,
    errand: Errand<'_>,
    digest: Digest,
    artifact_type: &str,
) -> Result<Vec<Descriptor>, RemoteError> {
    let query = format!("referrers/{digest}?artifactType={}", escape(artifact_type));
    let call = Call {
        target: path(errand, &query),
        accept: INDEX_TYPE,
        ..manifest_call(errand, "")
    };
    let index = match remote.send(errand, &call).await {
        Ok(answer) if is_index(&answer.headers) => Some(answer.body),
        // Registries without the endpoint hold the list under a tag instead. Whatever is not
        // a list says that there is no endpoint, as in
        // `google/go-containerregistry/pkg/v1/remote/referrers.go`.
        Ok(_) | Err(RemoteError::NotFound { .. } | RemoteError::Refused { .. }) => {
            tagged_manifest(remote, errand, &format!("sha256-{}", digest.hex())).await?
        }
        Err(error) => return Err(error),
    };
    let Some(index) = index else {
        return Ok(Vec::new());
    };
    let index: Index = serde_json::from_slice(&index).map_err(|_| {
        RemoteError::protocol(
            errand.repository,
            "a list of referrers that is not an image index",
        )
    })?;
    Ok(candidates(index.manifests, artifact_type))
}

/// Those that are of a type, and behind them those that may be: under a tag, cosign 2
/// lists the type of a manifest's configuration in place of the manifest's own.
fn candidates(mut listed: Vec<Descriptor>, artifact_type: &str) -> Vec<Descriptor> {
    let is_of_type = |descriptor: &Descriptor| descriptor.artifact_type.as_deref() == Some(artifact_type);
    listed.retain(|descriptor| {
        is_of_type(descriptor) || matches!(descriptor.artifact_type.as_deref(), None | Some(EMPTY_TYPE))
    });
    listed.sort_by_key(|descriptor| !is_of_type(descriptor));
    listed
}

/// Uploads a blob, unless the registry has it.
pub(crate) async fn push_blob(
    remote: &Remote,
    errand: Errand<'_>,
    content: &Bytes,
) -> Result<Digest, RemoteError> {
    let digest = Digest::of(content);
    let head = Call {
        method: Method::HEAD,
        target: path(errand, &format!("blobs/{digest}")),
        accept: "",
        ..manifest_call(errand, "")
    };
    match remote.send(errand, &head).await {
        Ok(_) => return Ok(digest),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    // A session that broke is not taken up again: both requests are repeated together.
    remote
        .retrying(errand, || upload(remote, errand, digest, content))
        .await?;
    Ok(digest)
}

async fn upload(
    remote: &Remote,
    errand: Errand<'_>,
    digest: Digest,
    content: &Bytes,
) -> Result<(), RemoteError> {
    let begin = write_call(Method::POST, path(errand, "blobs/uploads/"), "", Bytes::new());
    let session = remote.send_once(errand, &begin).await?;
    let location = session
        .headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .ok_or_else(|| RemoteError::protocol(errand.repository, "an upload session without a location"))?;
    let separator = if location.contains('?') { '&' } else { '?' };
    let target = format!("{location}{separator}digest={digest}");
    let finish = write_call(Method::PUT, target, "application/octet-stream", content.clone());
    remote.send_once(errand, &finish).await.map(|_| ())
}

/// Puts a manifest under a tag or its digest.
pub(crate) async fn push_manifest(
    remote: &Remote,
    errand: Errand<'_>,
    name: &str,
    content: Bytes,
) -> Result<Digest, RemoteError> {
    let digest = Digest::of(&content);
    let target = path(errand, &format!("manifests/{name}"));
    let answer = remote
        .send(errand, &write_call(Method::PUT, target, MANIFEST_TYPE, content))
        .await?;
    match content_digest(&answer.headers) {
        Some(actual) if actual != digest => Err(wrong_digest(errand, digest, actual)),
        _ => Ok(digest),
    }
}

fn manifest_call(errand: Errand<'_>, name: &str) -> Call {
    Call {
        method: Method::GET,
        target: path(errand, &format!("manifests/{name}")),
        accept: MANIFEST_TYPES,
        content_type: "",
        body: Bytes::new(),
        limit: MAX_MANIFEST,
    }
}

fn write_call(method: Method, target: String, content_type: &'static str, body: Bytes) -> Call {
    Call {
        method,
        target,
        accept: "",
        content_type,
        body,
        limit: MAX_RECEIPT,
    }
}

fn path(errand: Errand<'_>, rest: &str) -> String {
    format!("/v2/{}/{rest}", errand.repository.path())
}

fn is_index(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|value| {
        value
            .split(';')
            .next()
            .is_some_and(|value| value.trim() == INDEX_TYPE)
    })
}

fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

fn verified(errand: Errand<'_>, expected: Digest, content: Bytes) -> Result<Bytes, RemoteError> {
    let actual = Digest::of(&content);
    if actual == expected {
        return Ok(content);
    }
    Err(wrong_digest(errand, expected, actual))
}

fn wrong_digest(errand: Errand<'_>, expected: Digest, actual: Digest) -> RemoteError {
    RemoteError::WrongDigest {
        registry: errand.repository.registry().to_owned(),
        expected,
        actual,
    }
}
