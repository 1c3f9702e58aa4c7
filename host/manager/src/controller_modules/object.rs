//! One `ControllerModule`, as far as the host reads it.

use serde::Deserialize;
use serde_json::Value;
use smol_str::SmolStr;
use windlass_core::object::Object;

use super::status::ControllerModuleStatus;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerModule {
    /// Its name, and its module's.
    pub name: SmolStr,
    /// Another one after it was deleted and created again.
    pub uid: SmolStr,
    /// Of its spec.
    pub generation: i64,
    /// Of all of it.
    pub resource_version: u64,
    /// Whether it is being deleted, and waits for a finalizer.
    pub deleting: bool,
    /// What is asked for; null if there is none.
    pub spec: Value,
    /// What was said about it; empty if that cannot be read.
    pub status: ControllerModuleStatus,
}

#[derive(Deserialize)]
struct Body {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    generation: i64,
}

impl ControllerModule {
    /// Reads an object.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(object: &Object) -> Result<Self, serde_json::Error> {
        let body: Body = serde_json::from_slice(object.body())?;
        Ok(Self {
            name: object.key().name.clone(),
            uid: object.uid().into(),
            generation: body.metadata.generation,
            resource_version: object.resource_version(),
            deleting: object.deleting(),
            spec: body.spec,
            // Who else wrote there has to be put right, and nothing of it is needed.
            status: serde_json::from_value(body.status).unwrap_or_default(),
        })
    }
}
