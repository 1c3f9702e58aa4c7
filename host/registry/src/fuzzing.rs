//! Ways for fuzzers to what takes answers from a registry. Not for anybody else.

use crate::challenge;
use crate::digest::Digest;
use crate::manifest::{ArtifactError, Manifest};

/// The component that a manifest names, if it is an artifact with one of at most so many bytes.
///
/// # Errors
/// Why it is not.
pub fn component(manifest: &[u8], limit: u64) -> Result<(Digest, u64), ArtifactError> {
    let manifest = Manifest::parse(manifest)?;
    let layer = manifest.wasm_layer(limit)?;
    Ok((layer.digest, layer.size))
}

/// Whether a registry asks for anything that can be given.
#[must_use]
pub fn is_challenge(headers: &[&str]) -> bool {
    challenge::choose(headers.iter().copied()).is_some()
}
