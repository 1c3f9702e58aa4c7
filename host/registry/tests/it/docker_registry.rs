//! Debian's `docker-registry` as a process on loopback, its storage in a folder.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use windlass_registry::digest::Digest;

/// `alice` with the password `wonder`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "alice:$2y$05$xIUBgUAWCiesrcbA7arxAuKiUXp9cujzgsP9cW/sVzR3.so7186qe\n";

/// Who may use a registry.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Access {
    Everybody,
    Alice,
}

/// A registry that runs, or is down and can be brought back.
pub(crate) struct DockerRegistry {
    folder: TempDir,
    access: Access,
    process: Option<Child>,
    pub(crate) host: String,
}

impl DockerRegistry {
    /// Starts a registry, if there is one to start.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_for(Access::Everybody).await
    }

    pub(crate) async fn start_for(access: Access) -> Option<Self> {
        let mut registry = Self {
            folder: tempfile::tempdir().unwrap(),
            access,
            process: None,
            host: "127.0.0.1:0".to_owned(),
        };
        registry.bring_up().await.then_some(registry)
    }

    /// Starts the process, at the address that it had before. Whether it is installed.
    pub(crate) async fn bring_up(&mut self) -> bool {
        let config = self.folder.path().join("config.yml");
        std::fs::write(&config, self.config()).unwrap();
        std::fs::write(self.folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let spawned = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: run `cargo xtask tools docker-registry` first");
                return false;
            }
            Err(error) => panic!("docker-registry: {error}"),
        };
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        self.host = loop {
            let line = log.next_line().await.unwrap().expect("docker-registry ended");
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.split([',', '"']).next().unwrap().to_owned();
            }
        };
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.process = Some(process);
        true
    }

    pub(crate) async fn take_down(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// The file that holds a blob.
    pub(crate) fn blob_file(&self, digest: Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder
            .path()
            .join("data/docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }

    fn config(&self) -> String {
        let folder = self.folder.path().display();
        let auth = match self.access {
            Access::Everybody => String::new(),
            Access::Alice => format!("auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"),
        };
        format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: \
             {{addr: '{}'}}\n{auth}",
            self.host
        )
    }
}
