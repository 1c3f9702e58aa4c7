//! The `windlass` binary as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The binary of the profile that this program was built with.
///
/// # Panics
/// When the program was not built by Cargo.
#[must_use]
pub fn binary() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    // `target/<profile>/deps/<test>` or `target/<profile>/examples/<example>`.
    let profile = program.ancestors().nth(2).expect("built by Cargo");
    profile.join("windlass")
}

/// A folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An address on loopback that nobody listens on, as far as one can know.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// A running child, killed when dropped. What it prints goes to a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `windlass` with these arguments; its output goes to `log`.
    ///
    /// # Errors
    /// When the binary is missing or cannot be started.
    pub fn start(arguments: &[&str], log: &Path) -> Result<Self> {
        Self::start_within(&[], arguments, log)
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// When the binary is missing or cannot be started.
    pub fn start_within(environment: &[(&str, &str)], arguments: &[&str], log: &Path) -> Result<Self> {
        let output =
            std::fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(binary())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}; build it first", binary().display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and wait.
    pub fn kill(&mut self) {
        // The child may have ended already: both calls then have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, such as `INT` or `STOP`.
    ///
    /// # Errors
    /// When `kill` cannot be run or refuses.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()?;
        if !status.success() {
            bail!("kill -{name} {} failed", self.id());
        }
        Ok(())
    }

    /// Waits for it to end by itself and returns its exit code.
    ///
    /// # Errors
    /// When it is still running after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("still running after {limit:?}; it printed:\n{}", self.output())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
