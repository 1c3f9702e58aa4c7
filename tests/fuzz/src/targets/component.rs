//! Files that claim to be guests.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_engine::limits::Limits;

use crate::input::records;
use crate::{Target, service};

/// Any bytes get an answer.
pub(crate) const INSPECT: Target = Target {
    name: "component_inspect",
    run: inspect,
    mutations: 100_000,
};

/// A real guest with some bytes changed gets an answer, within the limits of a guest.
pub(crate) const LOAD: Target = Target {
    name: "component_load",
    run: load,
    mutations: 60,
};

fn inspect(data: &[u8]) {
    let _ = windlass_engine::fuzzing::inspect(data);
}

/// Records of an offset, in thousandths of the file and in bytes, and the text to put there.
fn load(data: &[u8]) {
    let mut component = guest().to_vec();
    for record in records(data) {
        let place = component.len() / 1000 * usize::try_from(record.number(0) % 1000).unwrap_or(0);
        let start = place + usize::try_from(record.number(1) % 100_000).unwrap_or(0);
        let slots = component.iter_mut().skip(start);
        for (slot, byte) in slots.zip(record.body) {
            *slot = *byte;
        }
    }
    let limits = Limits {
        memory_bytes: 16 << 20,
        cpu_budget: Duration::from_millis(100),
        ..Limits::default()
    };
    let (runtime, engine) = engine();
    let loaded = runtime.block_on(engine.load("fuzz", component.into(), Bytes::new(), &limits));
    if let Ok(guest) = loaded {
        assert!(!guest.manifest.name.is_empty());
    }
}

fn engine() -> &'static (Runtime, Engine) {
    static ENGINE: OnceLock<(Runtime, Engine)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let engine = Engine::new(EngineConfig::default()).expect("an engine can be set up");
        (service::runtime(), engine)
    })
}

/// The smallest guest there is.
fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
        let path = guests.join("windlass-fixture-minimal.wasm");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make guests`", path.display()))
    })
}
