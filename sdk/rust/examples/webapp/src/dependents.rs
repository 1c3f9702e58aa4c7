//! What a WebApp stands for, and how each object is made and kept so.

use windlass_sdk::json::Document;
use windlass_sdk::{Error, Lister, Object, Snapshot, StringMap, SyncContext, recorder};

use crate::types::{
    ConfigMap, Container, ContainerPort, Deployment, EnvFrom, LocalReference, Service, ServicePort,
    TargetPort, WebApp,
};

/// A kind of object that a WebApp owns one of, under its own name.
pub(crate) trait Dependent: Object {
    /// Whether the fields that the controller sets are as the WebApp wants them. All others
    /// are left to whoever else sets them.
    fn is_as_wanted(&self, app: &WebApp) -> bool;

    /// Sets those fields.
    fn set(app: &WebApp, object: &mut Document) -> serde_json::Result<()>;
}

/// Makes the object if it is missing, and corrects it if it has drifted.
pub(crate) async fn ensure<T: Dependent>(
    sync: &SyncContext,
    app: &WebApp,
    lister: Lister<T>,
) -> Result<(), Error> {
    let key = app.key();
    let Some(present) = lister.typed::<Snapshot<T>>().get(&key)? else {
        let object = new::<T>(app).map_err(unwritable)?;
        sync.client::<T>().create(&key.namespace, object).await?;
        recorder::normal(app, "Created", format!("Created {} {}", T::KIND, key.name));
        return Ok(());
    };
    if !present.meta().is_controlled_by(&app.metadata.uid) {
        return Err(Error::Terminal(format!(
            "{} {key} exists and belongs to somebody else",
            T::KIND
        )));
    }
    if present.is_as_wanted(app) || present.meta().is_deleting() {
        return Ok(());
    }
    let mut object = present.document();
    T::set(app, &mut object).map_err(unwritable)?;
    sync.client::<T>().update(&key, object).await?;
    recorder::normal(app, "Drifted", format!("Corrected {} {}", T::KIND, key.name));
    Ok(())
}

fn new<T: Dependent>(app: &WebApp) -> serde_json::Result<Document> {
    let mut object = Document::new("{}");
    object.set(&["apiVersion"], &T::RESOURCE.api_version())?;
    object.set(&["kind"], &T::KIND)?;
    object.set(&["metadata", "name"], &app.metadata.name)?;
    object.set(&["metadata", "namespace"], &app.metadata.namespace)?;
    object.set(&["metadata", "ownerReferences"], &[app.controller_reference()])?;
    T::set(app, &mut object)?;
    Ok(object)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::Terminal(format!("the object cannot be written: {error}"))
}

fn labels(app: &WebApp) -> StringMap {
    StringMap::from([("app".to_owned(), app.metadata.name.clone())])
}

fn is_labelled(object: &impl Object, app: &WebApp) -> bool {
    object.meta().labels.get("app") == Some(&app.metadata.name)
}

fn label(app: &WebApp, object: &mut Document) -> serde_json::Result<()> {
    object.set(&["metadata", "labels", "app"], &app.metadata.name)
}

impl Dependent for ConfigMap {
    fn is_as_wanted(&self, app: &WebApp) -> bool {
        is_labelled(self, app) && self.data == app.spec.config
    }

    fn set(app: &WebApp, object: &mut Document) -> serde_json::Result<()> {
        label(app, object)?;
        object.set(&["data"], &app.spec.config)
    }
}

impl Dependent for Deployment {
    fn is_as_wanted(&self, app: &WebApp) -> bool {
        is_labelled(self, app)
            && self.spec.replicas == app.spec.replicas
            && self.spec.template.spec.containers == [container(app)]
    }

    fn set(app: &WebApp, object: &mut Document) -> serde_json::Result<()> {
        label(app, object)?;
        object.set(&["spec", "replicas"], &app.spec.replicas)?;
        object.set(&["spec", "selector", "matchLabels"], &labels(app))?;
        object.set(&["spec", "template", "metadata", "labels"], &labels(app))?;
        object.set(&["spec", "template", "spec", "containers"], &[container(app)])
    }
}

fn container(app: &WebApp) -> Container {
    Container {
        name: "web".to_owned(),
        image: app.spec.image.clone(),
        ports: vec![ContainerPort {
            container_port: app.spec.port,
        }],
        env_from: vec![EnvFrom {
            config_map_ref: LocalReference {
                name: app.metadata.name.clone(),
            },
        }],
    }
}

impl Dependent for Service {
    fn is_as_wanted(&self, app: &WebApp) -> bool {
        is_labelled(self, app) && self.spec.selector == labels(app) && self.spec.ports == [port(app)]
    }

    fn set(app: &WebApp, object: &mut Document) -> serde_json::Result<()> {
        label(app, object)?;
        object.set(&["spec", "selector"], &labels(app))?;
        object.set(&["spec", "ports"], &[port(app)])
    }
}

fn port(app: &WebApp) -> ServicePort {
    ServicePort {
        port: app.spec.port,
        target_port: Some(TargetPort::Number(app.spec.port)),
    }
}
