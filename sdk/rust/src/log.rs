//! Lines in the host's log: a constant message and fields, as in
//! `info!("scaled", from = 1, to = 3)`.

use std::fmt::Display;

use crate::host;

pub use crate::bindings::controller::windlass::controller::logging::Level;

/// Writes one line; the macros call this.
pub fn log(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    if host::log_enabled(level) {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_string()))
            .collect();
        host::log(level, message, &fields);
    }
}

/// Needs an operator.
#[macro_export]
macro_rules! error {
    ($message:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::log($crate::log::Level::Error, $message, &[$((stringify!($name), &$value)),*])
    };
}

/// Degraded, but coping.
#[macro_export]
macro_rules! warn {
    ($message:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::log($crate::log::Level::Warn, $message, &[$((stringify!($name), &$value)),*])
    };
}

/// Lifecycle.
#[macro_export]
macro_rules! info {
    ($message:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::log($crate::log::Level::Info, $message, &[$((stringify!($name), &$value)),*])
    };
}

/// About one line per sync.
#[macro_export]
macro_rules! debug {
    ($message:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::log($crate::log::Level::Debug, $message, &[$((stringify!($name), &$value)),*])
    };
}

/// Everything else.
#[macro_export]
macro_rules! trace {
    ($message:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::log($crate::log::Level::Trace, $message, &[$((stringify!($name), &$value)),*])
    };
}
