//! Puts the stock guests into the binary.
//!
//! They are components built beforehand (`make guests`). One that is missing leaves its
//! place empty, so that the host compiles without a Wasm toolchain, and the command that
//! needs it says what to do.

use std::path::Path;
use std::{env, fmt::Write, fs};

const GUESTS: [&str; 4] = ["deployment", "replicaset", "scheduler", "garbage-collector"];

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../target/guests");
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("stock_guests.rs");
    let mut code = String::from("pub(crate) const GUESTS: &[(&str, &[u8])] = &[\n");
    for guest in GUESTS {
        let file = root.join(format!("{guest}.wasm"));
        println!("cargo::rerun-if-changed={}", file.display());
        let bytes = if file.exists() {
            format!("include_bytes!({:?})", file.display().to_string())
        } else {
            "&[]".to_owned()
        };
        writeln!(code, "    ({guest:?}, {bytes}),").expect("writing to a string");
    }
    code.push_str("];\n");
    fs::write(out, code).expect("OUT_DIR is writable");
}
