//! CustomResourceDefinitions
//! (`apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`).

use super::definition_schema;
use super::names;
use super::report::{Path, Report};
use crate::types::value::{at, flag, list, text};
use serde_json::Value;

/// Approval of definitions in groups that belong to the project.
const APPROVED: &str = "api-approved.kubernetes.io";
const COLUMN_TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];

pub(super) fn validate(root: &Path<'_>, new: &Value, old: Option<&Value>, report: &mut Report) {
    let path = root.field("spec");
    let group = text(new, &["spec", "group"]);
    let plural = text(new, &["spec", "names", "plural"]);
    let name = text(new, &["metadata", "name"]);
    if name != format!("{plural}.{group}") {
        let metadata = root.field("metadata");
        report.invalid(
            &metadata.field("name"),
            name,
            "must be spec.names.plural+\".\"+spec.group",
        );
    }
    check_group(&path, new, group, report);
    match text(new, &["spec", "scope"]) {
        "" => report.required(&path.field("scope"), ""),
        scope => report.supported(&path.field("scope"), scope, &["Cluster", "Namespaced"]),
    }
    let spec = at(new, &["spec"]).unwrap_or(&Value::Null);
    check_names(
        &path.field("names"),
        spec.get("names").unwrap_or(&Value::Null),
        report,
    );
    check_versions(&path, spec, report);
    if let Some(old) = old {
        check_change(&path, new, old, report);
        check_stored_versions(root, new, report);
    }
}

fn check_group(path: &Path<'_>, new: &Value, group: &str, report: &mut Report) {
    let field = path.field("group");
    if group.is_empty() {
        report.required(&field, "");
    } else if !group.contains('.') {
        report.invalid(&field, group, "should be a domain with at least one dot");
    } else {
        report.check(&field, group, names::subdomain(group));
    }
    let is_protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || group.ends_with(&format!(".{domain}")));
    if is_protected && text(new, &["metadata", "annotations", APPROVED]).is_empty() {
        let root = Path::root();
        let metadata = root.field("metadata");
        let detail = format!(
            "protected groups must have approval annotation {APPROVED:?}, see https://github.com/kubernetes/enhancements/pull/1111"
        );
        report.required(&metadata.field("annotations").key(APPROVED), &detail);
    }
}

fn check_names(path: &Path<'_>, given: &Value, report: &mut Report) {
    for name in ["plural", "singular", "kind", "listKind"] {
        let value = text(given, &[name]);
        let optional = matches!(name, "singular" | "listKind");
        if value.is_empty() {
            if !optional {
                report.required(&path.field(name), "");
            }
        } else if name.contains("ind") {
            let wrong = names::label_1035(&value.to_ascii_lowercase()).into_iter();
            let wrong = wrong.map(|why| format!("may have mixed case, but should otherwise match: {why}"));
            report.check(&path.field(name), value, wrong);
        } else {
            report.check(&path.field(name), value, names::label_1035(value));
        }
    }
    let kind = text(given, &["kind"]);
    if !kind.is_empty() && kind == text(given, &["listKind"]) {
        report.invalid(
            &path.field("listKind"),
            kind,
            "kind and listKind may not be the same",
        );
    }
    for several in ["shortNames", "categories"] {
        let path = path.field(several);
        for (index, name) in list(given, &[several]).iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            report.check(&path.index(index), name, names::label_1035(name));
        }
    }
}

fn check_versions(path: &Path<'_>, spec: &Value, report: &mut Report) {
    let versions = list(spec, &["versions"]);
    let field = path.field("versions");
    if versions.is_empty() {
        report.required(&field, "");
        return;
    }
    let mut seen = std::collections::HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        let name = text(version, &["name"]);
        let path = field.index(index);
        report.check(&path.field("name"), name, names::label_1035(name));
        if !seen.insert(name) {
            report.invalid(
                &field,
                &Value::from(versions),
                "must contain unique version names",
            );
        }
        check_columns(&path, version, report);
        check_scale(&path, version, report);
    }
    let stored = versions.iter().filter(|version| flag(version, &["storage"]));
    if stored.count() != 1 {
        report.invalid(
            &field,
            &Value::from(versions),
            "must have exactly one version marked as storage version",
        );
    }
    check_schemas(path, versions, report);
}

/// One schema that all versions share is reported as the definition's own.
fn check_schemas(path: &Path<'_>, versions: &[Value], report: &mut Report) {
    let schema = |version: &'_ Value| at(version, &["schema", "openAPIV3Schema"]).cloned();
    let first = versions.first().and_then(schema);
    let shared = versions.iter().all(|version| schema(version) == first);
    if let Some(schema) = first.filter(|_| shared) {
        let validation = path.field("validation");
        definition_schema::validate(&validation.field("openAPIV3Schema"), &schema, report);
        return;
    }
    let field = path.field("versions");
    for (index, version) in versions.iter().enumerate() {
        let path = field.index(index);
        let path = path.field("schema");
        let path = path.field("openAPIV3Schema");
        match schema(version) {
            Some(schema) => definition_schema::validate(&path, &schema, report),
            None => report.required(&path, "schemas are required"),
        }
    }
}

fn check_columns(path: &Path<'_>, version: &Value, report: &mut Report) {
    let field = path.field("additionalPrinterColumns");
    for (index, column) in list(version, &["additionalPrinterColumns"]).iter().enumerate() {
        let path = field.index(index);
        if text(column, &["name"]).is_empty() {
            report.required(&path.field("name"), "");
        }
        match text(column, &["type"]) {
            "" => report.required(
                &path.field("type"),
                &format!("must be one of {}", COLUMN_TYPES.join(",")),
            ),
            kind => report.supported(&path.field("type"), kind, &COLUMN_TYPES),
        }
        if text(column, &["jsonPath"]).is_empty() {
            report.required(&path.field("JSONPath"), "");
        }
    }
}

fn check_scale(path: &Path<'_>, version: &Value, report: &mut Report) {
    let Some(scale) = at(version, &["subresources", "scale"]).filter(|scale| scale.is_object()) else {
        return;
    };
    let path = path.field("subresources");
    let path = path.field("scale");
    let paths = [
        (
            "specReplicasPath",
            &[".spec."][..],
            "should be a json path under .spec",
        ),
        (
            "statusReplicasPath",
            &[".status."],
            "should be a json path under .status",
        ),
        (
            "labelSelectorPath",
            &[".status.", ".spec."],
            "should be a json path under either .spec or .status",
        ),
    ];
    for (name, under, detail) in paths {
        match text(scale, &[name]) {
            "" if name == "labelSelectorPath" => {}
            "" => report.required(&path.field(name), ""),
            given if !under.iter().any(|prefix| given.starts_with(prefix)) => {
                report.invalid(&path.field(name), given, detail);
            }
            _ => {}
        }
    }
}

/// What others rely on stays as it is once it is served.
fn check_change(path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    let established = list(old, &["status", "conditions"]).iter().any(|condition| {
        text(condition, &["type"]) == "Established" && text(condition, &["status"]) == "True"
    });
    let names = path.field("names");
    let fixed: [(Path<'_>, &[&str], bool); 4] = [
        (path.field("group"), &["spec", "group"], true),
        (path.field("scope"), &["spec", "scope"], established),
        (names.field("kind"), &["spec", "names", "kind"], established),
        (names.field("plural"), &["spec", "names", "plural"], true),
    ];
    for (field, steps, fixed) in fixed {
        let given = text(new, steps);
        if fixed && given != text(old, steps) {
            report.invalid(&field, given, "field is immutable");
        }
    }
}

/// Versions that objects may still be stored in have to stay.
fn check_stored_versions(root: &Path<'_>, new: &Value, report: &mut Report) {
    let path = root.field("status");
    let path = path.field("storedVersions");
    let versions = list(new, &["spec", "versions"]);
    let known = |name: &str| versions.iter().any(|version| text(version, &["name"]) == name);
    for (index, stored) in list(new, &["status", "storedVersions"]).iter().enumerate() {
        let name = stored.as_str().unwrap_or_default();
        if !known(name) {
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            report.invalid(&path.index(index), name, &detail);
        }
    }
}
