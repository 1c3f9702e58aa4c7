//! Typed calls to the API server.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::host;
use crate::json::Document;
use crate::object::{ApiResource, Object, ObjectKey};

pub use crate::bindings::controller::windlass::controller::clientset::{
    DeleteOptions, ListOptions, PatchType, Preconditions, PropagationPolicy,
};

/// One running sync. The host learns through it which key an API call belongs to.
#[derive(Clone, Copy, Debug)]
pub struct SyncContext {
    id: u64,
}

impl SyncContext {
    /// For calls outside any sync, such as those of `start`.
    pub const NONE: Self = Self { id: 0 };

    pub(crate) fn new(id: u64) -> Self {
        Self { id }
    }
}

/// One call, as the host module carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) sync: u64,
    pub(crate) resource: ApiResource,
    pub(crate) key: ObjectKey,
    pub(crate) subresource: &'static str,
    pub(crate) verb: Verb,
}

/// What a call does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List(ListOptions),
    Create(Vec<u8>),
    Update(Vec<u8>),
    Patch(PatchType, Vec<u8>),
    Delete(DeleteOptions),
}

/// A body to send: JSON text, or anything that serialises to it.
pub trait Body {
    /// The JSON.
    fn into_json(self) -> Result<Vec<u8>, serde_json::Error>;
}

impl Body for Document {
    fn into_json(self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(self.into_bytes())
    }
}

impl<T: Serialize + ?Sized> Body for &T {
    fn into_json(self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Calls about one kind of object, on behalf of one sync. Calls of one sync may be in
/// flight together; see [`join_all`](crate::join_all).
#[derive(Clone, Copy, Debug)]
pub struct Client<T> {
    sync: u64,
    resource: ApiResource,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Client<T> {
    /// Calls about a resource whose answers are read as `T`, which need not be an [`Object`].
    #[must_use]
    pub fn of(sync: &SyncContext, resource: ApiResource) -> Self {
        Self {
            sync: sync.id,
            resource,
            kind: PhantomData,
        }
    }

    /// A live read, not from the cache.
    pub async fn get(&self, key: &ObjectKey) -> Result<T, ApiError> {
        self.call(key, "", Verb::Get).await
    }

    /// One page of a live list, read as whatever a list of this kind is to the caller.
    pub async fn list<L: DeserializeOwned>(&self, options: ListOptions) -> Result<L, ApiError> {
        let key = ObjectKey::new(options.namespace.clone(), "");
        parse(&host::call(self.request(&key, "", Verb::List(options))).await?)
    }

    /// Creates an object; its name, or what it is generated from, is in the body.
    pub async fn create(&self, namespace: &str, body: impl Body) -> Result<T, ApiError> {
        self.call(&ObjectKey::new(namespace, ""), "", Verb::Create(json(body)?))
            .await
    }

    /// Posts to a subresource, such as `binding`. The answer is dropped.
    pub async fn create_subresource(
        &self,
        key: &ObjectKey,
        name: &'static str,
        body: impl Body,
    ) -> Result<(), ApiError> {
        host::call(self.request(key, name, Verb::Create(json(body)?)))
            .await
            .map(drop)
    }

    /// Replaces an object. With `metadata.resourceVersion` in the body a change in
    /// between is a conflict.
    pub async fn update(&self, key: &ObjectKey, body: impl Body) -> Result<T, ApiError> {
        self.call(key, "", Verb::Update(json(body)?)).await
    }

    /// Replaces an object's status.
    pub async fn update_status(&self, key: &ObjectKey, body: impl Body) -> Result<T, ApiError> {
        self.call(key, "status", Verb::Update(json(body)?)).await
    }

    /// Patches an object.
    pub async fn patch(
        &self,
        key: &ObjectKey,
        patch_type: PatchType,
        body: impl Body,
    ) -> Result<T, ApiError> {
        self.call(key, "", Verb::Patch(patch_type, json(body)?)).await
    }

    /// Patches an object's status.
    pub async fn patch_status(
        &self,
        key: &ObjectKey,
        patch_type: PatchType,
        body: impl Body,
    ) -> Result<T, ApiError> {
        self.call(key, "status", Verb::Patch(patch_type, json(body)?))
            .await
    }

    /// Deletes an object. [`default_delete`] leaves every choice to the server.
    pub async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<(), ApiError> {
        host::call(self.request(key, "", Verb::Delete(options)))
            .await
            .map(drop)
    }

    async fn call(&self, key: &ObjectKey, subresource: &'static str, verb: Verb) -> Result<T, ApiError> {
        parse(&host::call(self.request(key, subresource, verb)).await?)
    }

    fn request(&self, key: &ObjectKey, subresource: &'static str, verb: Verb) -> Call {
        Call {
            sync: self.sync,
            resource: self.resource,
            key: key.clone(),
            subresource,
            verb,
        }
    }
}

impl<T: Object> Client<T> {
    pub(crate) fn new(sync: &SyncContext) -> Self {
        Self::of(sync, T::RESOURCE)
    }

    /// Keeps an object from going until [`remove_finalizer`](Self::remove_finalizer). A
    /// change in between is a conflict.
    pub async fn add_finalizer(&self, object: &impl Object, finalizer: &str) -> Result<T, ApiError> {
        let mut finalizers = object.meta().finalizers.clone();
        finalizers.push(finalizer.to_owned());
        self.set_finalizers(object, finalizers).await
    }

    /// Lets an object go as far as this finalizer is concerned. A change in between is a
    /// conflict.
    pub async fn remove_finalizer(&self, object: &impl Object, finalizer: &str) -> Result<T, ApiError> {
        let mut finalizers = object.meta().finalizers.clone();
        finalizers.retain(|present| present != finalizer);
        self.set_finalizers(object, finalizers).await
    }

    async fn set_finalizers(&self, object: &impl Object, finalizers: Vec<String>) -> Result<T, ApiError> {
        let patch = MetadataPatch {
            metadata: Finalizers {
                resource_version: &object.meta().resource_version,
                finalizers,
            },
        };
        self.patch(&object.key(), PatchType::MergePatch, &patch).await
    }
}

#[derive(Serialize)]
struct MetadataPatch<'a> {
    metadata: Finalizers<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finalizers<'a> {
    resource_version: &'a str,
    finalizers: Vec<String>,
}

/// Deletes as the resource does by default.
#[must_use]
pub fn default_delete() -> DeleteOptions {
    DeleteOptions {
        propagation_policy: None,
        grace_period_seconds: None,
        preconditions: Preconditions {
            uid: None,
            resource_version: None,
        },
    }
}

fn json(body: impl Body) -> Result<Vec<u8>, ApiError> {
    body.into_json().map_err(|error| ApiError::undecodable(&error))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::undecodable(&error))
}
