//! ObjectMeta: names, labels, annotations, owners, finalizers.

use super::names::{self, Messages};
use super::report::{Path, Report};
use crate::types::value::{at, flag, list, object, text};
use serde_json::{Map, Value};

/// How much all annotations together may hold.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// The part of a CronJob's name that its jobs' names can hold.
const CRON_JOB_NAME_MAX: usize = 52;

/// What the name of a kind must look like.
fn name_messages(group: &str, kind: &str, name: &str) -> Messages {
    match (group, kind) {
        ("", "Namespace") => names::label(name),
        ("", "Service") => names::label_1035(name),
        ("rbac.authorization.k8s.io", _) => names::path_segment(name),
        ("batch", "CronJob") if name.len() > CRON_JOB_NAME_MAX => {
            std::iter::once(format!("must be no more than {CRON_JOB_NAME_MAX} characters")).collect()
        }
        _ => names::subdomain(name),
    }
}

pub(super) fn validate(group: &str, kind: &str, object: &Value, report: &mut Report) {
    let root = Path::root();
    let path = root.field("metadata");
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let prefix = text(metadata, &["generateName"]);
    if !prefix.is_empty() {
        // The random end of the name follows, so that a dash at the end of the prefix is fine.
        let masked = prefix
            .strip_suffix('-')
            .map_or_else(|| prefix.to_owned(), |prefix| format!("{prefix}a"));
        report.check(
            &path.field("generateName"),
            prefix,
            name_messages(group, kind, &masked),
        );
    }
    match text(metadata, &["name"]) {
        "" if prefix.is_empty() => report.required(&path.field("name"), "name or generateName is required"),
        "" => {}
        name => report.check(&path.field("name"), name, name_messages(group, kind, name)),
    }
    let namespace = text(metadata, &["namespace"]);
    if !namespace.is_empty() {
        report.check(&path.field("namespace"), namespace, names::label(namespace));
    }
    labels(&path.field("labels"), at(metadata, &["labels"]), report);
    annotations(&path.field("annotations"), metadata, report);
    owners(&path.field("ownerReferences"), metadata, report);
    finalizers(&path.field("finalizers"), metadata, report);
}

pub(super) fn validate_update(new: &Value, old: &Value, report: &mut Report) {
    let root = Path::root();
    let path = root.field("metadata");
    for field in ["name", "namespace", "uid"] {
        let (new, old) = (text(new, &["metadata", field]), text(old, &["metadata", field]));
        if new != old {
            report.invalid(&path.field(field), new, "field is immutable");
        }
    }
    if !text(old, &["metadata", "deletionTimestamp"]).is_empty() {
        let before = list(old, &["metadata", "finalizers"]);
        let added: Vec<String> = list(new, &["metadata", "finalizers"])
            .iter()
            .filter(|finalizer| !before.contains(finalizer))
            .map(Value::to_string)
            .collect();
        if !added.is_empty() {
            report.forbidden(
                &path.field("finalizers"),
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.join(", ")
                ),
            );
        }
    }
}

/// Checks a label map; the errors name the map, not the key.
pub(super) fn labels(path: &Path<'_>, labels: Option<&Value>, report: &mut Report) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        report.check(path, key, names::qualified_name(key));
        match value {
            Value::String(value) => report.check(path, value, names::label_value(value)),
            Value::Null => {}
            other => report.invalid(path, other, "must be a string"),
        }
    }
}

fn annotations(path: &Path<'_>, metadata: &Value, report: &mut Report) {
    let mut size = 0;
    for (key, value) in object(metadata, &["annotations"]).into_iter().flatten() {
        // Keys compare without case here, because controllers derived them from type names once.
        if !names::is_qualified_name(key) {
            report.check(path, key, names::qualified_name(&key.to_lowercase()));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        report.too_long(path, ANNOTATIONS_MAX);
    }
}

fn owners(path: &Path<'_>, metadata: &Value, report: &mut Report) {
    let mut controller: Option<&str> = None;
    let references = list(metadata, &["ownerReferences"]);
    for reference in references {
        let part = |key| text(reference, &[key]);
        if part("apiVersion").rsplit('/').next().is_none_or(str::is_empty) {
            report.invalid(
                &path.field("apiVersion"),
                part("apiVersion"),
                "version must not be empty",
            );
        }
        for field in ["kind", "name", "uid"] {
            if part(field).is_empty() {
                report.invalid(&path.field(field), "", "must not be empty");
            }
        }
        if part("kind") == "Event" && matches!(part("apiVersion"), "v1" | "events.k8s.io/v1") {
            report.invalid(path, reference, "is disallowed from being an owner");
        }
        if flag(reference, &["controller"]) {
            if let Some(first) = controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                    part("name")
                );
                report.invalid(path, &Value::Array(references.to_vec()), &detail);
            }
            controller = controller.or(Some(part("name")));
        }
    }
}

fn finalizers(path: &Path<'_>, metadata: &Value, report: &mut Report) {
    let finalizers = list(metadata, &["finalizers"]);
    for finalizer in finalizers.iter().filter_map(Value::as_str) {
        report.check(path, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let value = Value::Array(finalizers.to_vec());
        report.invalid(
            path,
            &value,
            "finalizer orphan and finalizer foregroundDeletion cannot be both set",
        );
    }
}

/// Checks a `LabelSelector` object.
pub(super) fn selector(path: &Path<'_>, selector: &Value, report: &mut Report) {
    labels(&path.field("matchLabels"), at(selector, &["matchLabels"]), report);
    let expressions = path.field("matchExpressions");
    for (index, expression) in list(selector, &["matchExpressions"]).iter().enumerate() {
        let path = expressions.index(index);
        let key = text(expression, &["key"]);
        report.check(&path.field("key"), key, names::qualified_name(key));
        let values = list(expression, &["values"]);
        match text(expression, &["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                report.required(
                    &path.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                report.forbidden(
                    &path.field("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => report.invalid(&path.field("operator"), other, "not a valid selector operator"),
        }
        let values_path = path.field("values");
        for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
            report.check(&values_path.index(index), value, names::label_value(value));
        }
    }
}

/// Whether a `LabelSelector` object selects everything.
pub(super) fn is_empty_selector(selector: &Value) -> bool {
    object(selector, &["matchLabels"]).is_none_or(Map::is_empty)
        && list(selector, &["matchExpressions"]).is_empty()
}
