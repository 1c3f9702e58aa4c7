//! Compiled code is found again, and nothing but sound code of this host is run.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tempfile::TempDir;
use windlass_engine::engine::{Engine, EngineConfig};

use crate::support::load;

fn engine(dir: &TempDir) -> Engine {
    let cache_dir = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    Engine::new(EngineConfig {
        cache_dir: Some(cache_dir),
        ..EngineConfig::default()
    })
    .unwrap()
}

fn entries(dir: &TempDir) -> Vec<PathBuf> {
    std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

async fn is_found(dir: &TempDir) -> bool {
    load(&engine(dir), "counter").await.compiled_from_cache
}

#[tokio::test]
async fn code_is_compiled_once() {
    let dir = TempDir::new().unwrap();
    assert!(!is_found(&dir).await);
    assert!(is_found(&dir).await);
    let [entry] = &*entries(&dir) else {
        panic!("one entry")
    };
    assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_entry_is_ignored_and_written_again() {
    let dir = TempDir::new().unwrap();
    is_found(&dir).await;
    let entry = entries(&dir).pop().unwrap();
    let mut code = std::fs::read(&entry).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    for damaged in [&code[..], &code[..middle], b""] {
        std::fs::write(&entry, damaged).unwrap();
        assert!(!is_found(&dir).await);
        assert!(is_found(&dir).await);
    }
}

#[tokio::test]
async fn an_entry_that_others_could_have_written_is_ignored() {
    let dir = TempDir::new().unwrap();
    is_found(&dir).await;
    let entry = entries(&dir).pop().unwrap();
    std::fs::set_permissions(&entry, std::fs::Permissions::from_mode(0o622)).unwrap();
    assert!(!is_found(&dir).await);
    assert!(is_found(&dir).await);
}
