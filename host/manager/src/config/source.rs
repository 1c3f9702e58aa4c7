//! Where a module's component comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use windlass_registry::reference::Reference;

use super::checks::{Checked, dns_label, dns_subdomain, ensure, exactly_one, not_empty};
use super::units::Span;

/// Where a component comes from; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Source")]
pub struct SourceEntry {
    /// A guest that ships with Windlass: `deployment`, `replicaset`, `scheduler` or
    /// `garbage-collector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<SmolStr>,
    /// A file, relative to the configuration's folder and in it or below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A folder, relative to the configuration's folder and in it or below. Every `*.wasm`
    /// file in it is a module of its own with the settings of this entry, named
    /// `<name>-<file name without .wasm>`; files that come and go take their modules along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// A key under `binaryData` of a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// An artifact in an OCI registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci: Option<OciSource>,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapSource {
    /// Its namespace.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
    /// The key under `binaryData`.
    pub key: String,
}

/// An artifact in an OCI registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciSource {
    /// `registry/repository:tag`, or `registry/repository@sha256:…` to pin the manifest.
    #[serde(with = "reference_text")]
    #[schemars(with = "String")]
    pub reference: Reference,
    /// How often a tag is asked where it points to; a reference with a digest is pulled once.
    #[serde(default = "pull_interval")]
    pub pull_interval: Span,
    /// A Secret of type `kubernetes.io/dockerconfigjson` with the credentials for this
    /// registry. Without one the host's `registry` settings apply.
    #[serde(default)]
    pub pull_secret: Option<SecretReference>,
}

/// A Secret that the host reads for itself; no guest gets to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretReference {
    /// Its namespace.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
}

fn pull_interval() -> Span {
    Span::seconds(300)
}

/// References are written as they are read.
mod reference_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use windlass_registry::reference::Reference;

    pub(super) fn serialize<S: Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(reference)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        Reference::deserialize(deserializer)
    }
}

impl SourceEntry {
    /// A guest that ships with Windlass.
    #[must_use]
    pub fn stock(name: &str) -> Self {
        Self {
            stock: Some(name.into()),
            ..Self::default()
        }
    }

    /// A file.
    #[must_use]
    pub fn file(file: &str) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn validate(&self, at: &str) -> Checked {
        let keys = [
            ("stock", self.stock.is_some()),
            ("file", self.file.is_some()),
            ("directory", self.directory.is_some()),
            ("configMap", self.config_map.is_some()),
            ("oci", self.oci.is_some()),
        ];
        exactly_one(at, &keys)?;
        for (key, path) in [("file", &self.file), ("directory", &self.directory)] {
            if let Some(path) = path {
                not_empty(&format!("{at}.{key}"), path)?;
            }
        }
        if let Some(source) = &self.config_map {
            dns_label(&format!("{at}.configMap.namespace"), &source.namespace)?;
            dns_subdomain(&format!("{at}.configMap.name"), &source.name)?;
            not_empty(&format!("{at}.configMap.key"), &source.key)?;
        }
        if let Some(source) = &self.oci {
            ensure(
                source.pull_interval >= Span::seconds(1),
                || format!("{at}.oci.pullInterval"),
                || format!("{} is shorter than 1s", source.pull_interval),
            )?;
            if let Some(secret) = &source.pull_secret {
                secret.validate(&format!("{at}.oci.pullSecret"))?;
            }
        }
        Ok(())
    }
}

impl SecretReference {
    pub(super) fn validate(&self, at: &str) -> Checked {
        dns_label(&format!("{at}.namespace"), &self.namespace)?;
        dns_subdomain(&format!("{at}.name"), &self.name)
    }
}
