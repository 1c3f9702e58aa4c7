//! The host in a terminal: tables for `windlass status`, a live view for `windlass top`.
//!
//! Promises: what guests say cannot move the cursor, change colours or turn text around;
//! lines never exceed the width they were given. Deliberately not here: the commands.

mod overview;
mod screen;
mod table;
mod text;
mod top;

pub use overview::{Output, RenderError, render};
pub use top::{Action, SortKey, Top, TopError, run_top};
