//! Plugins through the contract's imports. A native build has nobody to call; there,
//! other implementations of [`PluginCalls`] stand in for plugins.

#[cfg(target_arch = "wasm32")]
mod imports;

use crate::external::{Available, PluginCalls};

/// The plugins of this module.
pub(super) fn available() -> Vec<Available> {
    #[cfg(target_arch = "wasm32")]
    return imports::available();
    #[cfg(not(target_arch = "wasm32"))]
    Vec::new()
}

/// How to call them.
pub(super) fn calls() -> Box<dyn PluginCalls> {
    #[cfg(target_arch = "wasm32")]
    return Box::new(imports::Imports);
    #[cfg(not(target_arch = "wasm32"))]
    Box::new(crate::external::NoPlugins)
}
