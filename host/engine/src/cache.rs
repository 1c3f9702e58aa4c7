//! Compiled code on disk, keyed by what it was compiled from and for.
//!
//! An entry is one file: the SHA-256 of the code, then the code. Its name is the digest
//! of the component and of the compiler's version and settings, so a changed host never
//! finds an old entry. Entries are written to a temporary name and renamed, readable by
//! the owner alone. An entry that is damaged, or that others can read or write, is not
//! used; it is written again after the next compilation. A cache that cannot be written
//! costs time, not correctness, so it is logged and no more.

use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};

use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

const DIGEST_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// The cache of one engine.
#[derive(Debug)]
pub(crate) struct CompiledCache {
    dir: Dir,
    engine_digest: String,
}

/// Feeds what wasmtime hashes of itself into a digest that is stable between runs.
struct HashInto(Sha256);

impl Hasher for HashInto {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl CompiledCache {
    pub(crate) fn new(dir: Dir, engine: &wasmtime::Engine) -> Self {
        let mut hasher = HashInto(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_digest = hex(&hasher.0.finalize()).chars().take(16).collect();
        Self { dir, engine_digest }
    }

    fn file_name(&self, component_digest: &str) -> String {
        format!("{component_digest}-{}.cwasm", self.engine_digest)
    }

    /// The compiled form of a component, if there is a sound entry.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, component_digest: &str) -> Option<Component> {
        let name = self.file_name(component_digest);
        match self.read(&name) {
            Ok(code) => deserialize(engine, &code)
                .inspect_err(|error| ignored(&name, error))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                ignored(&name, &error);
                None
            }
        }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut file = self.dir.open(name)?;
        if file.metadata()?.mode() & OTHERS != 0 {
            return Err(io::Error::other("others than the owner have access to it"));
        }
        let mut entry = Vec::new();
        file.read_to_end(&mut entry)?;
        match entry.split_at_checked(DIGEST_BYTES) {
            Some((digest, code)) if Sha256::digest(code).as_slice() == digest => {
                Ok(entry.split_off(DIGEST_BYTES))
            }
            _ => Err(io::Error::other("its digest does not match its content")),
        }
    }

    /// Keeps the compiled form of a component.
    pub(crate) fn store(&self, component: &Component, component_digest: &str) {
        let name = self.file_name(component_digest);
        let written = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&name, &code));
        if let Err(error) = written {
            tracing::warn!(file = name, %error, "cannot keep compiled code");
        }
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        // One writer per process and name is enough: whoever renames last wins, with the same content.
        let temporary = format!("{name}.{}.tmp", std::process::id());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(OWNER_ONLY);
        let mut file = self.dir.open_with(&temporary, &options)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.sync_all()?;
        self.dir.rename(&temporary, &self.dir, name)
    }
}

fn ignored(name: &str, error: &dyn std::fmt::Display) {
    tracing::warn!(file = name, %error, "ignoring compiled code");
}

#[expect(unsafe_code, reason = "the only way to load compiled code; see SAFETY")]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs what it is given as native code, so it must be the output
    // of `Component::serialize`. The bytes were written by `CompiledCache::write`, into a
    // file that only this user can write, and their digest was checked against damage;
    // they are in memory, so they cannot change between the check and the use. wasmtime
    // itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }
}
