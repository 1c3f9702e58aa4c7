//! `windlass rbac`: what a host needs at the API server, as objects to create there.

use std::process::ExitCode;

use anyhow::Context;
use windlass_manager::rbac;

use super::config::read_or_default;
use crate::args::RbacArgs;
use crate::guests;
use crate::output::out;

pub(crate) async fn rbac(args: RbacArgs) -> anyhow::Result<ExitCode> {
    let configuration = read_or_default(args.config.as_deref()).await?;
    let modules =
        guests::load_entries(args.cache_dir.as_deref(), args.config.as_deref(), &configuration).await?;
    let objects = rbac::objects(&configuration, &modules, &args.service_account);
    out!("{}", yaml(&objects)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Several objects as one stream of documents.
pub(crate) fn yaml(objects: &[serde_json::Value]) -> anyhow::Result<String> {
    let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    Ok(documents.context("cannot write the roles as YAML")?.join("---\n"))
}
