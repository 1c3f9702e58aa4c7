//! The built-in resources, as a table.

use crate::resource::{ResourceSpec, Subresource};
use crate::reviews::Review;

use Subresource::{Binding, Eviction, Finalize, Scale, Status};

/// What backs a built-in resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backing {
    /// A collection of its own, with the field by which single values are watched.
    Own(Option<&'static str>),
    /// The collection of core events.
    CoreEvents,
    Review(Review),
    Bindings,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: &'static [Subresource],
    pub(crate) backing: Backing,
}

impl BuiltIn {
    pub(crate) fn spec(&self) -> ResourceSpec {
        let names = |names: &[&'static str]| names.iter().map(|name| (*name).into()).collect();
        ResourceSpec {
            group: self.group.into(),
            version: self.version.into(),
            plural: self.plural.into(),
            singular: self.kind.to_ascii_lowercase().into(),
            kind: self.kind.into(),
            list_kind: format!("{}List", self.kind).into(),
            short_names: names(self.short),
            categories: names(self.categories),
            namespaced: self.namespaced,
            subresources: self.subresources.to_vec(),
        }
    }

    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short = names;
        self
    }

    const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn with(mut self, subresources: &'static [Subresource]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn backed_by(mut self, backing: Backing) -> Self {
        self.backing = backing;
        self
    }
}

const fn row(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> BuiltIn {
    let backing = Backing::Own(None);
    BuiltIn {
        group,
        version,
        plural,
        kind,
        namespaced,
        short: &[],
        categories: &[],
        subresources: &[],
        backing,
    }
}

/// A resource whose objects live in namespaces.
const fn local(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> BuiltIn {
    row(group, version, plural, kind, true)
}

/// A resource whose objects do not.
const fn global(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> BuiltIn {
    row(group, version, plural, kind, false)
}

const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

/// Every built-in resource. The order within a group is that of discovery.
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    local("", "v1", "bindings", "Binding").backed_by(Backing::Bindings),
    local("", "v1", "configmaps", "ConfigMap").short(&["cm"]),
    local("", "v1", "endpoints", "Endpoints").short(&["ep"]),
    local("", "v1", "events", "Event").short(&["ev"]),
    local("", "v1", "limitranges", "LimitRange").short(&["limits"]),
    global("", "v1", "namespaces", "Namespace")
        .short(&["ns"])
        .with(&[Finalize, Status]),
    global("", "v1", "nodes", "Node").short(&["no"]).with(&[Status]),
    local("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
        .short(&["pvc"])
        .with(&[Status]),
    global("", "v1", "persistentvolumes", "PersistentVolume")
        .short(&["pv"])
        .with(&[Status]),
    local("", "v1", "pods", "Pod")
        .short(&["po"])
        .in_all()
        .with(&[Binding, Eviction, Status])
        .backed_by(Backing::Own(Some("spec.nodeName"))),
    local("", "v1", "podtemplates", "PodTemplate"),
    local("", "v1", "replicationcontrollers", "ReplicationController")
        .short(&["rc"])
        .in_all()
        .with(&[Scale, Status]),
    local("", "v1", "resourcequotas", "ResourceQuota")
        .short(&["quota"])
        .with(&[Status]),
    local("", "v1", "secrets", "Secret"),
    local("", "v1", "serviceaccounts", "ServiceAccount").short(&["sa"]),
    local("", "v1", "services", "Service")
        .short(&["svc"])
        .in_all()
        .with(&[Status]),
    global(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
    )
    .short(&["crd", "crds"])
    .with(&[Status]),
    local("apps", "v1", "controllerrevisions", "ControllerRevision"),
    local("apps", "v1", "daemonsets", "DaemonSet")
        .short(&["ds"])
        .in_all()
        .with(&[Status]),
    local("apps", "v1", "deployments", "Deployment")
        .short(&["deploy"])
        .in_all()
        .with(&[Scale, Status]),
    local("apps", "v1", "replicasets", "ReplicaSet")
        .short(&["rs"])
        .in_all()
        .with(&[Scale, Status]),
    local("apps", "v1", "statefulsets", "StatefulSet")
        .short(&["sts"])
        .in_all()
        .with(&[Scale, Status]),
    local("events.k8s.io", "v1", "events", "Event")
        .short(&["ev"])
        .backed_by(Backing::CoreEvents),
    global(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
    )
    .backed_by(Backing::Review(Review::SelfSubject)),
    global("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
        .backed_by(Backing::Review(Review::Token)),
    local(
        AUTHORIZATION,
        "v1",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
    )
    .backed_by(Backing::Review(Review::Access)),
    global(
        AUTHORIZATION,
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
    )
    .backed_by(Backing::Review(Review::Access)),
    global(
        AUTHORIZATION,
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
    )
    .backed_by(Backing::Review(Review::Rules)),
    global(AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview")
        .backed_by(Backing::Review(Review::Access)),
    local(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
    )
    .short(&["hpa"])
    .in_all()
    .with(&[Status]),
    local("batch", "v1", "cronjobs", "CronJob")
        .short(&["cj"])
        .in_all()
        .with(&[Status]),
    local("batch", "v1", "jobs", "Job").in_all().with(&[Status]),
    local("coordination.k8s.io", "v1", "leases", "Lease"),
    local("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    global(NETWORKING, "v1", "ingressclasses", "IngressClass"),
    local(NETWORKING, "v1", "ingresses", "Ingress")
        .short(&["ing"])
        .with(&[Status]),
    local(NETWORKING, "v1", "networkpolicies", "NetworkPolicy").short(&["netpol"]),
    local("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
        .short(&["pdb"])
        .with(&[Status]),
    global(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding"),
    global(RBAC, "v1", "clusterroles", "ClusterRole"),
    local(RBAC, "v1", "rolebindings", "RoleBinding"),
    local(RBAC, "v1", "roles", "Role"),
    global("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass").short(&["pc"]),
    global(STORAGE, "v1", "csidrivers", "CSIDriver"),
    global(STORAGE, "v1", "csinodes", "CSINode"),
    local(STORAGE, "v1", "csistoragecapacities", "CSIStorageCapacity"),
    global(STORAGE, "v1", "storageclasses", "StorageClass").short(&["sc"]),
    global(STORAGE, "v1", "volumeattachments", "VolumeAttachment").with(&[Status]),
];
