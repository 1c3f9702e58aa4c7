//! Debian's `docker-registry` as a process on loopback, its storage in a folder, and a
//! client that fills it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Stdio;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use windlass_registry::client::{Client, Options, PushOptions, Pushed};
use windlass_registry::credentials::{Credential, Credentials};
use windlass_registry::reference::Reference;
use windlass_registry::secret::Secret;
use windlass_registry::signing::SigningKey;

/// The only user of a registry that wants to know who is there.
pub const USER: &str = "alice";
/// Her password.
pub const PASSWORD: &str = "wonder";
/// The same, as `htpasswd -B` writes it.
const HTPASSWD: &str = "alice:$2y$05$xIUBgUAWCiesrcbA7arxAuKiUXp9cujzgsP9cW/sVzR3.so7186qe\n";

/// A registry that runs, or is down and can be brought back.
pub struct DockerRegistry {
    /// `host:port`.
    pub host: String,
    folder: TempDir,
    with_password: bool,
    process: Option<Child>,
}

impl DockerRegistry {
    /// Starts a registry for everybody; nothing where none is installed.
    pub async fn start() -> Result<Option<Self>> {
        Self::new(false).await
    }

    /// Starts a registry for [`USER`] alone.
    pub async fn start_with_password() -> Result<Option<Self>> {
        Self::new(true).await
    }

    async fn new(with_password: bool) -> Result<Option<Self>> {
        let mut registry = Self {
            host: "127.0.0.1:0".to_owned(),
            folder: tempfile::tempdir()?,
            with_password,
            process: None,
        };
        Ok(registry.bring_up().await?.then_some(registry))
    }

    /// Starts the process, at the address that it had before. Whether it is installed.
    pub async fn bring_up(&mut self) -> Result<bool> {
        let config = self.folder.path().join("config.yml");
        std::fs::write(&config, self.config())?;
        std::fs::write(self.folder.path().join("htpasswd"), HTPASSWD)?;
        let spawned = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: run `cargo xtask tools docker-registry` first");
                return Ok(false);
            }
            spawned => spawned.context("cannot start docker-registry")?,
        };
        let mut log = BufReader::new(process.stderr.take().context("its log is piped")?).lines();
        self.host = loop {
            let line = log.next_line().await?.context("docker-registry ended")?;
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.split([',', '"']).next().unwrap_or(address).to_owned();
            }
        };
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.process = Some(process);
        Ok(true)
    }

    /// Ends the process.
    pub async fn take_down(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    fn config(&self) -> String {
        let folder = self.folder.path().display();
        let auth = if self.with_password {
            format!("auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n")
        } else {
            String::new()
        };
        format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: \
             {{addr: '{}'}}\n{auth}",
            self.host
        )
    }

    /// A reference to something in it.
    pub fn reference(&self, rest: &str) -> Result<Reference> {
        Ok(format!("{}/{rest}", self.host).parse()?)
    }

    /// Pushes a component, signed if there is a key.
    pub async fn push(&self, rest: &str, component: Vec<u8>, key: Option<&SigningKey>) -> Result<Pushed> {
        let password = Credential::Basic {
            username: USER.to_owned(),
            password: Secret::new(PASSWORD),
        };
        let client = Client::new(Options {
            credentials: Credentials::anonymous().with(&self.host, password),
            insecure_registries: vec![self.host.clone()],
            ..Options::default()
        })?;
        let mut options = PushOptions {
            key,
            ..PushOptions::default()
        };
        options.description.annotations = BTreeMap::new();
        Ok(client
            .push(&self.reference(rest)?, component.into(), &options)
            .await?)
    }
}
