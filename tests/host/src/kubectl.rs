//! The current kubectl as a child process, against one cluster.
//!
//! Each has a home folder of its own, so that neither the user's preferences nor another
//! cluster's discovery cache decide what it does. No call outlasts [`wait::LIMIT`].

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::wait;

/// The program that `cargo xtask kubectl` leaves behind.
#[must_use]
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kubectl")
}

/// A kubectl with a cluster to talk to.
#[derive(Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a call printed.
#[derive(Clone, Debug)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Kubectl {
    /// A cluster and a kubectl for it. Nothing where kubectl could not be built, which is said.
    ///
    /// # Errors
    /// When the cluster does not come up.
    pub async fn up(arguments: &[&str]) -> Result<Option<(Cluster, Self)>> {
        if !program().exists() {
            println!("skipped: there is no target/kubectl; install Go and run `cargo xtask kubectl`");
            return Ok(None);
        }
        let cluster = Cluster::up(arguments).await?;
        let kubectl = Self {
            kubeconfig: cluster.kubeconfig(),
            home: cluster.folder.path().join("home"),
        };
        Ok(Some((cluster, kubectl)))
    }

    /// Runs a command line, whose arguments hold no spaces, to its successful end.
    ///
    /// # Errors
    /// When it fails or does not end; the error shows what it printed.
    pub async fn run(&self, line: &str) -> Result<Output> {
        let (succeeded, output) = self.end_of(line).await?;
        if !succeeded {
            bail!(
                "`kubectl {line}` failed\nstdout: {}\nstderr: {}",
                output.stdout,
                output.stderr
            );
        }
        Ok(output)
    }

    /// Runs a command line and returns what it printed to standard output.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn stdout(&self, line: &str) -> Result<String> {
        Ok(self.run(line).await?.stdout)
    }

    /// Runs a command line that must be refused and returns what it complained.
    ///
    /// # Errors
    /// When it succeeds or does not end.
    pub async fn refused(&self, line: &str) -> Result<String> {
        let (succeeded, output) = self.end_of(line).await?;
        if succeeded {
            bail!(
                "`kubectl {line}` was not refused\nstdout: {}\nstderr: {}",
                output.stdout,
                output.stderr
            );
        }
        Ok(output.stderr)
    }

    /// Starts a command that goes on printing, such as `get pods --watch`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn follow(&self, line: &str) -> Result<Follow> {
        let mut child = self
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        Ok(Follow {
            child,
            lines: BufReader::new(stdout).lines(),
            line: line.to_owned(),
        })
    }

    async fn end_of(&self, line: &str) -> Result<(bool, Output)> {
        let ended = timeout(wait::LIMIT, self.command(line).output()).await;
        let ended = ended.with_context(|| format!("`kubectl {line}` did not end"))?;
        let ended = ended.with_context(|| format!("cannot run `kubectl {line}`"))?;
        let output = Output {
            stdout: String::from_utf8(ended.stdout)?,
            stderr: String::from_utf8(ended.stderr)?,
        };
        Ok((ended.status.success(), output))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program());
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.home.join("cache"));
        command
            .args(line.split_whitespace())
            .env("HOME", &self.home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// A command that goes on printing. Killed when dropped.
#[derive(Debug)]
pub struct Follow {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    line: String,
}

impl Follow {
    /// Reads on to the next line that `holds`.
    ///
    /// # Errors
    /// When it ends or nothing such comes in time; the error shows what came instead.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> Result<String> {
        let mut seen = Vec::new();
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                if holds(&line) {
                    return Ok(Some(line));
                }
                seen.push(line);
            }
            anyhow::Ok(None)
        };
        match timeout(wait::LIMIT, reading).await {
            Ok(Ok(Some(line))) => Ok(line),
            end => bail!(
                "`kubectl {}`: no line with {what} ({end:?}); it printed\n{}",
                self.line,
                seen.join("\n")
            ),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it had ended before.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("`kubectl {}` ended by itself: {status}", self.line);
        }
        Ok(self.child.kill().await?)
    }
}
