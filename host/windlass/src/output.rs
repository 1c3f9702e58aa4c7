//! What commands print: text to standard output, and errors in one line.
//!
//! Promises: a reader that closes standard output early, as `head` does, is no error: what
//! it does not take is dropped, and the command ends as it would have. Anything else that
//! cannot be written is an error, not a panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use anstream::AutoStream;
use anyhow::Context;

/// Prints to standard output; what it does not take for want of a reader is dropped.
macro_rules! out {
    ($($argument:tt)*) => {
        $crate::output::print(format_args!($($argument)*))
    };
}

/// The same, with the end of the line.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}

pub(crate) use {out, outln};

/// Standard output, without the colours that it does not want.
pub(crate) fn stdout() -> Patient<AutoStream<io::StdoutLock<'static>>> {
    Patient(anstream::stdout().lock())
}

/// Prints one text.
pub(crate) fn print(text: Arguments<'_>) -> anyhow::Result<()> {
    write_to(&mut stdout(), |out| out.write_fmt(text))
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    write_to(&mut Patient(io::stdout().lock()), |out| out.write_all(bytes))
}

fn write_to<W: Write>(out: &mut W, write: impl FnOnce(&mut W) -> io::Result<()>) -> anyhow::Result<()> {
    write(out)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// A writer that does not mind when nobody reads any more.
pub(crate) struct Patient<W>(W);

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes), bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        unless_closed(self.0.write_all(bytes), ())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush(), ())
    }
}

fn unless_closed<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(otherwise),
        result => result,
    }
}

/// An error with its causes in one line. Most errors here say their cause themselves, so
/// that a log line or a status has all of it; such a cause is not said again.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    fn write(kind: ErrorKind) -> anyhow::Result<()> {
        write_to(&mut Patient(Refuses(kind)), |out| writeln!(out, "text"))
    }

    #[test]
    fn only_a_reader_that_went_is_no_error() {
        assert!(write(ErrorKind::BrokenPipe).is_ok());
        let error = write(ErrorKind::StorageFull).unwrap_err();
        assert_eq!(
            one_line(&error),
            "cannot write to standard output: no storage space"
        );
    }

    /// Says its cause, and has it, too.
    #[derive(Debug)]
    struct Says(io::Error);

    impl std::fmt::Display for Says {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "cannot open the shop: {}", self.0)
        }
    }

    impl std::error::Error for Says {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_cause_is_said_once_whoever_says_it() {
        let says = || Says(io::Error::other("no key"));
        assert_eq!(one_line(&says().into()), "cannot open the shop: no key");
        let wrapped = anyhow::Error::from(says()).context("monday");
        assert_eq!(one_line(&wrapped), "monday: cannot open the shop: no key");
    }
}
