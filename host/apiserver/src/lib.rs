//! A Kubernetes-compatible API server that lives in the process that uses it.
//!
//! [`start`] runs one on loopback and hands back a [`ServerHandle`]; clients find it
//! through the kubeconfig it writes. Objects live in memory.
//!
//! A request travels through `chain`, is resolved against the `registry`, and ends in one
//! handler per verb (`create`, `list`, `watch`, `update`, `patch`, `delete`), all of which
//! work on the revisioned `store`. What is peculiar to a type is either in [`types`] (pure)
//! or in the module named after it.
//!
//! Deliberately absent: authorisation (whoever holds the token may do everything),
//! server-side apply and managed fields, rules of custom resources in CEL, webhooks, answers in protobuf.

pub mod types;

mod addresses;
mod admission;
mod api;
mod authentication;
mod body;
mod bootstrap;
mod builtin;
mod chain;
mod cleanup;
mod create;
mod custom;
mod custom_definitions;
mod decode;
mod delete;
mod delete_options;
mod discovery;
mod events;
mod eviction;
mod expiry;
mod faults;
mod fields;
mod health;
mod history;
mod json_path;
mod kubeconfig;
mod list;
mod meta;
mod namespaces;
mod object;
mod openapi;
mod patch;
mod pods;
mod protobuf;
mod query;
mod registry;
mod request;
mod resource;
mod respond;
mod reviews;
mod scale;
mod schema;
mod server;
mod status;
mod store;
mod subscription;
mod tls;
mod update;
mod watch;
mod watchers;

pub use body::Body;
pub use chain::ConnectionDropped;
pub use faults::{FaultKind, FaultPolicy, FaultRule};
pub use health::KUBERNETES_VERSION;
pub use server::{ApiService, Scheme, ServerConfig, ServerHandle, StartError, start};
pub use tls::TlsError;
