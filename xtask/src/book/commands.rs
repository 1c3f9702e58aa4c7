//! The reference of the command line: what the binary says of itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

const HEAD: &str = "\
# Command line

What `windlass` says with `--help`, of each command. Options for logging are the same everywhere and stand here once. What a command ends with is in [Exit codes](exit-codes.md).

";
/// Where the options begin that every command has.
const SHARED: &str = "\nLogging:\n";

/// Markdown of all commands.
pub(crate) fn reference(windlass: &Path) -> Result<String> {
    let help = help(windlass, &[])?;
    let mut text = format!("{HEAD}{}", block(&help));
    for command in subcommands(&help) {
        section(windlass, &[command], &mut text)?;
    }
    Ok(text)
}

fn section(windlass: &Path, command: &[&str], text: &mut String) -> Result<()> {
    let help = help(windlass, command)?;
    let own = help.split(SHARED).next().unwrap_or(&help);
    text.push_str(&format!("\n## windlass {}\n\n{}", command.join(" "), block(own)));
    for inner in subcommands(&help) {
        section(windlass, &[command, &[inner]].concat(), text)?;
    }
    Ok(())
}

fn help(windlass: &Path, command: &[&str]) -> Result<String> {
    let output = Command::new(windlass)
        .args(command)
        .arg("--help")
        .output()
        .with_context(|| format!("cannot run {}", windlass.display()))?;
    ensure!(
        output.status.success(),
        "windlass {} --help failed",
        command.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The names below `Commands:`.
fn subcommands(help: &str) -> Vec<&str> {
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, listed)| listed);
    listed
        .lines()
        .take_while(|line| !line.is_empty())
        // Lines that go on with a description are indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

fn block(text: &str) -> String {
    format!("```text\n{}\n```\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_the_help() {
        let help = "What it is\n\nUsage: x\n\nCommands:\n  up    Begin,\n          and go on\n  down  End\n  help  This\n\nOptions:\n  -h  Help\n";
        assert_eq!(subcommands(help), ["up", "down"]);
    }
}
