//! The current Helm as a child process, without a cluster or against one.
//!
//! Each has a home folder of its own, so that the user's settings and repositories count
//! for nothing. Server-side apply is off, which the embedded API server does not have.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::kubectl::Output;
use crate::process::repository;
use crate::wait;

/// The program that `cargo xtask helm` leaves behind.
#[must_use]
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/helm")
}

/// A Helm and the chart of this repository.
#[derive(Debug)]
pub struct Helm {
    kubeconfig: Option<PathBuf>,
    home: TempDir,
}

impl Helm {
    /// A Helm. Nothing where it could not be built, which is said.
    ///
    /// # Errors
    /// When it can have no home.
    pub fn find() -> Result<Option<Self>> {
        if !program().exists() {
            println!("skipped: there is no target/helm; install Go and run `cargo xtask helm`");
            return Ok(None);
        }
        Ok(Some(Self {
            kubeconfig: None,
            home: tempfile::tempdir()?,
        }))
    }

    /// The same with a cluster to talk to.
    #[must_use]
    pub fn with(mut self, cluster: &Cluster) -> Self {
        self.kubeconfig = Some(cluster.kubeconfig());
        self
    }

    /// The chart's folder.
    #[must_use]
    pub fn chart() -> PathBuf {
        repository().join("deploy/helm/windlass")
    }

    /// A file of values, for `--values`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn values(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.home.path().join(format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// What the chart renders for the release `w` in `windlass-system`, with these arguments,
    /// as one stream of YAML.
    ///
    /// # Errors
    /// When Helm refuses the values; the error shows what it says.
    pub async fn template(&self, arguments: &str) -> Result<String> {
        let chart = Self::chart();
        let line = format!(
            "template w {} --namespace windlass-system {arguments}",
            chart.display()
        );
        Ok(self.run(&line).await?.stdout)
    }

    /// Runs a command line, whose arguments hold no spaces, to its successful end.
    ///
    /// # Errors
    /// When it fails or does not end; the error shows what it printed.
    pub async fn run(&self, line: &str) -> Result<Output> {
        let mut command = Command::new(program());
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let ended = timeout(wait::LIMIT, command.output()).await;
        let ended = ended.with_context(|| format!("`helm {line}` did not end"))?;
        let ended = ended.with_context(|| format!("cannot run `helm {line}`"))?;
        let output = Output {
            stdout: String::from_utf8(ended.stdout)?,
            stderr: String::from_utf8(ended.stderr)?,
        };
        ensure!(
            ended.status.success(),
            "`helm {line}` failed\nstdout: {}\nstderr: {}",
            output.stdout,
            output.stderr
        );
        Ok(output)
    }
}

/// The objects of a stream of YAML.
///
/// # Errors
/// When it is none.
pub fn objects(stream: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in stream.split("---\n") {
        let text = document
            .lines()
            .any(|line| !line.is_empty() && !line.starts_with('#'));
        if text {
            let object = serde_saphyr::from_str(document);
            objects.push(object.with_context(|| format!("no YAML: {document}"))?);
        }
    }
    Ok(objects)
}
