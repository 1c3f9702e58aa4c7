//! Image manifests, and what makes one a Wasm artifact: the layout of the CNCF's TAG
//! Runtime, as `wkg` reads and writes it.
//!
//! One layer `application/wasm`, and a configuration that names the layer's digest and
//! the component's imports and exports. Signatures are manifests too; their layers are
//! read in [`crate::signature`].

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use crate::digest::Digest;

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
/// How components from before the layout was agreed on are marked, by wasm-to-oci.
const OLD_LAYER_TYPE: &str = "application/vnd.wasm.content.layer.v1+wasm";
const TITLE: &str = "org.opencontainers.image.title";

/// An image manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// An image index, such as a list of referrers.
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// A pointer to content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig<'a> {
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [Digest; 1],
    component: Interfaces,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
}

/// Content that is not a guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Not a manifest.
    #[error("the manifest is malformed: {0}")]
    Malformed(String),
    /// A list of manifests for several platforms.
    #[error("it is an image index, not a Wasm artifact: pin the digest of one manifest in it")]
    Index,
    /// An ordinary image, or anything else.
    #[error(
        "it is not a Wasm artifact but has {layers}: push components with `windlass push` or `wkg oci push`"
    )]
    NotWasm {
        /// The layers and their types.
        layers: String,
    },
    /// Larger than the caller takes.
    #[error("it has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What the manifest says.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The file to push is not a component.
    #[error("it is not a WebAssembly component{hint}")]
    NotComponent {
        /// What it seems to be.
        hint: &'static str,
    },
}

/// What is pushed: a manifest, its configuration and its layer.
pub(crate) struct Artifact {
    pub(crate) manifest: Bytes,
    pub(crate) config: Bytes,
    pub(crate) layer: Bytes,
}

/// What the author of an artifact says about it.
#[derive(Clone, Debug)]
pub struct Description {
    /// When it was made. It enters the digest: the same time gives the same digest.
    pub created: Timestamp,
    /// Who made it.
    pub author: Option<String>,
    /// The file name that tools give to the component.
    pub title: Option<String>,
    /// Annotations of the manifest, such as `org.opencontainers.image.version`.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ArtifactError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            #[serde(default)]
            media_type: String,
            manifests: Option<serde::de::IgnoredAny>,
        }

        let malformed = |error: serde_json::Error| ArtifactError::Malformed(error.to_string());
        let kind: Kind = serde_json::from_slice(bytes).map_err(malformed)?;
        if kind.manifests.is_some() || matches!(kind.media_type.as_str(), INDEX_TYPE | DOCKER_LIST_TYPE) {
            return Err(ArtifactError::Index);
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// The only layer, if it is a component of at most `limit` bytes.
    pub(crate) fn wasm_layer(&self, limit: u64) -> Result<&Descriptor, ArtifactError> {
        match self.layers.as_slice() {
            [layer] if matches!(layer.media_type.as_str(), LAYER_TYPE | OLD_LAYER_TYPE) => {
                if layer.size > limit {
                    return Err(ArtifactError::TooLarge {
                        size: layer.size,
                        limit,
                    });
                }
                Ok(layer)
            }
            layers => Err(ArtifactError::NotWasm {
                layers: describe(layers),
            }),
        }
    }
}

fn describe(layers: &[Descriptor]) -> String {
    let types: Vec<_> = layers
        .iter()
        .take(3)
        .map(|layer| layer.media_type.as_str())
        .collect();
    match layers.len() {
        0 => "no layers".to_owned(),
        1 => format!("a layer of type {}", types.concat()),
        count => format!("{count} layers of types {}", types.join(", ")),
    }
}

impl Artifact {
    /// Lays a component out as an artifact.
    pub(crate) fn new(component: Bytes, description: &Description) -> Result<Self, ArtifactError> {
        let layer = Descriptor {
            media_type: LAYER_TYPE.to_owned(),
            artifact_type: None,
            digest: Digest::of(&component),
            size: component.len() as u64,
            annotations: description
                .title
                .iter()
                .map(|title| (TITLE.to_owned(), title.clone()))
                .collect(),
        };
        let config = json(&WasmConfig {
            created: description.created,
            author: description.author.as_deref(),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [layer.digest],
            component: interfaces(&component)?,
        });
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: Descriptor {
                media_type: CONFIG_TYPE.to_owned(),
                artifact_type: None,
                digest: Digest::of(&config),
                size: config.len() as u64,
                annotations: BTreeMap::new(),
            },
            layers: vec![layer],
            annotations: description.annotations.clone(),
        };
        Ok(Self {
            manifest: json(&manifest),
            config,
            layer: component,
        })
    }
}

/// The form in which things with string keys are hashed and sent.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("structures of strings and numbers are always JSON")
        .into()
}

/// The names that a component imports and exports.
fn interfaces(component: &[u8]) -> Result<Interfaces, ArtifactError> {
    let not_component = |hint| ArtifactError::NotComponent { hint };
    let mut found = Interfaces::default();
    let mut depth = 0_u32;
    if !Parser::is_component(component) {
        return Err(not_component(if Parser::is_core_wasm(component) {
            " but a core module: make it one with `wasm-tools component new`"
        } else {
            ""
        }));
    }
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|_| not_component(", or it is damaged"))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let import = import.map_err(|_| not_component(", or it is damaged"))?;
                    found.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export.map_err(|_| not_component(", or it is damaged"))?;
                    found.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(component)`.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn description() -> Description {
        Description {
            created: Timestamp::UNIX_EPOCH,
            author: None,
            title: None,
            annotations: BTreeMap::new(),
        }
    }

    fn refusal(manifest: &str) -> String {
        let error =
            Manifest::parse(manifest.as_bytes()).and_then(|manifest| manifest.wasm_layer(10).cloned());
        error.unwrap_err().to_string()
    }

    #[test]
    fn an_artifact_is_laid_out_as_wkg_does() {
        let artifact = Artifact::new(Bytes::from_static(EMPTY), &description()).unwrap();
        let layer = Digest::of(EMPTY);
        assert_eq!(
            std::str::from_utf8(&artifact.config).unwrap(),
            format!(
                r#"{{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":["{layer}"],"component":{{"exports":[],"imports":[]}}}}"#
            )
        );
        let config = Digest::of(&artifact.config);
        let size = artifact.config.len();
        assert_eq!(
            std::str::from_utf8(&artifact.manifest).unwrap(),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"{CONFIG_TYPE}","digest":"{config}","size":{size}}},"layers":[{{"mediaType":"application/wasm","digest":"{layer}","size":8}}]}}"#
            )
        );
        let manifest = Manifest::parse(&artifact.manifest).unwrap();
        assert_eq!(manifest.wasm_layer(8).unwrap().digest, layer);
    }

    #[test]
    fn what_is_not_a_component_is_refused() {
        let refusal = |bytes: &'static [u8]| {
            Artifact::new(Bytes::from_static(bytes), &description())
                .err()
                .unwrap()
        };
        assert_eq!(
            refusal(b"\0asm\x01\0\0\0").to_string(),
            "it is not a WebAssembly component but a core module: make it one with `wasm-tools component new`"
        );
        assert_eq!(refusal(b"ELF").to_string(), "it is not a WebAssembly component");
        assert_eq!(
            refusal(b"\0asm\x0d\0\x01\0\xff\xff").to_string(),
            "it is not a WebAssembly component, or it is damaged"
        );
    }

    #[test]
    fn other_artifacts_are_refused_with_what_they_are() {
        let digest = Digest::of(b"");
        let with = |layers: &str| {
            refusal(&format!(
                r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{digest}","size":1}},"layers":[{layers}]}}"#
            ))
        };
        let layer = |media_type: &str, size: u64| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        };
        assert_eq!(
            with(&layer("application/vnd.oci.image.layer.v1.tar+gzip", 5)),
            "it is not a Wasm artifact but has a layer of type application/vnd.oci.image.layer.v1.tar+gzip: push \
             components with `windlass push` or `wkg oci push`"
        );
        assert!(with("").contains("but has no layers"));
        assert!(with(&[layer(LAYER_TYPE, 1), layer(LAYER_TYPE, 1)].join(",")).contains("2 layers of types"));
        assert_eq!(
            with(&layer(LAYER_TYPE, 11)),
            "it has 11 bytes, more than the 10 that are allowed"
        );
        assert!(refusal(r#"{"schemaVersion":2,"manifests":[]}"#).starts_with("it is an image index"));
        assert!(refusal("<html>").starts_with("the manifest is malformed"));
    }
}
