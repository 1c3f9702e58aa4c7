//! Standard streams: input is at its end, output and error are lines in the host's log.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::{Nothing, poll, refuse};
use crate::bindings::windlass::controller::logging::Level;
use crate::failure::GuestExit;
use crate::host::HostState;
use crate::imports::logging;

/// Bytes that a guest may write at once.
const WRITE_BYTES: u64 = 64 * 1024;
/// A longer line is cut.
const LINE_BYTES: usize = 8 * 1024;
/// How runtimes begin the line that says why they give up; what follows are their stacks.
const LAST_WORDS: [&str; 2] = ["panic: ", "fatal error: "];

/// What the runtime of Python says last, whatever it was that ended it.
const HINT: &str = "note: run with `RUST_BACKTRACE";

/// A handle to one of the two outputs.
pub(super) struct Output;
/// A handle to the input.
pub(super) struct Input;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "nothing fails that way, but the type has it")]
    LastOperationFailed(Resource<Nothing>),
    #[component(name = "closed")]
    Closed,
}

/// What of the standard streams has not become lines yet.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    /// What the guest said last on its error stream, for when it ends.
    last_words: Option<String>,
}

impl Streams {
    /// Why the guest ended, in its own words.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    /// Whether its runtime has said why it cannot go on.
    pub(super) fn has_given_up(&self) -> bool {
        self.last_words().is_some_and(is_final)
    }

    /// Takes bytes and gives the lines that are complete.
    fn take(&mut self, stream: u32, bytes: &[u8]) -> Vec<String> {
        let pending = if stream == STDERR {
            &mut self.err
        } else {
            &mut self.out
        };
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(pending.len());
            pending.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(pending);
                lines.push(line.trim_end_matches(['\n', '\r']).to_owned());
                pending.clear();
            }
        }
        lines.retain(|line| !line.trim().is_empty());
        if stream == STDERR {
            lines.iter().for_each(|line| self.note(line));
        }
        lines
    }

    fn note(&mut self, line: &str) {
        if line.starts_with(HINT) {
            return;
        }
        if is_final(line) || !self.has_given_up() {
            self.last_words = Some(line.to_owned());
        }
    }
}

fn is_final(line: &str) -> bool {
    LAST_WORDS.iter().any(|beginning| line.starts_with(beginning))
}

pub(super) fn function(
    linker: &mut LinkerInstance<'_, HostState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    match name {
        "get-stdin" => linker.func_wrap(name, |_, ()| Ok((Resource::<Input>::new_own(0),))),
        "get-stdout" => linker.func_wrap(name, |_, ()| Ok((Resource::<Output>::new_own(STDOUT),))),
        "get-stderr" => linker.func_wrap(name, |_, ()| Ok((Resource::<Output>::new_own(STDERR),))),
        "[method]output-stream.check-write" => linker.func_wrap(name, |_, (_,): (Resource<Output>,)| {
            Ok((Ok::<_, StreamError>(WRITE_BYTES),))
        }),
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(name, |context, (stream, bytes): (Resource<Output>, Bytes)| {
                write(context, stream.rep(), &bytes)?;
                Ok((Ok::<_, StreamError>(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => linker
            .func_wrap(name, |_, (_,): (Resource<Output>,)| {
                Ok((Ok::<_, StreamError>(()),))
            }),
        "[method]output-stream.subscribe" => {
            linker.func_wrap(name, |_, (_,): (Resource<Output>,)| Ok((poll::ready(),)))
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => linker
            .func_wrap(name, |_, (_, _): (Resource<Input>, u64)| {
                Ok((Err::<Bytes, _>(StreamError::Closed),))
            }),
        "[method]input-stream.subscribe" => {
            linker.func_wrap(name, |_, (_,): (Resource<Input>,)| Ok((poll::ready(),)))
        }
        _ => refuse::function(linker, interface, name),
    }
}

fn write(mut context: StoreContextMut<'_, HostState>, stream: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let level = if stream == STDERR {
        Level::Warn
    } else {
        Level::Info
    };
    for line in context.data_mut().streams.take(stream, bytes) {
        logging::log(&mut context, level, line, Vec::new())?;
    }
    Ok(())
}

/// The guest wants its process to end.
pub(super) fn exit(_: StoreContextMut<'_, HostState>, status: Result<(), ()>) -> wasmtime::Result<()> {
    Err(GuestExit {
        success: status.is_ok(),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines_however_it_is_cut() {
        let mut streams = Streams::default();
        assert!(streams.take(STDOUT, b"one li").is_empty());
        assert!(streams.take(STDERR, b"apart").is_empty());
        assert_eq!(streams.take(STDOUT, b"ne\r\n\ntwo\nthr"), ["one line", "two"]);
        assert_eq!(streams.take(STDOUT, b"ee\n"), ["three"]);
        assert_eq!(streams.take(STDERR, b" from it\n"), ["apart from it"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut streams = Streams::default();
        for _ in 0..1_000 {
            assert!(streams.take(STDOUT, &[b'x'; 1_000]).is_empty());
        }
        let lines = streams.take(STDOUT, b"\n");
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES]);
    }

    #[test]
    fn the_reason_why_a_runtime_gave_up_is_kept_before_its_stacks() {
        let mut streams = Streams::default();
        streams.take(STDERR, b"Traceback:\nValueError: no\n");
        assert_eq!(streams.last_words(), Some("ValueError: no"));
        streams.take(STDERR, b"panic: index out of range\n\ngoroutine 1 [running]:\n");
        assert_eq!(streams.last_words(), Some("panic: index out of range"));
    }
}
