//! The targets, by what hands the host its input.

pub(crate) mod api_server;
pub(crate) mod component;
pub(crate) mod configuration;
pub(crate) mod controller_module;
pub(crate) mod guest;
pub(crate) mod manifest;
pub(crate) mod recording;
pub(crate) mod registry;
pub(crate) mod selectors;
pub(crate) mod server;
