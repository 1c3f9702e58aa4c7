//! How people see the host: its status as one structure, the page and the endpoints
//! that serve it, the metrics and the terminal views made from it, and traces.
//!
//! Owns no state of the host. Whoever runs modules keeps the live instruments
//! ([`sync_recorder`], [`api_calls`]) up to date and implements
//! [`status::StatusSource`]; everything else here is made from what that returns.

pub mod api_calls;
pub mod client;
pub mod histogram;
mod http_client;
pub mod metrics;
pub mod otlp;
pub mod samples;
pub mod server;
pub mod status;
pub mod sync_recorder;
pub mod terminal;
