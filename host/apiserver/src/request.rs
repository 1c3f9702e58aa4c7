//! What a request asks for, read off its method and path
//! (`staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;

use crate::authentication::User;
use crate::object::Key;
use crate::query::{Plus, Query, decode};
use crate::resource::{Resource, ResourceSpec};
use crate::status::Status;

/// The verb as authorisation knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it may change something.
    pub(crate) fn mutates(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// The path of a resource request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResourcePath<'a> {
    /// `v1` or `apps/v1`.
    pub(crate) group_version: &'a str,
    /// Empty for cluster-scoped objects and for all namespaces.
    pub(crate) namespace: Cow<'a, str>,
    pub(crate) plural: &'a str,
    /// Empty for collections.
    pub(crate) name: Cow<'a, str>,
    pub(crate) subresource: &'a str,
}

/// Splits a path into what it names; `None` if it is no resource path.
pub(crate) fn parse_path(path: &str) -> Option<ResourcePath<'_>> {
    let (group_version, rest) = split_group_version(path)?;
    let mut parts: smallvec::SmallVec<[&str; 6]> = rest.split('/').collect();
    if parts.last() == Some(&"") {
        parts.pop();
    }
    let mut namespace = Cow::Borrowed("");
    if let ["namespaces", name, inner, ..] = parts.as_slice() {
        if !matches!(*inner, "status" | "finalize") || parts.len() > 3 {
            namespace = decode(name, Plus::Itself);
            parts.drain(..2);
        }
    }
    let (plural, name, subresource) = match parts.as_slice() {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return None,
    };
    Some(ResourcePath {
        group_version,
        namespace,
        plural,
        name: decode(name, Plus::Itself),
        subresource,
    })
}

fn split_group_version(path: &str) -> Option<(&str, &str)> {
    if let Some(rest) = path.strip_prefix("/api/") {
        return rest.split_once('/').filter(|(_, rest)| !rest.is_empty());
    }
    let rest = path.strip_prefix("/apis/")?;
    let group_end = rest.find('/')?;
    let version_end = group_end + 1 + rest[group_end + 1..].find('/')?;
    let after = &rest[version_end + 1..];
    (!after.is_empty()).then(|| (&rest[..version_end], after))
}

/// The verb of a resource request.
pub(crate) fn verb(method: &Method, path: &ResourcePath<'_>, query: Query<'_>) -> Option<Verb> {
    let collection = path.name.is_empty();
    Some(match *method {
        Method::GET | Method::HEAD if query.flag("watch") && path.subresource.is_empty() => Verb::Watch,
        Method::GET | Method::HEAD if collection => Verb::List,
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ => return None,
    })
}

/// A request for a resource, past authentication and with its body read.
pub(crate) struct Request<'a> {
    pub(crate) resource: Arc<Resource>,
    pub(crate) verb: Verb,
    pub(crate) path: ResourcePath<'a>,
    pub(crate) query: Query<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: User,
    /// What the client is told beside the answer.
    pub(crate) warnings: Mutex<Vec<String>>,
}

impl Request<'_> {
    pub(crate) fn spec(&self) -> &ResourceSpec {
        &self.resource.spec
    }

    /// Tells the client something beside the answer, once.
    pub(crate) fn warn(&self, texts: impl Iterator<Item = String>) {
        let mut warnings = self.warnings.lock();
        for text in texts {
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }

    /// Where the object named by the path is stored.
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.path.namespace, &self.path.name)
    }

    /// The namespace to read; `None` for all.
    pub(crate) fn scope(&self) -> Option<&str> {
        (!self.path.namespace.is_empty()).then(|| self.path.namespace.as_ref())
    }

    /// Whether nothing is to be stored.
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        let mut dry_run = false;
        for (_, value) in self
            .query
            .pairs()
            .filter(|(key, value)| key == "dryRun" && !value.is_empty())
        {
            if value != "All" {
                return Err(unsupported_dry_run(self.spec(), &value));
            }
            dry_run = true;
        }
        Ok(dry_run)
    }
}

/// 422 for a `dryRun` other than `All`.
pub(crate) fn unsupported_dry_run(spec: &ResourceSpec, value: &str) -> Status {
    let message = format!("Unsupported value: \"{value}\": supported values: \"All\"");
    Status::invalid_field(spec, "", "FieldValueNotSupported", "dryRun", &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Option<(&str, String, &str, String, &str)> {
        let path = parse_path(path)?;
        Some((
            path.group_version,
            path.namespace.into_owned(),
            path.plural,
            path.name.into_owned(),
            path.subresource,
        ))
    }

    #[test]
    fn paths_name_resources() {
        let own = str::to_owned;
        for (path, expected) in [
            ("/api/v1/pods", ("v1", "", "pods", "", "")),
            ("/api/v1/namespaces", ("v1", "", "namespaces", "", "")),
            ("/api/v1/namespaces/x", ("v1", "", "namespaces", "x", "")),
            (
                "/api/v1/namespaces/x/finalize",
                ("v1", "", "namespaces", "x", "finalize"),
            ),
            ("/api/v1/namespaces/x/pods/", ("v1", "x", "pods", "", "")),
            (
                "/api/v1/namespaces/x/pods/p/binding",
                ("v1", "x", "pods", "p", "binding"),
            ),
            (
                "/apis/apps/v1/namespaces/x/deployments/d",
                ("apps/v1", "x", "deployments", "d", ""),
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                (
                    "rbac.authorization.k8s.io/v1",
                    "",
                    "clusterroles",
                    "system:node",
                    "",
                ),
            ),
        ] {
            let (group_version, namespace, plural, name, subresource) = expected;
            assert_eq!(
                parsed(path),
                Some((group_version, own(namespace), plural, own(name), subresource)),
                "{path}"
            );
        }
        for path in [
            "/api",
            "/api/v1",
            "/apis/apps/v1",
            "/apis/apps/v1/",
            "/healthz",
            "/api/v1/pods/a/b/c",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
    }
}
