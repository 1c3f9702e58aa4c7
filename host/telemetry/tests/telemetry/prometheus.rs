//! The shipped rules and dashboard: they name only metrics that exist, and a real
//! Prometheus scrapes the server and evaluates the rules.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use windlass_telemetry::metrics::{Format, render};
use windlass_telemetry::status::StatusSource;

use crate::fake::FakeHost;
use crate::http::{get, serve};
use crate::is_missing;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    expr: String,
}

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(path)
}

fn rules() -> anyhow::Result<Vec<Rule>> {
    let text = std::fs::read_to_string(shipped("prometheus/rules.yaml"))?;
    let rules: Rules = serde_saphyr::from_str(&text)?;
    Ok(rules.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// The names of all samples that the server writes.
fn existing() -> BTreeSet<String> {
    let host = FakeHost::default();
    host.status();
    let text = render(&host.status(), Format::Prometheus);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

/// The metrics that an expression names: identifiers that are neither functions, words
/// of the language, nor labels.
fn named(expression: &str) -> BTreeSet<String> {
    const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
    let mut names = BTreeSet::new();
    let mut rest = expression;
    let skip = |rest: &str, close: char| rest.find(close).map_or(rest.len(), |at| at + 1);
    while let Some(first) = rest.chars().next() {
        match first {
            '{' => rest = &rest[skip(rest, '}')..],
            '[' => rest = &rest[skip(rest, ']')..],
            '"' => rest = &rest[1 + skip(&rest[1..], '"')..],
            // Up to the end of a number, so that the unit of a duration is no name.
            '0'..='9' => rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
                    .unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                let after = after.trim_start();
                rest = after;
                if GROUPING.contains(&name) {
                    rest = &rest[skip(rest, ')')..];
                } else if !WORDS.contains(&name) && !is_called(name, after) {
                    names.insert(name.to_owned());
                }
            }
            other => rest = &rest[other.len_utf8()..],
        }
    }
    names
}

/// Whether it is a function or an aggregation, which may have its grouping first.
fn is_called(name: &str, after: &str) -> bool {
    let aggregates = ["sum", "max", "min", "avg", "count"];
    after.starts_with('(') || (aggregates.contains(&name) && after.starts_with("by"))
}

/// The text of every query of the dashboard.
fn queries(dashboard: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = list(&dashboard["panels"]);
    let targets = panels.iter().flat_map(|panel| list(&panel["targets"]));
    let mut queries: Vec<String> = targets
        .filter_map(|target| target["expr"].as_str().map(str::to_owned))
        .collect();
    for variable in list(&dashboard["templating"]["list"]) {
        let definition = variable["definition"].as_str().unwrap_or_default();
        // label_values(metric{…}, label)
        if let Some(inside) = definition.strip_prefix("label_values(") {
            queries.extend(inside.rsplit_once(',').map(|(metric, _)| metric.to_owned()));
        }
    }
    queries
}

#[test]
fn names_are_found_in_expressions() {
    let expression = r#"histogram_quantile(0.99, sum by (module, le) (rate(a_bucket{code=~"5..|x", b!=""}[5m]))) > 2 and on (instance) b:c offset 5m"#;
    let expected = ["a_bucket", "b:c"].map(str::to_owned);
    assert_eq!(named(expression), BTreeSet::from(expected));
}

#[test]
fn rules_and_dashboard_name_only_what_exists() -> anyhow::Result<()> {
    let rules = rules()?;
    let mut existing = existing();
    existing.extend(rules.iter().filter_map(|rule| rule.record.clone()));
    let dashboard: Value = serde_json::from_slice(&std::fs::read(shipped("grafana/windlass.json"))?)?;
    let mut expressions = queries(&dashboard);
    assert!(expressions.len() > 30, "{} queries", expressions.len());
    expressions.extend(rules.into_iter().map(|rule| rule.expr));
    for expression in expressions {
        let names = named(&expression);
        assert!(!names.is_empty(), "no metric in {expression}");
        for name in names {
            assert!(existing.contains(&name), "{name} does not exist: {expression}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() -> anyhow::Result<()> {
    if is_missing("prometheus") {
        return Ok(());
    }
    let mut check = program("promtool");
    let output = check
        .args(["check", "rules"])
        .arg(shipped("prometheus/rules.yaml"))
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let mut check = program("promtool");
    let mut check = check
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let text = render(&FakeHost::default().status(), Format::Prometheus);
    let mut input = check.stdin.take().context("a pipe")?;
    input.write_all(text.as_bytes()).await?;
    drop(input);
    let output = check.wait_with_output().await?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_alerts_on_leases_fire_when_they_should_and_only_then() -> anyhow::Result<()> {
    if is_missing("prometheus") {
        return Ok(());
    }
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/telemetry/alerts.yaml");
    let mut test = program("promtool");
    let output = test.args(["test", "rules"]).arg(cases).output().await?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_real_prometheus_scrapes_and_evaluates() -> anyhow::Result<()> {
    if is_missing("prometheus") {
        return Ok(());
    }
    let server = serve().await?;
    let folder = tempfile::tempdir()?;
    let (_prometheus, address) = start(folder.path(), server.address()).await?;
    tokio::time::timeout(PATIENCE, async {
        wait_for(address, "/api/v1/targets", |answer| {
            let target = &answer["data"]["activeTargets"][0];
            let error = target["lastError"].as_str().unwrap_or_default();
            assert_eq!(error, "", "the scrape fails");
            target["health"] == "up"
        })
        .await?;
        let rules = wait_for(address, "/api/v1/rules", |answer| {
            let rules = all_rules(answer);
            !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
        })
        .await?;
        for rule in all_rules(&rules) {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
        wait_for(
            address,
            "/api/v1/query?query=windlass_guest_cpu_seconds_total",
            |answer| answer["data"]["result"].as_array().map_or(0, Vec::len) == 4,
        )
        .await?;
        // The fake host has a module in back-off, and the rule sees it.
        wait_for(address, "/api/v1/alerts", |answer| {
            let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
            alerts.iter().any(|alert| {
                alert["labels"]["alertname"] == "WindlassModuleDown"
                    && alert["labels"]["module"] == "checkout-operator"
            })
        })
        .await?;
        anyhow::Ok(())
    })
    .await
    .context("Prometheus did not come that far")??;
    Ok(())
}

fn all_rules(answer: &Value) -> Vec<Value> {
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

/// Asks until the answer is as wanted. Prometheus works by its own clock.
async fn wait_for(address: SocketAddr, path: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    loop {
        let answer = get(address, path).await?;
        if let Ok(answer) = serde_json::from_str::<Value>(&plain(&answer.body)) {
            if wanted(&answer) {
                return Ok(answer);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A body without the lengths between its chunks: the JSON of it begins and ends with
/// braces, and no chunk of these answers ends within.
fn plain(body: &str) -> String {
    if body.starts_with('{') {
        return body.to_owned();
    }
    let mut plain = String::new();
    let mut rest = body;
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        plain.push_str(after.get(..length).unwrap_or_default());
        rest = after.get(length + 2..).unwrap_or_default();
    }
    plain
}

/// Starts Prometheus at a free port, with the shipped rules, scraping `target`.
async fn start(folder: &Path, target: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let rules = shipped("prometheus/rules.yaml").canonicalize()?;
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
         scrape_configs: [{{job_name: windlass, static_configs: [{{targets: [{:?}]}}]}}]\n",
        target.to_string()
    );
    let file = folder.join("prometheus.yaml");
    std::fs::write(&file, config)?;
    let mut child = program("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut log = BufReader::new(child.stderr.take().context("a pipe")?).lines();
    while let Some(line) = log.next_line().await? {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = entry["address"].as_str().and_then(|address| address.parse().ok());
        if let (Some("Listening on"), Some(address)) = (entry["msg"].as_str(), address) {
            // What it says from here on nobody reads, but it must be able to say it.
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
            return Ok((child, address));
        }
    }
    anyhow::bail!("prometheus ended before it listened")
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.kill_on_drop(true);
    command
}
