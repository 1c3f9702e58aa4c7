//! Which resources are served: the built-in ones and, coming and going, custom ones.
//!
//! Requests resolve against an immutable table that is swapped as a whole.

use std::sync::Arc;

use parking_lot::RwLock;
use smol_str::SmolStr;

use crate::builtin::{BUILT_IN, Backing};
use crate::object::Head;
use crate::resource::{Resource, ResourceSpec, Storage, View};
use crate::store::{Collection, Store};

/// Resources of one group and version, in the order of discovery.
pub(crate) type GroupVersion = Vec<Arc<Resource>>;

/// Everything served at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// By `v1` or `apps/v1`, in the order of registration.
    group_versions: indexmap::IndexMap<SmolStr, GroupVersion>,
    /// The versions that custom resources are stored in, where these are not served.
    unserved: Vec<Arc<Resource>>,
}

impl Table {
    fn add(&mut self, resource: Resource) -> Arc<Resource> {
        let resource = Arc::new(resource);
        self.group_versions
            .entry(resource.spec.api_version())
            .or_default()
            .push(Arc::clone(&resource));
        resource
    }

    pub(crate) fn find(&self, group_version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.group_versions
            .get(group_version)?
            .iter()
            .find(|resource| resource.spec.plural == plural)
    }

    pub(crate) fn group_versions(&self) -> impl Iterator<Item = (&SmolStr, &GroupVersion)> {
        self.group_versions.iter()
    }

    pub(crate) fn group_version(&self, group_version: &str) -> Option<&GroupVersion> {
        self.group_versions.get(group_version)
    }

    /// Everything that is served, and what is only stored.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.group_versions.values().flatten().chain(&self.unserved)
    }

    /// Every resource that keeps objects, each collection once, also where the version that
    /// they are stored in is not served.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.all()
            .filter(|resource| matches!((&resource.view, resource.collection()), (View::Stored, Some(_))))
    }

    /// Whether any version of a resource is served.
    pub(crate) fn serves(&self, spec: &ResourceSpec) -> bool {
        let mut served = self.group_versions.values().flatten();
        served.any(|resource| resource.spec.is(&spec.group, &spec.plural))
    }
}

/// What a definition comes to.
#[derive(Debug, Default)]
pub(crate) struct CustomVersions {
    pub(crate) served: Vec<Resource>,
    /// The version that objects are stored in, if it is not among these.
    pub(crate) unserved: Option<Resource>,
}

/// The resources that the server itself works with.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) namespaces: Arc<Resource>,
    pub(crate) pods: Arc<Resource>,
    pub(crate) nodes: Arc<Resource>,
    pub(crate) services: Arc<Resource>,
    pub(crate) service_accounts: Arc<Resource>,
    pub(crate) config_maps: Arc<Resource>,
    pub(crate) events: Arc<Resource>,
    pub(crate) priority_classes: Arc<Resource>,
    pub(crate) disruption_budgets: Arc<Resource>,
    pub(crate) custom_definitions: Arc<Resource>,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    table: RwLock<Arc<Table>>,
    known: Known,
}

impl Registry {
    /// A registry of the built-in resources.
    pub(crate) fn new(store: &Store) -> Self {
        let mut table = Table::default();
        for row in BUILT_IN {
            let spec = row.spec();
            let (storage, view) = match row.backing {
                Backing::Own(trigger) => (Storage::Objects(store.collection(trigger)), View::Stored),
                Backing::CoreEvents => (Storage::Objects(collection(&table, "v1", "events")), View::Events),
                Backing::Review(review) => (Storage::Review(review), View::Stored),
                Backing::Bindings => (Storage::Bindings, View::Stored),
            };
            let api_version = if matches!(view, View::Events) {
                "v1".into()
            } else {
                spec.api_version()
            };
            let head = Head::new(&api_version, &spec.kind);
            table.add(Resource {
                spec,
                storage,
                view,
                head,
                custom: None,
            });
        }
        let known = known(&table);
        Self {
            table: RwLock::new(Arc::new(table)),
            known,
        }
    }

    /// What is served now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    pub(crate) fn find(&self, group_version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.table.read().find(group_version, plural).cloned()
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Replaces the custom resources of one definition; empty lists remove them.
    pub(crate) fn set_custom(&self, group: &str, plural: &str, versions: CustomVersions) {
        let mut slot = self.table.write();
        let mut table = Table::clone(&slot);
        let stays = |resource: &Arc<Resource>| resource.custom.is_none() || !resource.spec.is(group, plural);
        for resources in table.group_versions.values_mut() {
            resources.retain(stays);
        }
        table.unserved.retain(stays);
        for resource in versions.served {
            table.add(resource);
        }
        table.unserved.extend(versions.unserved.map(Arc::new));
        table.group_versions.retain(|_, resources| !resources.is_empty());
        *slot = Arc::new(table);
    }
}

fn resource(table: &Table, group_version: &str, plural: &str) -> Arc<Resource> {
    Arc::clone(
        table
            .find(group_version, plural)
            .expect("the built-in table has every resource the server works with"),
    )
}

fn collection(table: &Table, group_version: &str, plural: &str) -> Arc<Collection> {
    let resource = resource(table, group_version, plural);
    Arc::clone(resource.collection().expect("aliased resources keep objects"))
}

fn known(table: &Table) -> Known {
    Known {
        namespaces: resource(table, "v1", "namespaces"),
        pods: resource(table, "v1", "pods"),
        nodes: resource(table, "v1", "nodes"),
        services: resource(table, "v1", "services"),
        service_accounts: resource(table, "v1", "serviceaccounts"),
        config_maps: resource(table, "v1", "configmaps"),
        events: resource(table, "v1", "events"),
        priority_classes: resource(table, "scheduling.k8s.io/v1", "priorityclasses"),
        disruption_budgets: resource(table, "policy/v1", "poddisruptionbudgets"),
        custom_definitions: resource(table, "apiextensions.k8s.io/v1", "customresourcedefinitions"),
    }
}

/// Groups in the order of discovery, each with its versions.
pub(crate) fn groups(table: &Table) -> indexmap::IndexMap<SmolStr, Vec<(SmolStr, GroupVersion)>> {
    let mut groups: indexmap::IndexMap<SmolStr, Vec<(SmolStr, GroupVersion)>> = indexmap::IndexMap::new();
    for (_, resources) in table.group_versions() {
        let Some(first) = resources.first() else { continue };
        let versions = groups.entry(first.spec.group.clone()).or_default();
        versions.push((first.spec.version.clone(), resources.clone()));
    }
    groups
}
