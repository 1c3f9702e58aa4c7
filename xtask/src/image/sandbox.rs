//! Runs the binary in the unpacked image as a cluster would: as user 65532 without
//! capabilities, on a root file system that only reads, with a folder to write to.
//!
//! User namespaces do it, so it takes no root. Nothing else of a container is there, not
//! even /proc: what works so works in any runtime.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::stdout;

/// How long the host may take until it is ready; it compiles the stock guests meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);

/// Makes the root read-only but for `/tmp`, then becomes the image's user in it.
const ENTER: &str = r#"
mount --bind "$0" "$0"
mount -t tmpfs -o mode=1777 none "$0/tmp"
mount -o remount,bind,ro "$0"
exec unshare --user --map-user=65532 --map-group=65532 --root="$0" "$@"
"#;

/// That it says its version, and that an embedded cluster becomes ready and stops.
pub(super) fn check(root: &Path, version: &str) -> Result<()> {
    std::fs::create_dir_all(root.join("tmp"))?;
    let said = stdout(&mut inside(root, &["--version"]))?;
    ensure!(
        said == format!("windlass {version}"),
        "the binary calls itself {said}"
    );
    let status = free_address()?;
    let mut host = inside(
        root,
        &[
            "up",
            "--log",
            "warn",
            "--listen",
            "127.0.0.1:0",
            "--kubeconfig",
            "/tmp/kubeconfig",
            "--cache-dir",
            "/tmp/cache",
            "--status-address",
            &status.to_string(),
        ],
    )
    .stdout(Stdio::null())
    .spawn()
    .context("cannot start the host")?;
    let ready = wait_until_ready(&mut host, status);
    let stopped = stop(host);
    ready?;
    stopped
}

fn inside(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-e", "-c", ENTER]);
    command
        .arg(root)
        .arg("/usr/local/bin/windlass")
        .args(arguments)
        .env_clear();
    command
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null());
    command
}

/// One that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn wait_until_ready(host: &mut Child, status: SocketAddr) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(ended) = host.try_wait()? {
            bail!("the host ended: {ended}");
        }
        if is_ready(status).unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the host is not ready after {PATIENCE:?}")
}

fn is_ready(status: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(status)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// In the orderly way, which the binary must know without help.
fn stop(mut host: Child) -> Result<()> {
    stdout(Command::new("kill").arg(host.id().to_string()))?;
    let ended = host.wait()?;
    ensure!(ended.success(), "the host did not stop well: {ended}");
    Ok(())
}
