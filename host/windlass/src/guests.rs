//! From what a user names (a file, a stock guest, a configuration) to loaded modules.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder};
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_manager::config::{HostConfiguration, ModuleEntry, SourceEntry};
use windlass_manager::module::Module;

use crate::stock;

/// How long loading may take before the user is told what takes so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// An engine that keeps compiled code in `cache_dir`, or in the user's cache folder.
pub(crate) fn engine(cache_dir: Option<&Path>) -> anyhow::Result<Engine> {
    let folder = cache_dir.map(Path::to_owned).or_else(default_cache_dir);
    let cache_dir = match &folder {
        Some(folder) => Some(open_private(folder).with_context(|| {
            format!(
                "cannot use the cache folder {}; name another with --cache-dir",
                folder.display()
            )
        })?),
        None => None,
    };
    Ok(Engine::new(EngineConfig {
        cache_dir,
        ..EngineConfig::default()
    })?)
}

fn default_cache_dir() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("windlass"))
}

/// Opens a folder, creating it for its owner alone: what is found in it runs as native code.
fn open_private(folder: &Path) -> std::io::Result<Dir> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    if !folder.exists() {
        use cap_std::fs::DirBuilderExt;
        let name = folder.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
        let parent = Dir::open_ambient_dir(
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            },
            ambient_authority(),
        )?;
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        parent.create_dir_with(name, &builder)?;
    }
    Dir::open_ambient_dir(folder, ambient_authority())
}

/// Reads a configuration file and loads its modules.
pub(crate) async fn configured(engine: &Engine, file: &Path) -> anyhow::Result<Vec<Module>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the configuration {}", file.display()))?;
    let within = || format!("configuration {}", file.display());
    let configuration = HostConfiguration::parse(&text).with_context(within)?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    load(engine, &configuration.modules, folder)
        .await
        .with_context(within)
}

/// Every stock guest: what `windlass up` runs without a configuration. Their calls are not
/// limited, because nobody else needs the embedded API server's time.
pub(crate) async fn all_stock(engine: &Engine) -> anyhow::Result<Vec<Module>> {
    let unlimited = |name| {
        let mut entry = ModuleEntry::stock(name);
        entry.limits.api_qps = Some(0);
        entry
    };
    let entries: Vec<ModuleEntry> = stock::names().map(unlimited).collect();
    load(engine, &entries, Path::new(".")).await
}

/// Loads every enabled module. Files are read from `folder` (the configuration file's)
/// and below, through a capability that cannot reach out of it.
async fn load(engine: &Engine, entries: &[ModuleEntry], folder: &Path) -> anyhow::Result<Vec<Module>> {
    let enabled = entries.iter().filter(|entry| entry.enabled);
    let loading = enabled.map(|entry| async {
        let (origin, bytes, is_stock) =
            read(&entry.source, folder).with_context(|| format!("module {}", entry.name))?;
        Ok(Module::load(engine, entry, origin, bytes, is_stock).await?)
    });
    let mut loading = pin!(futures::future::join_all(loading));
    let loaded = match tokio::time::timeout(PATIENCE, &mut loading).await {
        Ok(loaded) => loaded,
        Err(_) => {
            anstream::eprintln!("Compiling guests; the next start finds them in the cache …");
            loading.await
        }
    };
    loaded.into_iter().collect()
}

fn read(source: &SourceEntry, folder: &Path) -> anyhow::Result<(String, Bytes, bool)> {
    match (&source.stock, &source.file) {
        (Some(name), _) => {
            let Some(bytes) = stock::find(name) else {
                let known = stock::names().collect::<Vec<_>>().join(", ");
                bail!("there is no stock guest {name:?}; the stock guests are {known}");
            };
            Ok((format!("stock guest {name}"), Bytes::from_static(bytes?), true))
        }
        (None, Some(file)) => Ok((format!("file {file}"), read_below(folder, file)?, false)),
        (None, None) => bail!("needs a source"),
    }
}

fn read_below(folder: &Path, file: &str) -> anyhow::Result<Bytes> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority())
        .with_context(|| format!("cannot open {}", folder.display()))?;
    let bytes = dir.read(file).with_context(|| {
        format!(
            "cannot read {file} in {}; guests are read from the configuration's folder and below",
            folder.display()
        )
    })?;
    Ok(Bytes::from(bytes))
}
