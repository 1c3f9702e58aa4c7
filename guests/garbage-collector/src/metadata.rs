//! The metadata that the garbage collector reads: once borrowed from what is observed,
//! once owned from what the API server answers.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use windlass_sdk::{OwnerReference, null_as_default};

use crate::identity::{OwnerRef, Symbol, Uid};

/// Finalizer that holds an object until its dependents were orphaned.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer that holds an object until its blocking dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// What an observed object says, as far as the graph asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) uid: Uid,
    pub(crate) name: Box<str>,
    pub(crate) namespace: Symbol,
    pub(crate) owners: Box<[OwnerRef]>,
    pub(crate) state: DeletionState,
}

/// How far an object's deletion is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeletionState {
    /// It has a deletion timestamp.
    pub(crate) being_deleted: bool,
    /// And waits for its dependents to be orphaned.
    pub(crate) orphaning: bool,
    /// And waits for its dependents to be deleted.
    pub(crate) deleting_dependents: bool,
}

impl DeletionState {
    fn of<'f>(being_deleted: bool, finalizers: impl Iterator<Item = &'f str> + Clone) -> Self {
        let has = |name: &str| being_deleted && finalizers.clone().any(|finalizer| finalizer == name);
        Self {
            being_deleted,
            orphaning: has(ORPHAN),
            deleting_dependents: has(FOREGROUND),
        }
    }
}

#[derive(Deserialize)]
struct WireObject<'a> {
    #[serde(borrow)]
    metadata: WireMetadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow, default)]
    finalizers: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<WireOwner<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOwner<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
    #[serde(default)]
    block_owner_deletion: Option<bool>,
}

impl Observed {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let metadata = serde_json::from_slice::<WireObject<'_>>(body)?.metadata;
        let finalizers = metadata.finalizers.unwrap_or_default();
        Ok(Self {
            uid: Uid::new(&metadata.uid),
            name: metadata.name.into(),
            namespace: Symbol::new(&metadata.namespace),
            owners: metadata
                .owner_references
                .unwrap_or_default()
                .iter()
                .map(WireOwner::keep)
                .collect(),
            state: DeletionState::of(
                metadata.deletion_timestamp.is_some(),
                finalizers.iter().map(|finalizer| &**finalizer),
            ),
        })
    }
}

impl WireOwner<'_> {
    fn keep(&self) -> OwnerRef {
        OwnerRef {
            uid: Uid::new(&self.uid),
            api_version: Symbol::new(&self.api_version),
            kind: Symbol::new(&self.kind),
            name: (&*self.name).into(),
            controller: self.controller,
            block_owner_deletion: self.block_owner_deletion,
        }
    }
}

/// An object as a live read gives it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LiveObject {
    pub(crate) metadata: LiveMetadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LiveMetadata {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) finalizers: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) owner_references: Vec<OwnerReference>,
}

impl LiveMetadata {
    pub(crate) fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == name)
    }

    pub(crate) fn is_deleting_dependents(&self) -> bool {
        self.deletion_timestamp.is_some() && self.has_finalizer(FOREGROUND)
    }
}
