//! The crate from outside: over real connections, in a real browser, with a real
//! Prometheus.

mod browser;
mod endpoints;
mod exposition;
mod fake;
mod http;
mod otlp_metrics;
mod page;
mod prometheus;
mod terminal;
mod traces;

/// Whether a program that a test drives is missing; then the test says so and is skipped.
fn is_missing(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: run `cargo xtask tools {program}` first");
    }
    !found
}
