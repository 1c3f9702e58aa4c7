//! Looks at an image as somebody would who does not trust the recipe: what is in its
//! layers, what it says of itself, that the binary needs nothing else, and that it runs as
//! a cluster would run it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::layout::{self, Descriptor, Entry, Layout, Manifest};
use super::{Binary, empty, labels, sandbox};
use crate::platform::Platform;
use crate::process::{self, stdout};
use crate::source::Source;

/// Everything that may be in the layers: no shell, no package manager, no account file.
const EXPECTED: [(&str, &str); 8] = [
    ("drwxr-xr-x", "etc/"),
    ("drwxr-xr-x", "etc/ssl/"),
    ("drwxr-xr-x", "etc/ssl/certs/"),
    ("-rw-r--r--", "etc/ssl/certs/ca-certificates.crt"),
    ("drwxr-xr-x", "usr/"),
    ("drwxr-xr-x", "usr/local/"),
    ("drwxr-xr-x", "usr/local/bin/"),
    ("-rwxr-xr-x", "usr/local/bin/windlass"),
];
/// The most that a node has to pull.
const LIMIT: u64 = 40_000_000;

/// Checks every architecture's image and returns the digest of the whole. `unpacked` is a
/// folder to unpack to.
pub(super) fn check(source: &Source, binaries: &[Binary], layout: &Path, unpacked: &Path) -> Result<String> {
    let layout = Layout(layout);
    let (index, digest) = layout.image()?;
    ensure!(
        index.manifests.len() == binaries.len(),
        "{} architectures, not {}",
        index.manifests.len(),
        binaries.len()
    );
    for Binary { platform, .. } in binaries {
        let descriptor = index
            .manifests
            .iter()
            .find(|descriptor| is_for(descriptor, platform));
        let descriptor = descriptor.with_context(|| format!("nothing for {}", platform.architecture))?;
        empty(unpacked)?;
        std::fs::create_dir_all(unpacked)?;
        let size = check_one(source, &layout, descriptor, platform, unpacked)
            .with_context(|| format!("the image for {}", platform.architecture))?;
        println!(
            "linux/{}: {:.1} MB to pull, {}",
            platform.architecture,
            size as f64 / 1e6,
            descriptor.digest
        );
        empty(unpacked)?;
    }
    Ok(digest)
}

fn is_for(descriptor: &Descriptor, platform: &Platform) -> bool {
    let of = descriptor.platform.as_ref();
    of.is_some_and(|of| of.os == "linux" && of.architecture == platform.architecture)
}

/// Returns the bytes that a node pulls.
fn check_one(
    source: &Source,
    layout: &Layout<'_>,
    descriptor: &Descriptor,
    platform: &Platform,
    unpacked: &Path,
) -> Result<u64> {
    let manifest: Manifest = layout.read(descriptor)?;
    check_config(source, platform, &layout.read(&manifest.config)?)?;
    let mut entries = Vec::new();
    let mut size = descriptor.size + manifest.config.size;
    for layer in &manifest.layers {
        let file = layout.blob(layer)?;
        entries.extend(layout::entries(&file)?);
        size += layer.size;
        process::run(
            Command::new("tar")
                .args(["--extract", "--gzip", "--no-same-owner", "--file"])
                .arg(file)
                .arg("--directory")
                .arg(unpacked),
        )?;
    }
    check_entries(&entries, &source.time()?)?;
    ensure!(size < LIMIT, "{size} bytes are more than {LIMIT}");
    assert_static(&unpacked.join("usr/local/bin/windlass"), platform)?;
    if platform.is_here() {
        sandbox::check(unpacked, &source.version)?;
    }
    Ok(size)
}

fn check_config(source: &Source, platform: &Platform, config: &Value) -> Result<()> {
    let says = |pointer: &str, expected: &str| {
        let found = layout::text(config, pointer);
        ensure!(found == expected, "{pointer} is `{found}`, not `{expected}`");
        Ok(())
    };
    says("/architecture", platform.architecture)?;
    says("/os", "linux")?;
    says("/created", &source.time()?)?;
    says("/config/User", "65532:65532")?;
    for (key, value) in labels(source) {
        says(&format!("/config/Labels/{key}"), &value)?;
    }
    let entrypoint = &config["config"]["Entrypoint"];
    ensure!(
        *entrypoint == serde_json::json!(["/usr/local/bin/windlass"]),
        "the entry point is {entrypoint}"
    );
    ensure!(config["config"]["Cmd"].is_null(), "there is a command");
    Ok(())
}

fn check_entries(entries: &[Entry], time: &str) -> Result<()> {
    let mut found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.mode.as_str(), entry.path.as_str()))
        .collect();
    found.sort_unstable_by_key(|(_, path)| *path);
    ensure!(found == EXPECTED, "the layers hold {found:#?}");
    for Entry {
        owner,
        time: changed,
        path,
        ..
    } in entries
    {
        ensure!(owner == "0/0", "{path} belongs to {owner}");
        ensure!(changed == time, "{path} is of {changed}, not {time}");
    }
    Ok(())
}

/// That the kernel alone can start it: no loader, no library.
pub(crate) fn assert_static(binary: &Path, platform: &Platform) -> Result<()> {
    let headers = stdout(
        Command::new("readelf")
            .args(["--file-header", "--program-headers", "--dynamic", "--wide"])
            .arg(binary),
    )?;
    ensure!(
        headers.contains(platform.machine),
        "the binary is not for {}",
        platform.machine
    );
    for needs in ["INTERP", "(NEEDED)"] {
        ensure!(!headers.contains(needs), "the binary is not static: {needs}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |(mode, path): (&str, &str)| Entry {
            mode: mode.to_owned(),
            owner: "0/0".to_owned(),
            time: "T".to_owned(),
            path: path.to_owned(),
        };
        EXPECTED.map(entry).into()
    }

    #[test]
    fn what_is_not_expected_in_a_layer_is_refused() {
        check_entries(&entries(), "T").unwrap();
        let changes: [fn(&mut Vec<Entry>); 4] = [
            |entries| entries[7].mode = "-rwsr-xr-x".to_owned(),
            |entries| entries[7].owner = "1/0".to_owned(),
            |entries| entries[7].time = "U".to_owned(),
            |entries| drop(entries.pop()),
        ];
        for change in changes {
            let mut entries = entries();
            change(&mut entries);
            assert!(check_entries(&entries, "T").is_err(), "{entries:?}");
        }
        let mut with_shell = entries();
        with_shell.push(Entry {
            mode: "-rwxr-xr-x".to_owned(),
            owner: "0/0".to_owned(),
            time: "T".to_owned(),
            path: "usr/sh".to_owned(),
        });
        assert!(
            check_entries(&with_shell, "T")
                .unwrap_err()
                .to_string()
                .contains("usr/sh")
        );
    }

    #[test]
    fn a_binary_that_loads_libraries_is_refused() {
        let here = Platform::here().unwrap();
        let error = assert_static(&std::env::current_exe().unwrap(), here).unwrap_err();
        assert!(
            error.to_string().starts_with("the binary is not static"),
            "{error}"
        );
    }
}
