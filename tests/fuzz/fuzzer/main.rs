//! The long run: one target under libFuzzer, named by `WINDLASS_FUZZ_TARGET`. Arguments
//! are libFuzzer's. Built and started by `make fuzz`.
#![no_main]

use std::sync::OnceLock;

use windlass_fuzz::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("WINDLASS_FUZZ_TARGET").unwrap_or_default();
        let names = TARGETS.map(|target| target.name).join(", ");
        let target = Target::named(&name);
        TARGET.get_or_init(|| target.unwrap_or_else(|| panic!("set WINDLASS_FUZZ_TARGET to one of {names}")));
    },
    |data: &[u8]| {
        let target = TARGET.get().expect("libFuzzer initialises first");
        (target.run)(data);
    }
);
