//! `HostConfiguration`: which modules a host runs, and with what.
//!
//! Strict: an unknown key, a value of the wrong shape or a name used twice is an error
//! that says where. Reading a file is the caller's business; this module only parses.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;
use windlass_core::permission::PermissionRule;

/// The `apiVersion` this host reads.
pub const API_VERSION: &str = "windlass.dev/v1alpha1";
/// The `kind` this host reads.
pub const KIND: &str = "HostConfiguration";

/// A host's configuration file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostConfiguration {
    /// Must be [`API_VERSION`].
    pub api_version: String,
    /// Must be [`KIND`].
    pub kind: String,
    /// The modules, each with a name of its own.
    #[serde(default)]
    pub modules: Vec<ModuleEntry>,
}

/// One module: a guest and what it gets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModuleEntry {
    /// Names the module in logs, status and metrics.
    pub name: SmolStr,
    /// Where the component comes from.
    pub source: SourceEntry,
    /// Whether it runs. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Passed to the guest as JSON. Default `{}`.
    #[serde(default = "empty_object")]
    pub config: Value,
    /// What the guest may do. What it declares and is not granted refuses the module.
    #[serde(default)]
    pub permissions: Vec<PermissionRule>,
    /// Grant whatever the guest's manifest declares. Default: true for stock guests, false otherwise.
    pub grant_declared: Option<bool>,
    /// Syncs in flight; default what the manifest says, at most that.
    pub workers: Option<u32>,
    /// Budgets.
    #[serde(default)]
    pub limits: LimitsEntry,
}

/// Where a component comes from; exactly one key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceEntry {
    /// A guest that ships with Windlass: `deployment`, `replicaset`, `scheduler`, `garbage-collector`.
    pub stock: Option<SmolStr>,
    /// A file, relative to the configuration file.
    pub file: Option<String>,
}

/// Budgets of one module; what is not set has the default of the host.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsEntry {
    /// Linear memory, such as `64Mi`.
    pub memory: Option<Bytes>,
    /// Longest computation without waiting, such as `1s`.
    pub cpu_budget: Option<Span>,
    /// Largest result or request body, such as `4Mi`.
    pub result: Option<Bytes>,
    /// How long `start` may take, such as `30s`.
    pub start_timeout: Option<Span>,
    /// API calls per second; 0 is unlimited.
    pub api_qps: Option<u32>,
    /// Burst of API calls.
    pub api_burst: Option<u32>,
    /// Most keys in the queue.
    pub queue_length: Option<usize>,
    /// Log lines per second.
    pub log_lines_per_second: Option<u32>,
}

/// A number of bytes, written as a Kubernetes quantity: `1048576`, `64Mi`, `1G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bytes(pub usize);

/// A duration, written with its unit: `500ms`, `1s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span(pub Duration);

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, an unknown key, or a value of the wrong shape. Carries line and column.
    #[error("{0}")]
    Syntax(String),
    /// Right shape, wrong meaning.
    #[error("{at}: {problem}")]
    Value {
        /// Path within the document.
        at: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl HostConfiguration {
    /// Parses and validates a configuration.
    ///
    /// # Errors
    /// See [`ConfigError`]; the message of a syntax error begins with its line and column.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let configuration: Self =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Syntax(one_line(&error)))?;
        configuration.validate()?;
        Ok(configuration)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.api_version != API_VERSION {
            return Err(value(
                "apiVersion",
                format!(
                    "{:?} is not served by this host; write {API_VERSION}",
                    self.api_version
                ),
            ));
        }
        if self.kind != KIND {
            return Err(value(
                "kind",
                format!("{:?} is not known; write {KIND}", self.kind),
            ));
        }
        let mut names = BTreeSet::new();
        for (position, module) in self.modules.iter().enumerate() {
            let at = format!("modules[{position}]");
            module.validate(&at)?;
            if !names.insert(&module.name) {
                return Err(value(
                    &format!("{at}.name"),
                    format!(
                        "{:?} is used twice; every module needs a name of its own",
                        module.name
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl ModuleEntry {
    /// The entry of a stock guest with all defaults.
    #[must_use]
    pub fn stock(name: &str) -> Self {
        Self {
            name: name.into(),
            source: SourceEntry {
                stock: Some(name.into()),
                file: None,
            },
            enabled: true,
            config: empty_object(),
            permissions: Vec::new(),
            grant_declared: None,
            workers: None,
            limits: LimitsEntry::default(),
        }
    }

    /// Whether it is granted whatever its guest's manifest declares.
    #[must_use]
    pub fn grants_declared(&self) -> bool {
        self.grant_declared.unwrap_or(self.source.stock.is_some())
    }

    fn validate(&self, at: &str) -> Result<(), ConfigError> {
        if !is_dns_label(&self.name) {
            let problem = format!(
                "{:?} is not a DNS label: lower-case letters, digits and dashes, at most 63",
                self.name
            );
            return Err(value(&format!("{at}.name"), problem));
        }
        if self.source.stock.is_some() == self.source.file.is_some() {
            return Err(value(
                &format!("{at}.source"),
                "needs exactly one of `stock` and `file`".to_owned(),
            ));
        }
        if !self.config.is_object() {
            return Err(value(&format!("{at}.config"), "must be a mapping".to_owned()));
        }
        if self.workers == Some(0) {
            return Err(value(
                &format!("{at}.workers"),
                "must be at least 1; use `enabled: false` to stop a module".to_owned(),
            ));
        }
        Ok(())
    }
}

fn value(at: &str, problem: String) -> ConfigError {
    ConfigError::Value {
        at: at.to_owned(),
        problem,
    }
}

fn yes() -> bool {
    true
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The first line, which begins with the place; the drawing of the source that follows
/// does not survive a log line.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.lines()
        .next()
        .unwrap_or("not valid YAML")
        .trim_start_matches("error: ")
        .to_owned()
}

struct Text<T>(fn(&str) -> Option<T>, &'static str);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.0(&number.to_string()).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text(parse_bytes, "a number of bytes such as 64Mi"))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text(
                parse_span,
                "a duration with its unit such as 500ms, 1s or 2m",
            ))
            .map(Self)
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

/// Reads a duration with its unit: `500ms`, `1s`, `2m`, `1h`.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n";

    fn refusal(rest: &str) -> String {
        HostConfiguration::parse(&format!("{HEAD}{rest}"))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_full_entry_is_read() {
        let text = format!(
            "{HEAD}modules:\n- name: mine\n  source: {{file: mine.wasm}}\n  workers: 3\n  config: {{a: 1}}\n  \
             limits: {{memory: 64Mi, cpuBudget: 250ms, apiQps: 20}}\n  \
             permissions: [{{apiGroups: [\"\"], resources: [pods], verbs: [create]}}]\n"
        );
        let configuration = HostConfiguration::parse(&text).expect("valid");
        let module = &configuration.modules[0];
        assert_eq!(module.limits.memory, Some(Bytes(64 << 20)));
        assert_eq!(module.limits.cpu_budget, Some(Span(Duration::from_millis(250))));
        assert_eq!((module.workers, module.enabled), (Some(3), true));
        assert_eq!(module.permissions.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let message = refusal("modules:\n- name: mine\n  source: {stock: deployment}\n  wrokers: 3\n");
        assert!(message.starts_with("line "), "{message}");
        assert!(message.contains("wrokers"), "{message}");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_place_and_the_right_form() {
        let message =
            refusal("modules:\n- name: mine\n  source: {stock: deployment}\n  limits: {cpuBudget: fast}\n");
        assert!(message.starts_with("line 6"), "{message}");
        assert!(
            message.contains("a duration with its unit such as 500ms, 1s or 2m"),
            "{message}"
        );
    }

    #[test]
    fn names_and_sources_are_checked() {
        let two = "modules:\n- {name: a, source: {stock: x}}\n- {name: a, source: {stock: y}}\n";
        assert_eq!(
            refusal(two),
            "modules[1].name: \"a\" is used twice; every module needs a name of its own"
        );
        let both = "modules:\n- {name: a, source: {stock: x, file: y}}\n";
        assert_eq!(
            refusal(both),
            "modules[0].source: needs exactly one of `stock` and `file`"
        );
        let upper = "modules:\n- {name: A, source: {stock: x}}\n";
        assert!(refusal(upper).starts_with("modules[0].name: \"A\" is not a DNS label"));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let message = HostConfiguration::parse("apiVersion: windlass.dev/v9\nkind: HostConfiguration\n")
            .expect_err("refused")
            .to_string();
        assert_eq!(
            message,
            "apiVersion: \"windlass.dev/v9\" is not served by this host; write windlass.dev/v1alpha1"
        );
    }
}
