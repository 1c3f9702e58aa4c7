//! Columns of volumes, claims and their classes.

use super::column::{AGE, Column, NAME, shown};
use super::is_deleting;
use crate::types::value::{list, text};
use serde_json::Value;

/// The columns of a storage type.
pub(super) fn columns(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "PersistentVolume") => VOLUME,
        ("", "PersistentVolumeClaim") => CLAIM,
        ("storage.k8s.io", "StorageClass") => STORAGE_CLASS,
        ("storage.k8s.io", "VolumeAttachment") => ATTACHMENT,
        ("storage.k8s.io", "CSINode") => CSI_NODE,
        _ => return None,
    })
}

const VOLUME: &[Column] = &[
    NAME,
    Column::text("Capacity", "/spec/capacity/storage", ""),
    Column::with("Access Modes", |volume, _| {
        access_modes(list(volume, &["spec", "accessModes"])).into()
    }),
    Column::text("Reclaim Policy", "/spec/persistentVolumeReclaimPolicy", ""),
    Column::with("Status", |volume, _| phase(volume).into()),
    Column::with("Claim", |volume, _| {
        let part = |key| text(volume, &["spec", "claimRef", key]);
        match part("name") {
            "" => "".into(),
            name => format!("{}/{name}", part("namespace")).into(),
        }
    }),
    Column::with("StorageClass", |volume, _| storage_class(volume).into()),
    Column::text(
        "VolumeAttributesClass",
        "/spec/volumeAttributesClassName",
        "<unset>",
    ),
    Column::text("Reason", "/status/reason", ""),
    AGE,
    Column::text("VolumeMode", "/spec/volumeMode", "<unset>").wide(),
];

const CLAIM: &[Column] = &[
    NAME,
    Column::with("Status", |claim, _| phase(claim).into()),
    Column::text("Volume", "/spec/volumeName", ""),
    Column::with("Capacity", |claim, _| {
        if is_bound(claim) {
            shown(claim.pointer("/status/capacity/storage"), "").into()
        } else {
            "".into()
        }
    }),
    Column::with("Access Modes", |claim, _| {
        if is_bound(claim) {
            access_modes(list(claim, &["status", "accessModes"])).into()
        } else {
            "".into()
        }
    }),
    Column::with("StorageClass", |claim, _| storage_class(claim).into()),
    Column::text(
        "VolumeAttributesClass",
        "/spec/volumeAttributesClassName",
        "<unset>",
    ),
    AGE,
    Column::text("VolumeMode", "/spec/volumeMode", "<unset>").wide(),
];

const STORAGE_CLASS: &[Column] = &[
    Column::with("Name", |class, _| {
        let name = text(class, &["metadata", "name"]);
        let default = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ]
        .into_iter()
        .any(|key| text(class, &["metadata", "annotations", key]) == "true");
        if default {
            format!("{name} (default)").into()
        } else {
            name.into()
        }
    }),
    Column::text("Provisioner", "/provisioner", ""),
    Column::text("ReclaimPolicy", "/reclaimPolicy", "Delete"),
    Column::text("VolumeBindingMode", "/volumeBindingMode", "Immediate"),
    Column::flag("AllowVolumeExpansion", "/allowVolumeExpansion", false).of_type("string"),
    AGE,
];

const ATTACHMENT: &[Column] = &[
    NAME,
    Column::text("Attacher", "/spec/attacher", ""),
    Column::text("PV", "/spec/source/persistentVolumeName", ""),
    Column::text("Node", "/spec/nodeName", ""),
    Column::flag("Attached", "/status/attached", false),
    AGE,
];

const CSI_NODE: &[Column] = &[
    NAME,
    Column::count("Drivers", &["/spec/drivers"]).of_type("integer"),
    AGE,
];

fn is_bound(claim: &Value) -> bool {
    !text(claim, &["spec", "volumeName"]).is_empty()
}

fn phase(object: &Value) -> &str {
    if is_deleting(object) {
        "Terminating"
    } else {
        text(object, &["status", "phase"])
    }
}

/// The class in spec; older objects have it in an annotation, which wins.
fn storage_class(object: &Value) -> &str {
    match text(
        object,
        &[
            "metadata",
            "annotations",
            "volume.beta.kubernetes.io/storage-class",
        ],
    ) {
        "" => text(object, &["spec", "storageClassName"]),
        class => class,
    }
}

/// The short names of access modes, each once, in a fixed order.
fn access_modes(modes: &[Value]) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let present = SHORT
        .iter()
        .filter(|(mode, _)| modes.iter().any(|given| given == mode));
    present.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}
