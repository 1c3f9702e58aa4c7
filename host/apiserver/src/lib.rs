//! apiserver
pub mod types;
