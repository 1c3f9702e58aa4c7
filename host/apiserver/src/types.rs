//! What the server knows about the built-in types, as pure functions over JSON.
//!
//! Everything here is keyed by API group (`""` for core) and kind, works on
//! `serde_json::Value`, and neither waits nor does I/O. Unknown kinds (custom
//! resources) fall through to the generic rule of each module, and have a schema of their
//! own in [`structural`]. Metadata that
//! the server alone owns (uid, creation time, resource version) is not touched.

pub mod defaults;
pub mod patch;
pub mod quantity;
pub mod scale;
pub mod selectors;
pub mod strategy;
pub mod structural;
pub mod table;
pub mod validation;

mod value;
