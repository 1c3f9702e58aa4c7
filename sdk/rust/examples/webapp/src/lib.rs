//! Turns each `WebApp` into a Deployment, a Service and a ConfigMap of its name, and keeps
//! them so.

mod dependents;
#[cfg(test)]
mod tests;
mod types;

use windlass_sdk::{
    Condition, ConditionStatus, Controller, DeleteOptions, Error, Lister, Manifest, Object, ObjectKey,
    Orphans, Outcome, Preconditions, Snapshot, SyncContext, Watch, default_delete, export,
};

use dependents::ensure;
use types::{ConfigMap, Deployment, Service, WebApp};

const FINALIZER: &str = "examples.windlass.dev/webapp";

const WEB_APPS: Lister<Snapshot<WebApp>> = Lister::new(0);
const CONFIG_MAPS: Lister<ConfigMap> = Lister::new(1);
const DEPLOYMENTS: Lister<Deployment> = Lister::new(2);
const SERVICES: Lister<Service> = Lister::new(3);

struct WebApps;

impl Controller for WebApps {
    fn manifest() -> Manifest {
        let everything = &["create", "update", "delete"];
        Manifest::new("webapp-rust", env!("CARGO_PKG_VERSION"))
            .watch(Watch::new::<WebApp>().enqueue_itself())
            .watch(owned::<ConfigMap>())
            .watch(owned::<Deployment>())
            .watch(owned::<Service>())
            .workers(10)
            .permit(&["examples.windlass.dev"], &["webapps"], &["patch"])
            .permit(
                &["examples.windlass.dev"],
                &["webapps/status", "webapps/finalizers"],
                &["update"],
            )
            .permit(&[""], &["configmaps", "services"], everything)
            .permit(&["apps"], &["deployments"], everything)
    }

    fn new() -> Self {
        Self
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        let Some(app) = WEB_APPS.get(&key)? else {
            return Ok(Outcome::Done);
        };
        if app.metadata.is_deleting() {
            finalize(sync, &app).await?;
        } else if app.metadata.has_finalizer(FINALIZER) {
            let ensured = ensure_all(sync, &app).await;
            update_status(sync, &app, &ensured).await?;
            ensured?;
        } else {
            // What this leads to syncs the key again.
            sync.client::<WebApp>().add_finalizer(&app, FINALIZER).await?;
        }
        Ok(Outcome::Done)
    }
}

fn owned<T: Object>() -> Watch {
    Watch::new::<T>().enqueue_owner::<WebApp>(Orphans::Ignore)
}

async fn ensure_all(sync: &SyncContext, app: &WebApp) -> Result<(), Error> {
    ensure(sync, app, CONFIG_MAPS).await?;
    ensure(sync, app, DEPLOYMENTS).await?;
    ensure(sync, app, SERVICES).await
}

/// Takes the Service away before anything else goes, so that nobody is sent to pods that end.
async fn finalize(sync: &SyncContext, app: &WebApp) -> Result<(), Error> {
    if !app.metadata.has_finalizer(FINALIZER) {
        return Ok(());
    }
    let service = SERVICES.get(&app.key())?;
    let Some(service) = service.filter(|service| service.metadata.is_controlled_by(&app.metadata.uid)) else {
        return match sync.client::<WebApp>().remove_finalizer(app, FINALIZER).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        };
    };
    if service.metadata.is_deleting() {
        return Ok(());
    }
    let this_one = DeleteOptions {
        preconditions: Preconditions {
            uid: Some(service.metadata.uid.clone()),
            resource_version: None,
        },
        ..default_delete()
    };
    match sync.client::<Service>().delete(&service.key(), this_one).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn update_status(
    sync: &SyncContext,
    app: &Snapshot<WebApp>,
    ensured: &Result<(), Error>,
) -> Result<(), Error> {
    let key = app.key();
    let deployment = DEPLOYMENTS.get(&key)?;
    let ours = deployment.filter(|deployment| deployment.metadata.is_controlled_by(&app.metadata.uid));
    let ready_replicas = ours.map_or(0, |deployment| deployment.status.ready_replicas);
    let wanted = app.spec.replicas;
    let mut ready = match ensured {
        Err(Error::Terminal(message)) => {
            Condition::new("Ready", ConditionStatus::False, "NameTaken", message)
        }
        _ if ready_replicas == wanted => Condition::new("Ready", ConditionStatus::True, "AllReady", ""),
        _ => {
            let message = format!("{ready_replicas} of {wanted} replicas are ready");
            Condition::new("Ready", ConditionStatus::False, "Progressing", message)
        }
    };
    ready.observed_generation = Some(app.metadata.generation);
    let mut status = app.status.clone();
    status.observed_generation = app.metadata.generation;
    status.ready_replicas = ready_replicas;
    Condition::set(&mut status.conditions, ready);
    if status == app.status {
        return Ok(());
    }
    let mut object = app.document();
    object
        .set(&["status"], &status)
        .map_err(|error| Error::Terminal(format!("the status cannot be written: {error}")))?;
    sync.client::<WebApp>().update_status(&key, object).await?;
    Ok(())
}

export!(WebApps);
