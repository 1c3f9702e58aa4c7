//! What the server knows of a resource: its names, how it is stored, and so which verbs
//! it has. Routes and discovery are read off these.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use smol_str::SmolStr;

use crate::custom::CustomRules;
use crate::events;
use crate::object::{Draft, Head, Stored};
use crate::request::Verb;
use crate::reviews::Review;
use crate::store::Collection;
use crate::types::selectors;

/// Names and shape of a resource.
#[derive(Clone, Debug)]
pub(crate) struct ResourceSpec {
    pub(crate) group: SmolStr,
    pub(crate) version: SmolStr,
    pub(crate) plural: SmolStr,
    pub(crate) singular: SmolStr,
    pub(crate) kind: SmolStr,
    pub(crate) list_kind: SmolStr,
    pub(crate) short_names: Vec<SmolStr>,
    pub(crate) categories: Vec<SmolStr>,
    pub(crate) namespaced: bool,
    pub(crate) subresources: Vec<Subresource>,
}

impl ResourceSpec {
    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> SmolStr {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            smol_str::format_smolstr!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`, as messages name it.
    pub(crate) fn group_resource(&self) -> SmolStr {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            smol_str::format_smolstr!("{}.{}", self.plural, self.group)
        }
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// A part of an object with an endpoint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subresource {
    Status,
    Scale,
    Binding,
    Eviction,
    Finalize,
}

impl Subresource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Finalize => "finalize",
        }
    }

    pub(crate) fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Status | Self::Scale => &[Verb::Get, Verb::Patch, Verb::Update],
            Self::Binding | Self::Eviction => &[Verb::Create],
            Self::Finalize => &[Verb::Update],
        }
    }

    /// Group, version and kind of what is exchanged, where it is not the resource's own.
    pub(crate) fn kind(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Status | Self::Finalize => None,
            Self::Scale => Some(("autoscaling", "v1", "Scale")),
            Self::Binding => Some(("", "v1", "Binding")),
            Self::Eviction => Some(("policy", "v1", "Eviction")),
        }
    }
}

/// What stands behind a resource.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// Objects.
    Objects(Arc<Collection>),
    /// Questions that are answered and not kept.
    Review(Review),
    /// The legacy way to bind pods.
    Bindings,
}

/// How stored objects look under this resource.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// As stored.
    Stored,
    /// Stored under another version of the same schema.
    Version(Head),
    /// `events.k8s.io/v1` over core events.
    Events,
}

/// A resource as served.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) spec: ResourceSpec,
    pub(crate) storage: Storage,
    pub(crate) view: View,
    /// The beginning of stored bodies.
    pub(crate) head: Head,
    /// Present for custom resources.
    pub(crate) custom: Option<CustomRules>,
}

impl Resource {
    /// The verbs that its storage supports.
    pub(crate) fn verbs(&self) -> &'static [Verb] {
        match self.storage {
            Storage::Objects(_) => &Verb::ALL,
            Storage::Review(_) | Storage::Bindings => &[Verb::Create],
        }
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<Subresource> {
        self.spec
            .subresources
            .iter()
            .copied()
            .find(|subresource| subresource.name() == name)
    }

    /// Its objects, if it keeps any.
    pub(crate) fn collection(&self) -> Option<&Arc<Collection>> {
        match &self.storage {
            Storage::Objects(collection) => Some(collection),
            Storage::Review(_) | Storage::Bindings => None,
        }
    }

    /// Encodes an object of this resource for its collection.
    pub(crate) fn encode(&self, object: &Value) -> Draft {
        match self.view {
            View::Events => {
                let core = events::to_core(object);
                let fields = selectors::fields("", "Event", &core);
                Draft::encode(&self.head, &core, fields)
            }
            View::Stored | View::Version(_) => Draft::encode(
                &self.head,
                object,
                selectors::fields(&self.spec.group, &self.spec.kind, object),
            ),
        }
    }

    /// A stored object as this resource shows it.
    pub(crate) fn body(&self, stored: &Stored) -> Bytes {
        match &self.view {
            _ if self.is_outdated(stored) => self.value(stored).to_string().into(),
            View::Stored => stored.body().clone(),
            View::Version(head) => stored.under(head),
            View::Events => events::from_core(&stored.parse()).to_string().into(),
        }
    }

    /// A stored object as this resource shows it, parsed.
    pub(crate) fn value(&self, stored: &Stored) -> Value {
        match &self.view {
            View::Stored | View::Version(_) => {
                let mut value = stored.parse();
                if let Some(custom) = &self.custom {
                    value["apiVersion"] = self.spec.api_version().as_str().into();
                    if custom.is_outdated(stored) {
                        custom.renew(&mut value);
                    }
                }
                value
            }
            View::Events => events::from_core(&stored.parse()),
        }
    }

    /// Whether an object was stored under an earlier schema or as another version.
    fn is_outdated(&self, stored: &Stored) -> bool {
        let outdated = |custom: &CustomRules| custom.is_outdated(stored);
        self.custom.as_ref().is_some_and(outdated)
    }
}
