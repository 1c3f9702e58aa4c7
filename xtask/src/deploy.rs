//! `xtask deploy`: what the chart and the manifests under `deploy` repeat, because Helm
//! and kustomize read no files outside of their folders.
//!
//! Roles come from `windlass rbac`, the schema of the configuration from `windlass config
//! schema`; rules, dashboard and definition are copies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::platform::STOCK_GUESTS;

const CHART: &str = "deploy/helm/windlass";
const OVERLAYS: [&str; 2] = ["stock", "guests"];

/// Copies of the chart and what they are copies of.
const COPIES: [(&str, &str); 3] = [
    ("files/rules.yaml", "deploy/prometheus/rules.yaml"),
    ("files/dashboard.json", "deploy/grafana/windlass.json"),
    (
        "files/controllermodules.yaml",
        "deploy/crds/controllermodules.yaml",
    ),
];

/// Keys of a configuration that are not the chart's user's.
const KEYS_OF_THE_CHART: [&str; 4] = ["apiVersion", "kind", "statusAddress", "cacheDir"];

/// Generated files by their path from the root.
type Generated = BTreeMap<PathBuf, String>;

/// Writes the files with this `windlass`, or with `--check` says which are out of date.
pub(crate) fn run(root: &Path, windlass: &str, flags: &[String]) -> Result<()> {
    let windlass = root.join(windlass);
    ensure!(
        windlass.exists(),
        "there is no {}: run `make build`, or name a binary",
        windlass.display()
    );
    let generated = generate(root, &windlass)?;
    match flags {
        [] => write(root, &generated),
        [flag] if flag == "--check" => check(root, &generated),
        _ => bail!("`xtask deploy` knows no flag but `--check`"),
    }
}

fn generate(root: &Path, windlass: &Path) -> Result<Generated> {
    let chart = Path::new(CHART);
    let mut generated = Generated::new();
    for (copy, source) in COPIES {
        generated.insert(chart.join(copy), read(&root.join(source))?);
    }
    for guest in STOCK_GUESTS {
        let rest = format!("modules:\n- {{name: {guest}, source: {{stock: {guest}}}}}\n");
        let file = chart.join(format!("files/rbac/{guest}.yaml"));
        generated.insert(file, rules_of(root, windlass, &rest)?);
    }
    let following = rules_of(
        root,
        windlass,
        "modules: []\ncontrollerModules: {enabled: true}\n",
    )?;
    generated.insert(chart.join("files/rbac/controller-modules.yaml"), following);
    for overlay in OVERLAYS {
        let folder = Path::new("deploy/kustomize/overlays").join(overlay);
        let configuration = root.join(&folder).join("host.yaml");
        generated.insert(folder.join("rbac.yaml"), rbac(windlass, &configuration)?);
    }
    let rules = read(&root.join("deploy/prometheus/rules.yaml"))?;
    generated.insert(
        "deploy/kustomize/components/monitoring/prometheusrule.yaml".into(),
        prometheus_rule(&rules),
    );
    let schema = chart.join("values.schema.json");
    generated.insert(schema.clone(), values_schema(&root.join(schema), windlass)?);
    Ok(generated)
}

/// The roles for one part of a configuration, without what the host itself needs.
fn rules_of(root: &Path, windlass: &Path, rest: &str) -> Result<String> {
    let file = root.join("target/deploy.yaml");
    fs::create_dir_all(root.join("target"))?;
    let head =
        "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\nleaderElection: {enabled: false}\n";
    fs::write(&file, format!("{head}{rest}")).with_context(|| format!("writing {}", file.display()))?;
    rbac(windlass, &file)
}

fn rbac(windlass: &Path, configuration: &Path) -> Result<String> {
    let configuration = configuration.to_str().context("the path is not UTF-8")?;
    let account = "windlass-system:windlass";
    output(
        windlass,
        &["rbac", "--config", configuration, "--service-account", account],
    )
}

fn output(windlass: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(windlass)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", windlass.display()))?;
    ensure!(
        output.status.success(),
        "`windlass {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The rules as an object of the Prometheus operator.
fn prometheus_rule(rules: &str) -> String {
    let mut object = String::from(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: windlass\nspec:\n",
    );
    for line in rules.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        object.push_str(&format!("{indent}{line}\n"));
    }
    object
}

/// The schema of values with that of the configuration in it as it is now.
fn values_schema(file: &Path, windlass: &Path) -> Result<String> {
    let mut schema: Value = serde_json::from_str(&read(file)?)?;
    let mut host: Value = serde_json::from_str(&output(windlass, &["config", "schema"])?)?;
    schema["$defs"] = host["$defs"].take();
    let mut configuration = Map::new();
    for key in ["type", "description", "additionalProperties", "properties"] {
        configuration.insert(key.to_owned(), host[key].take());
    }
    let properties = configuration["properties"].as_object_mut();
    let properties = properties.context("the configuration has properties")?;
    for key in KEYS_OF_THE_CHART {
        ensure!(properties.remove(key).is_some(), "the configuration has no {key}");
    }
    schema["properties"]["configuration"] = configuration.into();
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn write(root: &Path, generated: &Generated) -> Result<()> {
    for (path, content) in generated {
        let path = root.join(path);
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn check(root: &Path, generated: &Generated) -> Result<()> {
    let differ = |(path, content): (&PathBuf, &String)| {
        let committed = fs::read_to_string(root.join(path)).unwrap_or_default();
        (committed != *content).then(|| path.display().to_string())
    };
    let outdated: Vec<String> = generated.iter().filter_map(differ).collect();
    ensure!(
        outdated.is_empty(),
        "out of date; run `cargo xtask deploy`: {}",
        outdated.join(", ")
    );
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
