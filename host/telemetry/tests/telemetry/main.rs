//! The crate from outside: over real connections, in a real browser, with a real
//! Prometheus.

mod browser;
mod endpoints;
mod exposition;
mod fake;
mod http;
mod page;
mod prometheus;
mod terminal;
mod traces;
