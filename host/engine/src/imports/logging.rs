//! `logging`: lines in the host's log, on a budget.
//!
//! The panic of a guest arrives here too, as an error line with a field `panic` and
//! perhaps a field `location`. It is remembered, because the trap that follows says
//! nothing of the cause.

use std::fmt::Write;
use std::time::Instant;

use wasmtime::component::{Access, HasSelf};
use wasmtime::{AsContextMut, StoreContextMut};
use windlass_core::key::ObjectKey;
use windlass_core::seams::{Ambient, LogLevel};

use crate::ambient::{LOG_TARGET as TARGET, SystemAmbient};
use crate::bindings::windlass::controller::logging as wit;
use crate::host::HostState;
use crate::log_budget::LineVerdict;
use crate::redact::Redactor;
use crate::usage::Import;

impl wit::Host for HostState {
    fn enabled(&mut self, level: wit::Level) -> wasmtime::Result<bool> {
        self.called(Import::LoggingEnabled);
        let level = core_level(level);
        Ok(level <= self.limits.log_level && self.ambient.logs(level))
    }
}

fn core_level(level: wit::Level) -> LogLevel {
    match level {
        wit::Level::Error => LogLevel::Error,
        wit::Level::Warn => LogLevel::Warn,
        wit::Level::Info => LogLevel::Info,
        wit::Level::Debug => LogLevel::Debug,
        wit::Level::Trace => LogLevel::Trace,
    }
}

impl wit::HostWithStore<HostState> for HasSelf<HostState> {
    fn log(
        mut access: Access<'_, HostState, Self>,
        level: wit::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        access.get().called(Import::LoggingLog);
        log(&mut access.as_context_mut(), level, message, fields)
    }
}

/// Writes a line of the guest, if it is wanted and within the budget.
pub(crate) fn log(
    context: &mut StoreContextMut<'_, HostState>,
    level: wit::Level,
    message: String,
    fields: Vec<(String, String)>,
) -> wasmtime::Result<()> {
    let state = context.data_mut();
    // Not what the guest was told, which may be what a recorded one was told elsewhere.
    let is_wanted = core_level(level) <= state.limits.log_level && SystemAmbient.logs(core_level(level));
    if !is_wanted && level != wit::Level::Error {
        return Ok(());
    }
    let (message, fields) = redact(&mut state.redactor, message, fields);
    if level == wit::Level::Error
        && let Some(panic) = panic_text(&fields)
    {
        state.panic = Some(panic);
    }
    if !is_wanted {
        return Ok(());
    }
    let LineVerdict::Write { dropped_before } = state.log_budget.line(Instant::now()) else {
        return Ok(());
    };
    let object = current_sync(context)?;
    let controller = &context.data().controller;
    if dropped_before > 0 {
        tracing::warn!(target: TARGET, %controller, lines = dropped_before, "dropped log lines over the budget");
    }
    let line = Line {
        level,
        message: one_line(message),
        fields: join(&fields),
    };
    line.write(controller, object.as_ref());
    Ok(())
}

/// What a panic hook said.
fn panic_text(fields: &[(String, String)]) -> Option<String> {
    let field = |name: &str| {
        fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    let panic = field("panic")?;
    Some(match field("location") {
        Some(location) => format!("panicked at {location}: {panic}"),
        None => format!("panicked: {panic}"),
    })
}

/// The key of the sync that the guest is running.
fn current_sync(context: &mut StoreContextMut<'_, HostState>) -> wasmtime::Result<Option<ObjectKey>> {
    // The call that the host made is the outermost.
    let outermost = context.async_call_stack()?.last();
    Ok(outermost.and_then(|task| context.data().syncs.get(&task).cloned()))
}

/// What is written of a line: its message, and its fields in one string.
pub(crate) fn line(
    redactor: &mut Redactor,
    message: String,
    fields: Vec<(String, String)>,
) -> (String, String) {
    let (message, fields) = redact(redactor, message, fields);
    (one_line(message), join(&fields))
}

fn redact(
    redactor: &mut Redactor,
    message: String,
    fields: Vec<(String, String)>,
) -> (String, Vec<(String, String)>) {
    let message = redactor.redact(message);
    let fields = fields
        .into_iter()
        .map(|(name, value)| (redactor.redact(name), redactor.redact(value)))
        .collect();
    (message, fields)
}

/// Escapes control characters, so that a message cannot pass for another line of the log,
/// nor tell a terminal what to do.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Fields as one string, `key=value` with a space between.
fn join(fields: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push(' ');
        }
        push_word(&mut text, name);
        text.push('=');
        push_word(&mut text, value);
    }
    text
}

/// Appends a name or a value, in quotes where it would be misread.
fn push_word(text: &mut String, word: &str) {
    let is_misread = |character: char| matches!(character, ' ' | '"' | '=') || character.is_control();
    if word.is_empty() || word.contains(is_misread) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{word:?}");
    } else {
        text.push_str(word);
    }
}

struct Line {
    level: wit::Level,
    message: String,
    fields: String,
}

impl Line {
    fn write(&self, controller: &str, object: Option<&ObjectKey>) {
        let (message, fields) = (self.message.as_str(), self.fields.as_str());
        let fields = (!fields.is_empty()).then_some(fields);
        let object = object.map(tracing::field::display);
        // The level of an event must be a constant.
        match self.level {
            wit::Level::Error => {
                tracing::error!(target: TARGET, controller, object.r#ref = object, fields, "{message}")
            }
            wit::Level::Warn => {
                tracing::warn!(target: TARGET, controller, object.r#ref = object, fields, "{message}")
            }
            wit::Level::Info => {
                tracing::info!(target: TARGET, controller, object.r#ref = object, fields, "{message}")
            }
            wit::Level::Debug => {
                tracing::debug!(target: TARGET, controller, object.r#ref = object, fields, "{message}")
            }
            wit::Level::Trace => {
                tracing::trace!(target: TARGET, controller, object.r#ref = object, fields, "{message}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_would_be_misread() {
        let fields = [("name", "a"), ("error", "not found"), ("empty", "")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(join(&fields), "name=a error=\"not found\" empty=\"\"");
    }

    #[test]
    fn what_a_guest_says_stays_on_its_line() {
        let fields = vec![("a\nERROR b".to_owned(), "c\r\u{1b}[2K".to_owned())];
        let (message, fields) = line(&mut Redactor::default(), "done\nERROR é".to_owned(), fields);
        assert_eq!(message, r"done\nERROR é");
        assert_eq!(fields, r#""a\nERROR b"="c\r\u{1b}[2K""#);
    }
}
