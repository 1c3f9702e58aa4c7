//! Guests that behave, and guests that do not, against a real engine. The components
//! come from `tests/fixtures`, built by `make guests`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cache;
mod calls;
mod hostile;
mod imports;
mod languages;
mod loading;
mod plugins;
mod support;
mod usage;
