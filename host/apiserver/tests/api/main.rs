//! The server's behaviour over real loopback connections, a module per subject.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod client;
mod custom_resources;
mod custom_schemas;
mod deletion;
mod discovery;
mod lists;
mod namespaces;
mod patches;
mod pods;
mod running;
mod watches;
mod writes;
