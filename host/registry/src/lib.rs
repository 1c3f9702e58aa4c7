//! Guests in OCI registries: pulling, pushing, keeping, and checking who signed them.
//!
//! A guest is a Wasm artifact, as `wkg` and other tools of the Bytecode Alliance read and
//! write it; its signatures are cosign's. [`client::Client`] is the way in: it resolves a
//! [`reference::Reference`] to a digest, pulls the component by digest, through a
//! [`cache::Cache`] that serves offline, and holds it to a [`policy::Policy`].
//!
//! Promises: nothing unverified is returned; no credential appears in an error or a log
//! line; a registry that is slow, overloaded, broken or hostile costs time and memory
//! within the limits given, and an error. Deliberately not here: running or compiling
//! guests, and reading files or the environment. The caller hands in configuration bytes
//! and a folder.

pub mod cache;
mod challenge;
pub mod client;
pub mod credentials;
mod crypto;
pub mod digest;
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod manifest;
pub mod policy;
mod protocol;
pub mod reference;
pub mod remote;
pub mod retry;
pub mod secret;
pub mod signature;
pub mod signing;

pub use crate::http::TlsError;
