//! `windlass record`: `windlass run`, recorded.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use windlass_core::key::ObjectKey;
use windlass_manager::record::{Recorder, RecordingOptions};

use super::run;
use crate::args::RecordArgs;
use crate::logging::Logging;

pub(crate) async fn record(args: RecordArgs, logging: &Logging) -> anyhow::Result<ExitCode> {
    let dir = open(&args.output).with_context(|| {
        format!(
            "cannot write to {}; name another folder with --output",
            args.output.display()
        )
    })?;
    let options = RecordingOptions {
        dir,
        modules: args.module.iter().map(Into::into).collect(),
        keys: args.key.iter().map(|key| parse_key(key)).collect(),
        window: args.window,
        include_secrets: args.include_secrets,
        max_bytes: args.max_size,
    };
    let window = args.window;
    let over = async move {
        match window {
            Some(window) => tokio::time::sleep(window).await,
            None => std::future::pending().await,
        }
    };
    run::until(args.run, logging, over, || Some(Arc::new(Recorder::new(options)))).await
}

fn open(folder: &Path) -> std::io::Result<Dir> {
    std::fs::create_dir_all(folder)?;
    Dir::open_ambient_dir(folder, ambient_authority())
}

/// `namespace/name`, or the name alone for what has no namespace.
fn parse_key(text: &str) -> ObjectKey {
    let (namespace, name) = text.split_once('/').unwrap_or(("", text));
    ObjectKey::new(namespace, name)
}
