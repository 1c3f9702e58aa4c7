//! `/metrics`: the status of the host as Prometheus reads it.
//!
//! Names, types, labels and buckets of `workqueue_*`, `rest_client_*`,
//! `leader_election_*` and `kubernetes_healthcheck` are those of Kubernetes' components,
//! `controller_runtime_*` those of controller-runtime, so that dashboards for them work;
//! all of a module carry a `module` label besides. What upstream has no word for is
//! `windlass_*`. The text of HELP lines is our own.
//!
//! Deliberately not here: counting. Everything is read from one [`HostStatus`].

mod custom;
pub(crate) mod exposition;
mod host;
mod module;
mod process;

pub use exposition::Format;

use crate::status::HostStatus;
use exposition::Exposition;

/// All metrics of a host, as text.
#[must_use]
pub fn render(status: &HostStatus, format: Format) -> String {
    gather(status).render(format)
}

/// All metrics of a host.
pub(crate) fn gather(status: &HostStatus) -> Exposition {
    let mut exposition = Exposition::default();
    host::add(&mut exposition, status);
    process::add(&mut exposition, status);
    let api_server = host_of(&status.api_server);
    for module in &status.modules {
        module::add(&mut exposition, module, api_server);
    }
    // After all of the host's own, whose names nobody may take.
    for module in &status.modules {
        custom::add(&mut exposition, module);
    }
    exposition
}

/// `host:port` of a URL, which is what client-go calls the host.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_without_scheme_and_path() {
        assert_eq!(host_of("https://10.0.0.1:6443/prefix"), "10.0.0.1:6443");
        assert_eq!(host_of("[::1]:6443"), "[::1]:6443");
    }
}
