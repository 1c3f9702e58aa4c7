//! Names of things at the API server: resources, kinds and object keys.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// What names a collection, such as `apps/v1 deployments`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: SmolStr,
    /// API version, such as `v1`.
    pub version: SmolStr,
    /// Plural name, such as `deployments`.
    pub plural: SmolStr,
}

impl Resource {
    /// Builds a resource from its three names.
    #[must_use]
    pub fn new(group: &str, version: &str, plural: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
        }
    }

    /// `v1` for the core group, `group/version` otherwise: the `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The URL path of the collection, over all namespaces when `namespace` is empty.
    #[must_use]
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let group = if self.group.is_empty() {
            String::new()
        } else {
            format!("/{}", self.group)
        };
        let scope = if namespace.is_empty() {
            String::new()
        } else {
            format!("/namespaces/{namespace}")
        };
        format!("{root}{group}/{}{scope}/{}", self.version, self.plural)
    }
}

impl fmt::Display for Resource {
    /// `deployments.apps`, or `pods` for the core group, as Kubernetes prints group resources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.group)
        }
    }
}

/// A resource as discovery describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceInfo {
    /// Its name.
    pub resource: Resource,
    /// The kind of its objects, such as `Deployment`.
    pub kind: SmolStr,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// What names an object within a resource, and what a work queue holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Empty for cluster-scoped objects.
    pub namespace: SmolStr,
    /// The object's name.
    pub name: SmolStr,
}

impl ObjectKey {
    /// Builds a key.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}
