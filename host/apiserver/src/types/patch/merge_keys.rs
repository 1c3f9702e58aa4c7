//! Which lists of the built-in types merge, and by what key.
//!
//! The facts are the `patchStrategy` and `patchMergeKey` tags of
//! `k8s.io/api/*/v1/types.go`. A property is identified by its name and the
//! name of the property it sits in, which is enough to tell all of them apart
//! once the kind is known. `retainKeys` is not here: it only changes which
//! patches a client writes.

/// How a list in a patch combines with the list in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListRule {
    /// The patch's list takes the place of the document's.
    Atomic,
    /// Scalars that the document lacks are added.
    Set,
    /// Items with the same value of this member are merged.
    Map(&'static str),
}

impl ListRule {
    /// The member that identifies an item; empty for scalars.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Map(key) => key,
            Self::Atomic | Self::Set => "",
        }
    }
}

/// How the list `property` inside `parent` merges for a kind.
pub(super) fn list_rule(group: &str, kind: &str, parent: &str, property: &str) -> ListRule {
    use ListRule::{Map, Set};
    match (parent, property) {
        ("metadata", "finalizers") => Set,
        ("metadata", "ownerReferences") => Map("uid"),
        ("status", "conditions") if conditions_merge(group, kind) => Map("type"),
        ("containers" | "initContainers" | "ephemeralContainers", _) => container_rule(property),
        (_, "volumeMounts") => Map("mountPath"),
        ("spec", "ports") if kind == "Service" => Map("port"),
        ("spec", "podCIDRs") => Set,
        ("spec", "drivers") if kind == "CSINode" => Map("name"),
        ("spec", "resourceClaims") => Map("name"),
        ("spec", "variables") if kind == "ValidatingAdmissionPolicy" => Map("name"),
        (_, "matchConditions") if group == "admissionregistration.k8s.io" => Map("name"),
        (_, "webhooks") if group == "admissionregistration.k8s.io" => Map("name"),
        ("", "secrets") if kind == "ServiceAccount" => Map("name"),
        ("status", "addresses") if kind == "Node" => Map("type"),
        ("status", "podIPs" | "hostIPs") => Map("ip"),
        ("status", "resourceClaimStatuses") => Map("name"),
        ("status", "reservedFor") => Map("uid"),
        (_, "allocatedResourcesStatus") => Map("name"),
        (_, "x-kubernetes-validations") => Map("rule"),
        ("spec", _) => pod_spec_rule(property),
        _ => ListRule::Atomic,
    }
}

/// Whether the map `property` of a kind is replaced instead of merged.
pub(super) fn map_is_replaced(kind: &str, parent: &str, property: &str) -> bool {
    (kind, parent, property) == ("PodDisruptionBudget", "spec", "selector")
}

/// Four kinds declare their conditions without a patch strategy.
fn conditions_merge(group: &str, kind: &str) -> bool {
    !matches!(
        (group, kind),
        ("certificates.k8s.io", "CertificateSigningRequest")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy")
            | ("internal.apiserver.k8s.io", "StorageVersion")
    )
}

fn container_rule(property: &str) -> ListRule {
    match property {
        "env" => ListRule::Map("name"),
        "ports" => ListRule::Map("containerPort"),
        "volumeMounts" => ListRule::Map("mountPath"),
        "volumeDevices" => ListRule::Map("devicePath"),
        _ => ListRule::Atomic,
    }
}

fn pod_spec_rule(property: &str) -> ListRule {
    match property {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "schedulingGates" => ListRule::Map("name"),
        "hostAliases" => ListRule::Map("ip"),
        "topologySpreadConstraints" => ListRule::Map("topologyKey"),
        _ => ListRule::Atomic,
    }
}
