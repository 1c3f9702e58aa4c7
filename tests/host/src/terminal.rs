//! A reader of the book at a terminal: a folder, a shell that remembers where it is and
//! what it exported, and commands that go on in other windows.
//!
//! Pages name the addresses that are the defaults. They run on free ones instead, so that
//! nothing else on the machine is in the way.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::book::{Step, missing};
use crate::kubectl;
use crate::process::{binary, free_address, repository};

/// How long a command may take to end; the first build in a language installs its tools.
const COMMAND_LIMIT: Duration = Duration::from_secs(900);
/// How long a reader looks for what has to come about, such as a version that is being built.
const LOOK_LIMIT: Duration = Duration::from_secs(300);
/// How long a host may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(100);

/// Commands of `windlass` that go on until they are interrupted.
const LASTING: [&str; 5] = ["up", "dev", "run", "record", "top"];
/// With one of these they end by themselves.
const ENDING: [&str; 3] = ["--dry-run", "--for", "--help"];
/// Commands that a reader repeats until they show what the page shows.
const LOOKING: [&str; 3] = ["kubectl get ", "windlass status", "curl "];

/// Has `windlass` use addresses that are free unless it is told others.
const WRAPPER: &str = r#"#!/bin/sh
command=$1
with() { case " $* " in *" $flag "*) exec WINDLASS "$@" ;; esac; }
case "$command" in
  up | dev)
    shift
    set -- "$command" --listen API "$@"
    flag=--status-address; with "$@"
    shift
    exec WINDLASS "$command" --status-address STATUS "$@" ;;
  run | record)
    flag=--status-address; with "$@"
    shift
    exec WINDLASS "$command" --status-address STATUS "$@" ;;
  status | top)
    flag=--address; with "$@"
    shift
    exec WINDLASS "$command" --address STATUS "$@" ;;
esac
exec WINDLASS "$@"
"#;

/// A shell and what runs beside it.
#[derive(Debug)]
pub struct Terminal {
    folder: TempDir,
    /// What pages write, and what it is here.
    addresses: Vec<(&'static str, String)>,
    running: Vec<Running>,
}

/// A command in another window. Killed when dropped.
#[derive(Debug)]
struct Running {
    command: String,
    child: Child,
    output: PathBuf,
}

impl Terminal {
    /// A terminal in a new folder. `registry` is where pages find theirs.
    ///
    /// # Errors
    /// When folders or programs cannot be laid out.
    pub fn open(registry: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (api, status) = (free_address()?, free_address()?);
        let bin = folder.path().join("bin");
        for name in ["bin", "page", "state", "docker"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let wrapper = bin.join("windlass");
        let windlass = binary();
        let script = WRAPPER
            .replace("WINDLASS", &windlass.to_string_lossy())
            .replace("API", &api)
            .replace("STATUS", &status);
        fs::write(&wrapper, script)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        if kubectl::program().exists() {
            symlink(kubectl::program().canonicalize()?, bin.join("kubectl"))?;
        }
        let state = folder.path().join("state");
        fs::write(
            state.join("cwd"),
            folder.path().join("page").to_string_lossy().as_bytes(),
        )?;
        fs::write(state.join("env"), "")?;
        let registry = registry.map(|host| ("127.0.0.1:5000", host.to_owned()));
        let second = ("127.0.0.1:10271", free_address()?);
        let addresses = [("127.0.0.1:6443", api), ("127.0.0.1:10270", status), second];
        Ok(Self {
            folder,
            addresses: addresses.into_iter().chain(registry).collect(),
            running: Vec::new(),
        })
    }

    /// Does what a page says.
    ///
    /// # Errors
    /// When a command fails, does not end, or does not print what the page shows.
    pub fn follow(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Write { path, text } => self.write(path, text),
            Step::Read { path, shown } => self.read(path, shown),
            Step::Interrupt => self.interrupt(),
            Step::Run { command, shown } => {
                let command = self.here(command);
                let shown: Vec<_> = shown.iter().map(|line| self.here(line)).collect();
                if goes_on(&command) {
                    self.begin(command, &shown)
                } else {
                    self.run(&command, &shown)
                }
            }
        }
    }

    /// With the addresses of this terminal.
    fn here(&self, text: &str) -> String {
        let replace = |text: String, (theirs, ours): &(&str, String)| text.replace(theirs, ours);
        self.addresses.iter().fold(text.to_owned(), replace)
    }

    fn path(&self, path: &str) -> Result<PathBuf> {
        let folder = fs::read_to_string(self.state().join("cwd"))?;
        Ok(Path::new(folder.trim_end()).join(path))
    }

    fn read(&self, path: &str, shown: &[String]) -> Result<()> {
        let text = fs::read_to_string(self.path(path)?).with_context(|| format!("reading {path}"))?;
        match missing(shown, &text) {
            None => Ok(()),
            Some(line) => bail!("{path} does not have, or not in this place: {line}"),
        }
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, self.here(text)).with_context(|| format!("writing {}", path.display()))
    }

    fn run(&self, command: &str, shown: &[String]) -> Result<()> {
        let deadline = Instant::now() + LOOK_LIMIT;
        loop {
            let (succeeded, printed) = self.to_the_end(command)?;
            let missing = missing(shown, &printed);
            if succeeded && missing.is_none() {
                return Ok(());
            }
            let looks = LOOKING.iter().any(|start| command.starts_with(start));
            if looks && Instant::now() < deadline {
                sleep(PERIOD * 5);
                continue;
            }
            let missing = missing.unwrap_or("success");
            bail!(
                "`{command}` does not show `{missing}`; it printed\n{printed}{}",
                self.windows()
            );
        }
    }

    /// Runs a command; whether it succeeded, and what it printed.
    fn to_the_end(&self, command: &str) -> Result<(bool, String)> {
        let output = self.state().join("output");
        let script = format!(
            "cd \"$(cat \"$STATE/cwd\")\"\n. \"$STATE/env\"\n{command}\nstatus=$?\n\
             pwd > \"$STATE/cwd\"\nexport -p > \"$STATE/env\"\nexit $status\n"
        );
        let mut child = self.shell(&script, &output)?;
        let deadline = Instant::now() + COMMAND_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok((status.success(), fs::read_to_string(&output)?));
            }
            sleep(PERIOD / 5);
        }
        child.kill()?;
        child.wait()?;
        bail!(
            "`{command}` does not end; it printed\n{}",
            fs::read_to_string(&output)?
        )
    }

    /// Starts a command in another window, and waits until it shows what the page shows.
    fn begin(&mut self, command: String, shown: &[String]) -> Result<()> {
        let output = self.state().join(format!("output-{}", self.running.len()));
        let script = format!("cd \"$(cat \"$STATE/cwd\")\"\n. \"$STATE/env\"\nexec {command}\n");
        let child = self.shell(&script, &output)?;
        let mut running = Running {
            command,
            child,
            output,
        };
        let deadline = Instant::now() + COMMAND_LIMIT;
        let result = loop {
            let printed = running.printed();
            let Some(missing) = missing(shown, &printed) else {
                break Ok(());
            };
            let has_ended = running.child.try_wait()?.is_some();
            if has_ended || Instant::now() > deadline {
                break Err(format!("`{}` does not show `{missing}`", running.command));
            }
            sleep(PERIOD);
        };
        self.running.push(running);
        result.or_else(|error| bail!("{error}; {}", self.windows()))
    }

    fn interrupt(&mut self) -> Result<()> {
        let mut running = self.running.pop().context("nothing runs that ^C could end")?;
        if !running.stop()? {
            bail!(
                "`{}` does not end well; it printed\n{}",
                running.command,
                running.printed()
            );
        }
        Ok(())
    }

    /// What the other windows show.
    fn windows(&self) -> String {
        self.running
            .iter()
            .map(|running| format!("\n`{}` shows\n{}", running.command, running.printed()))
            .collect()
    }

    fn shell(&self, script: &str, output: &Path) -> Result<Child> {
        let output = File::create(output)?;
        let folder = self.folder.path();
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .args(["-c", script])
            .env("PATH", format!("{}:{path}", folder.join("bin").display()))
            .env("STATE", self.state())
            .env("XDG_CACHE_HOME", cache()?)
            .env("KUBECACHEDIR", folder.join("state/kubectl"))
            .env("DOCKER_CONFIG", folder.join("docker"))
            // Of the build that runs this test, and none of the reader's.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start a shell")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

impl Running {
    fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Ctrl-C. Whether it ended well, and in time.
    fn stop(&mut self) -> Result<bool> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            sleep(PERIOD);
        }
        Ok(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then neither has anything to do.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.stop();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it is nothing but a command that goes on.
fn goes_on(command: &str) -> bool {
    if command.contains([';', '|', '&', '>']) {
        return false;
    }
    let mut words = command.split_whitespace();
    let is_lasting =
        words.next() == Some("windlass") && words.next().is_some_and(|word| LASTING.contains(&word));
    is_lasting && !words.any(|word| ENDING.contains(&word))
}

/// Compiled guests and toolchains outlive a page; the toolchains are those of other tests.
fn cache() -> Result<PathBuf> {
    let target = repository().canonicalize()?.join("target");
    let folder = target.join("book-cache");
    fs::create_dir_all(folder.join("windlass"))?;
    fs::create_dir_all(target.join("toolchains"))?;
    let link = folder.join("windlass/toolchains");
    if !link.exists() {
        symlink(target.join("toolchains"), link)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, shown: &[&str]) -> Step {
        Step::Run {
            command: command.to_owned(),
            shown: shown.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[test]
    fn the_shell_remembers_where_it_is_and_what_it_exported() {
        let mut terminal = Terminal::open(None).unwrap();
        let write = Step::Write {
            path: "b.txt".to_owned(),
            text: "at 127.0.0.1:10270\n".to_owned(),
        };
        let read = |line: &str| Step::Read {
            path: "b.txt".to_owned(),
            shown: vec![line.to_owned()],
        };
        for step in [
            run("mkdir a && cd a && export WORD=\"it's\"", &[]),
            write,
            run(
                "echo $WORD; ls; cat b.txt",
                &["it's", "b.txt", "at 127.0.0.1:10270"],
            ),
        ] {
            terminal.follow(&step).unwrap();
        }
        terminal.follow(&read("at …")).unwrap();
        let error = terminal.follow(&read("of")).unwrap_err().to_string();
        assert_eq!(error, "b.txt does not have, or not in this place: of");
    }

    #[test]
    fn a_command_that_fails_or_prints_something_else_is_told() {
        let mut terminal = Terminal::open(None).unwrap();
        let error = terminal
            .follow(&run("echo no; false", &[]))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`echo no; false` does not show `success`; it printed\nno\n"
        );
        let error = terminal
            .follow(&run("echo one", &["two"]))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "`echo one` does not show `two`; it printed\none\n");
        let error = terminal.follow(&Step::Interrupt).unwrap_err().to_string();
        assert_eq!(error, "nothing runs that ^C could end");
    }

    #[test]
    fn hosts_go_on_unless_they_are_asked_to_end() {
        assert!(goes_on("windlass up --nodes 3") && goes_on("windlass dev"));
        assert!(!goes_on("windlass run --config host.yaml --dry-run") && !goes_on("windlass build"));
        assert!(!goes_on("windlass up --nodes many; echo $?"));
    }
}
