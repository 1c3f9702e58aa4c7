//! Registries as the user of a command meets them: with the credentials that Docker keeps.

use std::io::ErrorKind;

use anyhow::Context;
use windlass_registry::cache::Cache;
use windlass_registry::client::{Client, Error, Options};
use windlass_registry::credentials::{Credentials, Helpers};
use windlass_registry::reference::Reference;
use windlass_registry::remote::RemoteError;

use crate::args::RegistryArgs;
use crate::guests::{PATIENCE, docker_folder};

/// A client for one command.
pub(crate) async fn client(
    reference: &Reference,
    args: &RegistryArgs,
    cache: Option<Cache>,
) -> anyhow::Result<Client> {
    let registry = reference.repository().registry();
    Ok(Client::new(Options {
        credentials: credentials().await?,
        insecure_registries: if args.plain_http {
            vec![registry.to_owned()]
        } else {
            Vec::new()
        },
        cache,
        ..Options::default()
    })?)
}

async fn credentials() -> anyhow::Result<Credentials> {
    let Some(folder) = docker_folder() else {
        return Ok(Credentials::anonymous());
    };
    let file = folder.join("config.json");
    match tokio::fs::read(&file).await {
        Ok(config) => Credentials::from_docker_config(&config, Helpers::Run)
            .with_context(|| format!("cannot use {}", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Credentials::anonymous()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// What went wrong, with what to do about it here.
pub(crate) fn explain(error: &Error) -> anyhow::Error {
    // The message has its causes in it.
    match error {
        Error::Remote {
            source: RemoteError::Tls { .. },
            ..
        } => {
            anyhow::anyhow!("{error} (`--plain-http` does without TLS)")
        }
        _ => anyhow::anyhow!("{error}"),
    }
}

/// Tells what takes so long when something does.
pub(crate) async fn patiently<T>(busy: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            anstream::eprintln!("{busy}");
            work.await
        }
    }
}
