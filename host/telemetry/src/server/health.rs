//! `/healthz`, `/livez` and `/readyz`, in the text that Kubernetes' components answer.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::StatusCode;

use crate::status::{Check, CheckScope};

/// Which endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Healthz,
    Livez,
    Readyz,
}

impl Endpoint {
    /// The endpoint of a path, with the single check that the path may name.
    pub(crate) fn of(path: &str) -> Option<(Self, Option<&str>)> {
        let path = path.strip_prefix('/')?;
        let (name, check) = path.split_once('/').unwrap_or((path, ""));
        let endpoint = match name {
            "healthz" => Self::Healthz,
            "livez" => Self::Livez,
            "readyz" => Self::Readyz,
            _ => return None,
        };
        Some((endpoint, (!check.is_empty()).then_some(check)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }

    fn asks(self, check: &Check) -> bool {
        self == Self::Readyz || check.scope == CheckScope::Live
    }
}

/// What the query of a health request says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes<'a> {
    verbose: bool,
    exclude: Vec<Cow<'a, str>>,
}

impl<'a> Wishes<'a> {
    pub(crate) fn parse(query: &'a str) -> Self {
        let mut wishes = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "verbose" => wishes.verbose = true,
                "exclude" => {
                    let value = percent_encoding::percent_decode_str(value);
                    wishes.exclude.push(value.decode_utf8_lossy());
                }
                _ => {}
            }
        }
        wishes
    }
}

/// The checks that an endpoint asks: that the server answers at all, those of the host,
/// and for readiness that it is not about to stop.
pub(crate) fn checks(endpoint: Endpoint, host: Vec<Check>, stopping: bool) -> Vec<Check> {
    let mut checks = vec![Check {
        name: "ping".to_owned(),
        scope: CheckScope::Live,
        passes: true,
        reason: None,
    }];
    checks.extend(host.into_iter().filter(|check| endpoint.asks(check)));
    if endpoint == Endpoint::Readyz {
        checks.push(Check {
            name: "shutdown".to_owned(),
            scope: CheckScope::Ready,
            passes: !stopping,
            reason: stopping.then(|| "process is shutting down".to_owned()),
        });
    }
    checks
}

/// The answer of an endpoint about all its checks.
pub(crate) fn report(endpoint: Endpoint, checks: &[Check], wishes: &Wishes<'_>) -> (StatusCode, String) {
    let is_excluded = |check: &Check| wishes.exclude.iter().any(|name| *name == check.name);
    let mut text = String::new();
    let mut failed = false;
    for check in checks {
        let name = &check.name;
        // Writing to a string does not fail.
        let _ = if is_excluded(check) {
            writeln!(text, "[+]{name} excluded: ok")
        } else if check.passes {
            writeln!(text, "[+]{name} ok")
        } else {
            failed = true;
            writeln!(text, "[-]{name} failed: reason withheld")
        };
    }
    let unknown = wishes
        .exclude
        .iter()
        .filter(|name| checks.iter().all(|check| check.name != **name));
    let unknown: Vec<String> = unknown.map(|name| format!("{name:?}")).collect();
    if !unknown.is_empty() {
        let names = unknown.join(",");
        let _ = writeln!(
            text,
            "warn: some health checks cannot be excluded: no matches for {names}"
        );
    }
    let name = endpoint.name();
    match (failed, wishes.verbose) {
        (true, _) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{text}{name} check failed\n"),
        ),
        (false, true) => (StatusCode::OK, format!("{text}{name} check passed\n")),
        (false, false) => (StatusCode::OK, "ok".to_owned()),
    }
}

/// The answer about a single check; `None` if there is none of that name.
pub(crate) fn single(checks: &[Check], name: &str) -> Option<(StatusCode, String)> {
    let check = checks.iter().find(|check| check.name == name)?;
    if check.passes {
        return Some((StatusCode::OK, "ok".to_owned()));
    }
    let reason = check.reason.as_deref().unwrap_or("the check does not pass");
    Some((
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("internal server error: {reason}\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<Check> {
        let check = |name: &str, scope, reason: Option<&str>| Check {
            name: name.to_owned(),
            scope,
            passes: reason.is_none(),
            reason: reason.map(str::to_owned),
        };
        vec![
            check("manager", CheckScope::Live, None),
            check("module/scheduler", CheckScope::Ready, Some("caches are filling")),
        ]
    }

    fn ask(path: &str, query: &str) -> (u16, String) {
        let (endpoint, single_check) = Endpoint::of(path).expect("a health path");
        let checks = checks(endpoint, host(), false);
        let (code, text) = match single_check {
            Some(name) => single(&checks, name).expect("a check"),
            None => report(endpoint, &checks, &Wishes::parse(query)),
        };
        (code.as_u16(), text)
    }

    #[test]
    fn what_only_readiness_asks_does_not_make_the_process_restart() {
        assert_eq!(ask("/livez", ""), (200, "ok".to_owned()));
        assert_eq!(
            ask("/healthz", "verbose"),
            (
                200,
                "[+]ping ok\n[+]manager ok\nhealthz check passed\n".to_owned()
            )
        );
    }

    #[test]
    fn a_failure_is_always_verbose_and_withholds_the_reason() {
        let expected = "[+]ping ok\n[+]manager ok\n[-]module/scheduler failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n";
        assert_eq!(ask("/readyz", ""), (500, expected.to_owned()));
    }

    #[test]
    fn checks_can_be_left_out() {
        let expected = "[+]ping ok\n[+]manager ok\n[+]module/scheduler excluded: ok\n[+]shutdown ok\n\
                        warn: some health checks cannot be excluded: no matches for \"nothing\"\nreadyz check passed\n";
        assert_eq!(
            ask("/readyz", "verbose&exclude=module%2Fscheduler&exclude=nothing"),
            (200, expected.to_owned())
        );
    }

    #[test]
    fn a_single_check_says_why() {
        assert_eq!(
            ask("/readyz/module/scheduler", ""),
            (500, "internal server error: caches are filling\n".to_owned())
        );
        assert_eq!(ask("/livez/ping", ""), (200, "ok".to_owned()));
    }
}
