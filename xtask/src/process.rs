//! Child processes of the recipes: what failed is named, with the words it failed with.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs to a successful end; what it prints is seen.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", line(command)))?;
    ensure!(status.success(), "{} failed: {status}", line(command));
    Ok(())
}

/// Runs to a successful end and returns what it printed, without the last line's end.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", line(command)))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        line(command),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout).with_context(|| line(command))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_and_its_words() {
        let error = stdout(Command::new("ls").arg("/no/such/folder"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`ls /no/such/folder` failed: ls:"), "{error}");
        assert_eq!(stdout(Command::new("echo").arg("a")).unwrap(), "a");
    }
}
