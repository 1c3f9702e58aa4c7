//! What a host does besides running modules: registries, telemetry, logs, its own API budget.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_telemetry::otlp::{self, OtlpConfig};

use super::checks::{Checked, ensure, refuse};
use super::source::SecretReference;
use super::units::{Bytes, Span};

/// How much is logged, the least first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How registries are talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Registry")]
pub struct RegistryEntry {
    /// Registries, as `host` or `host:port`, that are spoken to without TLS.
    pub insecure_hosts: Vec<String>,
    /// Docker's `config.json` with credentials, relative to the configuration's folder;
    /// null: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, if there is one.
    pub docker_config: Option<String>,
    /// Secrets of type `kubernetes.io/dockerconfigjson`, asked before the file.
    pub pull_secrets: Vec<SecretReference>,
}

/// Where traces and metrics are sent, by OTLP over HTTP in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Otlp")]
pub struct OtlpEntry {
    /// The collector, such as `http://otel-collector:4318`; `/v1/traces` and `/v1/metrics`
    /// are added. Plain HTTP: for one that wants TLS, name an agent nearby.
    pub endpoint: String,
    /// Headers of each request, such as a tenant's name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The share of syncs that are traced, from 0 to 1, each with its API calls.
    #[serde(default = "otlp_sample_ratio")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample_ratio: f64,
    /// How often metrics are sent; null: never, for collectors that take traces alone.
    #[serde(default = "otlp_interval")]
    pub interval: Option<Span>,
    /// How long one request may take.
    #[serde(default = "otlp_timeout")]
    pub timeout: Span,
    /// Attributes of this host, in place of and besides `service.name`, `service.version`
    /// and `service.instance.id`.
    #[serde(default)]
    pub resource_attributes: BTreeMap<String, String>,
}

/// What goes to standard error. The flags `--log` and `--log-format` come before it. A
/// change of the level counts at once, one of the format after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Log")]
pub struct LogEntry {
    /// A level, or a filter such as `info,windlass_cluster=debug`.
    pub level: String,
    /// For people or for programs.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much the host as a whole asks of the API server: the calls of all modules and their
/// events, not watches and Leases. Modules whose calls wait are served in turn, so that one
/// with many does not hold up the others. A change counts at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "ApiServer")]
pub struct ApiServerEntry {
    /// Calls per second over all modules; 0 is unlimited.
    pub qps: u32,
    /// Calls at once after a pause; at least 1 when `qps` is set.
    pub burst: u32,
}

/// How much the shared caches of API objects may hold, all modules' together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Caches")]
pub struct CachesEntry {
    /// Bytes of all cached objects, names and indexes not counted; null is unlimited. Each
    /// cache is charged in equal parts to the modules that watch its resource. Past the
    /// limit lists wait, and the module with the largest share stops until something about
    /// it or this limit changes: of those that still wait for a list if there are any, or
    /// else of all.
    pub limit: Option<Bytes>,
}

impl Default for LogEntry {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

fn otlp_sample_ratio() -> f64 {
    1.0
}

fn otlp_interval() -> Option<Span> {
    Some(Span::seconds(15))
}

fn otlp_timeout() -> Span {
    Span::seconds(10)
}

impl RegistryEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        for (position, host) in self.insecure_hosts.iter().enumerate() {
            ensure(
                !host.is_empty() && !host.contains(['/', '@', ' ']),
                || format!("{at}.insecureHosts[{position}]"),
                || format!("{host:?} is not `host` or `host:port`"),
            )?;
        }
        for (position, secret) in self.pull_secrets.iter().enumerate() {
            secret.validate(&format!("{at}.pullSecrets[{position}]"))?;
        }
        Ok(())
    }
}

impl OtlpEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        otlp::check_endpoint(&self.endpoint).map_err(|error| {
            let problem = format!("{error}; write one such as http://otel-collector:4318");
            refuse(format!("{at}.endpoint"), problem)
        })?;
        for (name, value) in &self.headers {
            otlp::check_header(name, value)
                .map_err(|error| refuse(format!("{at}.headers.{name}"), error.to_string()))?;
        }
        ensure(
            (0.0..=1.0).contains(&self.sample_ratio),
            || format!("{at}.sampleRatio"),
            || format!("{} is not a share; write a number from 0 to 1", self.sample_ratio),
        )?;
        let times = [("interval", self.interval), ("timeout", Some(self.timeout))];
        for (key, time) in times {
            ensure(
                time.is_none_or(|time| time > Span::seconds(0)),
                || format!("{at}.{key}"),
                || "must be longer than 0s".to_owned(),
            )?;
        }
        Ok(())
    }

    /// What the exporter of a process is told.
    #[must_use]
    pub fn resolve(&self, identity: &str, version: &str) -> OtlpConfig {
        let headers = self.headers.iter();
        let mut config = OtlpConfig {
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            metrics_interval: self.interval.map(|interval| interval.0),
            timeout: self.timeout.0,
            sample_ratio: self.sample_ratio,
            ..OtlpConfig::new(&self.endpoint, identity, version)
        };
        for (key, value) in &self.resource_attributes {
            config.set_resource(key, value);
        }
        config
    }
}

impl LogEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        check_log_filter(&self.level).map_err(|problem| refuse(format!("{at}.level"), problem))
    }
}

/// Holds a text against the grammar of log filters: levels, and `target=level`, with commas.
///
/// # Errors
/// Says what is wrong with it and what to write instead.
pub fn check_log_filter(text: &str) -> Result<(), String> {
    text.split(',').try_for_each(|part| {
        let (target, level) = part.rsplit_once('=').unwrap_or(("all", part));
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
        let is_target = !target.is_empty()
            && target
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_:-".contains(letter));
        if is_level && is_target {
            return Ok(());
        }
        let known = LEVELS.join(", ");
        Err(format!(
            "{part:?} is not a log filter; write a level ({known}), or pairs such as info,windlass_cluster=debug"
        ))
    })
}

impl CachesEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        ensure(
            self.limit != Some(Bytes(0)),
            || format!("{at}.limit"),
            || "0 would stop every module; write null for no limit".to_owned(),
        )
    }
}

impl ApiServerEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        ensure(
            self.qps == 0 || self.burst > 0,
            || format!("{at}.burst"),
            || "0 would let no call through; write at least 1".to_owned(),
        )
    }
}
