//! Reads an OCI layout: blobs by their digest, which is verified, and what they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::process::stdout;

/// What points to a blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
}

/// The layout's own index, or one of several architectures.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
}

/// One architecture's image.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

#[derive(Debug)]
pub(super) struct Layout<'a>(pub(super) &'a Path);

impl Layout<'_> {
    /// The index of the one image in the layout, and its digest.
    pub(super) fn image(&self) -> Result<(Index, String)> {
        let text = std::fs::read(self.0.join("index.json")).context("the layout has no index.json")?;
        let index: Index = serde_json::from_slice(&text).context("index.json")?;
        let [image] = index.manifests.as_slice() else {
            anyhow::bail!("the layout holds {} images", index.manifests.len());
        };
        Ok((self.read(image)?, image.digest.clone()))
    }

    /// A blob of JSON.
    pub(super) fn read<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        let file = self.blob(descriptor)?;
        let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} {}", descriptor.media_type, descriptor.digest))
    }

    /// The file of a blob, which has the size and the digest that it is named by.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf> {
        let digest = descriptor.digest.strip_prefix("sha256:");
        let digest = digest.with_context(|| format!("{} is no SHA-256", descriptor.digest))?;
        let file = self.0.join("blobs/sha256").join(digest);
        let size = file
            .metadata()
            .with_context(|| format!("there is no blob {digest}"))?
            .len();
        ensure!(
            size == descriptor.size,
            "blob {digest} has {size} bytes, not {}",
            descriptor.size
        );
        let found = stdout(Command::new("sha256sum").arg("--binary").arg(&file))?;
        ensure!(found.starts_with(digest), "blob {digest} has the digest {found}");
        Ok(file)
    }
}

/// A file or folder of a layer, as `tar` lists it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: String,
    pub(super) owner: String,
    pub(super) time: String,
    pub(super) path: String,
}

/// What is in a layer, in its order.
pub(super) fn entries(layer: &Path) -> Result<Vec<Entry>> {
    let list = [
        "--list",
        "--verbose",
        "--numeric-owner",
        "--full-time",
        "--utc",
        "--gzip",
        "--file",
    ];
    let text = stdout(Command::new("tar").args(list).arg(layer))?;
    text.lines().map(entry).collect()
}

fn entry(line: &str) -> Result<Entry> {
    let mut words = line.split_whitespace();
    let mut word = || {
        words
            .next()
            .map(str::to_owned)
            .with_context(|| format!("tar says: {line}"))
    };
    let (mode, owner) = (word()?, word()?);
    let (_size, day, time) = (word()?, word()?, word()?);
    let path = words.collect::<Vec<_>>().join(" ");
    Ok(Entry {
        mode,
        owner,
        time: format!("{day}T{time}Z"),
        path,
    })
}

/// A value inside of JSON, as text.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_tar_is_an_entry() {
        let line = "-rwxr-xr-x 0/0          797248 2023-11-14 22:13:20 usr/local/bin/windlass";
        let expected = Entry {
            mode: "-rwxr-xr-x".to_owned(),
            owner: "0/0".to_owned(),
            time: "2023-11-14T22:13:20Z".to_owned(),
            path: "usr/local/bin/windlass".to_owned(),
        };
        assert_eq!(entry(line).unwrap(), expected);
        assert!(entry("-rwxr-xr-x 0/0").is_err());
    }
}
