//! Running other programs: those whose words are the author's business, and those that
//! should be silent unless they fail.

use std::process::{Command, Stdio};

use crate::error::BuildError;

/// Most of a silent program's output that an error repeats.
const OUTPUT_BYTES: usize = 4_000;

/// Runs a compiler: what it says goes to standard error as it is.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), BuildError> {
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|cause| start_error(command, cause))?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        what: what.to_owned(),
        output: String::new(),
    })
}

/// Runs a compiler whose standard output is for us; what it says goes where the command says.
pub(crate) fn stdout(what: &str, command: &mut Command) -> Result<Vec<u8>, BuildError> {
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|cause| start_error(command, cause))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(BuildError::Failed {
        what: what.to_owned(),
        output: String::new(),
    })
}

/// Runs a program and gives its standard output; what else it says is kept for the error.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<Vec<u8>, BuildError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| start_error(command, cause))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    let start = said.len().saturating_sub(OUTPUT_BYTES);
    let said = String::from_utf8_lossy(said.get(start..).unwrap_or_default());
    Err(BuildError::Failed {
        what: what.to_owned(),
        output: format!(":\n{}", said.trim()),
    })
}

/// Whether a program is in the search path, and answers.
pub(crate) fn answers(program: &str, argument: &str) -> bool {
    let status = Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn start_error(command: &Command, cause: std::io::Error) -> BuildError {
    BuildError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        cause,
    }
}
