//! Schemas of custom resources: what makes them structural, so that objects can be pruned
//! and defaulted by them
//! (`apiextensions-apiserver/pkg/apiserver/schema/validation.go` and `.../defaulting/validation.go`).

use super::report::{Path, Report};
use crate::types::structural::{Schema, is_known_pattern};
use crate::types::value::{flag, list, text};
use serde_json::Value;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const LOGIC: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];
/// What a schema may have elsewhere but not here.
const UNSUPPORTED: [&str; 6] = [
    "$ref",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
];
/// What shapes an object and so has no place in a condition about it.
const SHAPING: [&str; 9] = [
    "type",
    "default",
    "additionalProperties",
    "nullable",
    "title",
    "description",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-list-type",
];

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

pub(super) fn validate(path: &Path<'_>, schema: &Value, report: &mut Report) {
    level(path, schema, Level::Root, report);
    if let Some(metadata) = schema.pointer("/properties/metadata/properties") {
        let own = metadata.as_object().into_iter().flatten();
        if own
            .into_iter()
            .any(|(name, _)| !matches!(name.as_str(), "name" | "generateName"))
        {
            let properties = path.field("properties");
            let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            report.forbidden(&properties.key("metadata"), detail);
        }
    }
    if report.errors.is_empty() {
        defaults(path, schema, report);
    }
}

fn level(path: &Path<'_>, schema: &Value, level: Level, report: &mut Report) {
    keywords(path, schema, report);
    kind(path, schema, level, report);
    lists(path, schema, report);
    for (name, conditions) in conditions(schema) {
        let path = path.field(name);
        for (index, condition) in conditions.into_iter().enumerate() {
            if name == "not" {
                condition_level(&path, condition, schema, report);
            } else {
                condition_level(&path.index(index), condition, schema, report);
            }
        }
    }
    children(path, schema, &mut |path, child, below| {
        self::level(path, child, below, report)
    });
}

fn children(path: &Path<'_>, schema: &Value, visit: &mut dyn FnMut(&Path<'_>, &Value, Level)) {
    let properties = path.field("properties");
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        visit(&properties.key(name), child, Level::Field);
    }
    if let Some(child) = schema
        .get("additionalProperties")
        .filter(|child| child.is_object())
    {
        visit(&path.field("additionalProperties"), child, Level::Field);
    }
    if let Some(child) = schema.get("items").filter(|child| child.is_object()) {
        visit(&path.field("items"), child, Level::Item);
    }
}

fn conditions(schema: &Value) -> impl Iterator<Item = (&'static str, Vec<&Value>)> {
    LOGIC.into_iter().filter_map(|name| match schema.get(name)? {
        Value::Array(all) => Some((name, all.iter().collect())),
        one @ Value::Object(_) => Some((name, vec![one])),
        _ => None,
    })
}

fn keywords(path: &Path<'_>, schema: &Value, report: &mut Report) {
    for name in UNSUPPORTED {
        if schema.get(name).is_some_and(|value| !value.is_null()) {
            report.forbidden(&path.field(name), &format!("{name} is not supported"));
        }
    }
    if flag(schema, &["uniqueItems"]) {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        report.forbidden(&path.field("uniqueItems"), detail);
    }
    let additional = schema.get("additionalProperties");
    if additional == Some(&Value::Bool(false)) {
        let detail = "additionalProperties cannot be set to false";
        report.forbidden(&path.field("additionalProperties"), detail);
    }
    let has_properties = schema["properties"]
        .as_object()
        .is_some_and(|all| !all.is_empty());
    if has_properties && additional.is_some_and(|additional| *additional != Value::Bool(false)) {
        let detail = "additionalProperties and properties are mutual exclusive";
        report.forbidden(&path.field("additionalProperties"), detail);
    }
    let pattern = text(schema, &["pattern"]);
    if !pattern.is_empty() && !is_known_pattern(pattern) {
        let detail = "must be a valid regular expression, but isn't";
        report.invalid(&path.field("pattern"), pattern, detail);
    }
}

fn kind(path: &Path<'_>, schema: &Value, level: Level, report: &mut Report) {
    let given = text(schema, &["type"]);
    let field = path.field("type");
    let any = flag(schema, &["x-kubernetes-int-or-string"]);
    let preserves = flag(schema, &["x-kubernetes-preserve-unknown-fields"]);
    if any && !given.is_empty() {
        report.invalid(
            &field,
            given,
            "must be empty if x-kubernetes-int-or-string is true",
        );
    }
    if flag(schema, &["x-kubernetes-embedded-resource"]) {
        if given != "object" {
            report.invalid(
                &field,
                given,
                "must be object if x-kubernetes-embedded-resource is true",
            );
        }
        let has_properties = schema["properties"]
            .as_object()
            .is_some_and(|all| !all.is_empty());
        if !preserves && !has_properties {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            report.required(&path.field("properties"), detail);
        }
    }
    match (given, level) {
        ("", Level::Root) => report.required(&field, "must not be empty at the root"),
        ("", _) if any || preserves => {}
        ("", Level::Field) => report.required(&field, "must not be empty for specified object fields"),
        ("", Level::Item) => report.required(&field, "must not be empty for specified array items"),
        ("null", _) => report.forbidden(
            &field,
            "type cannot be set to null, use nullable as an alternative",
        ),
        (other, Level::Root) if other != "object" => {
            report.invalid(&field, other, "must be object at the root");
        }
        (other, _) => report.supported(&field, other, &TYPES),
    }
}

fn lists(path: &Path<'_>, schema: &Value, report: &mut Report) {
    let is_list = text(schema, &["type"]) == "array";
    if is_list && !schema["items"].is_object() {
        report.required(&path.field("items"), "must be specified");
    }
    let keys = list(schema, &["x-kubernetes-list-map-keys"]);
    let field = path.field("x-kubernetes-list-type");
    match text(schema, &["x-kubernetes-list-type"]) {
        "" => {}
        kind if !is_list => {
            let detail = format!("must be array if x-kubernetes-list-type is {kind}");
            report.invalid(&path.field("type"), text(schema, &["type"]), &detail);
        }
        "map" => {
            if keys.is_empty() {
                let detail = "must not be empty if x-kubernetes-list-type is map";
                report.required(&path.field("x-kubernetes-list-map-keys"), detail);
            }
            let items = path.field("items");
            for key in keys.iter().filter_map(Value::as_str) {
                if schema.pointer(&format!("/items/properties/{key}")).is_none() {
                    let keys = path.field("x-kubernetes-list-map-keys");
                    report.invalid(&keys, key, "entries must all be names of item properties");
                }
            }
            if text(schema, &["items", "type"]) != "object" {
                let detail = "must be object if parent array's x-kubernetes-list-type is map";
                report.invalid(&items.field("type"), text(schema, &["items", "type"]), detail);
            }
        }
        kind => report.supported(&field, kind, &["atomic", "map", "set"]),
    }
}

/// A condition may only speak of what the schema around it has.
fn condition_level(path: &Path<'_>, condition: &Value, around: &Value, report: &mut Report) {
    // The one idiom that may name types: what int-or-string means.
    let is_idiom = flag(around, &["x-kubernetes-int-or-string"]);
    for name in SHAPING {
        let is_set = condition
            .get(name)
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
        if is_set && !(is_idiom && name == "type") {
            report.forbidden(&path.field(name), "must be empty to be structural");
        }
    }
    for (_, inner) in conditions(condition) {
        for inner in inner {
            condition_level(path, inner, around, report);
        }
    }
    let properties = path.field("properties");
    for (name, child) in condition["properties"].as_object().into_iter().flatten() {
        let known = around
            .get("properties")
            .and_then(|properties| properties.get(name))
            .or(around
                .get("additionalProperties")
                .filter(|additional| additional.is_object()));
        match known {
            Some(known) => condition_level(&properties.key(name), child, known, report),
            None => {
                let detail = format!("because it is defined in {}", properties.key(name));
                report.required(&properties.key(name), &detail);
            }
        }
    }
    if let (Some(child), Some(known)) = (condition.get("items"), around.get("items")) {
        condition_level(&path.field("items"), child, known, report);
    }
}

/// Defaults have to be what the schema allows.
fn defaults(path: &Path<'_>, schema: &Value, report: &mut Report) {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let field = path.field("default");
        let own = Schema::parse(schema);
        let mut pruned = default.clone();
        if !own.prune_value(&mut pruned).is_empty() {
            report.invalid(&field, default, "must not have unknown fields");
        }
        own.apply_defaults(&mut pruned);
        report
            .errors
            .extend(own.validate_at(&field.to_string(), &pruned, None));
    }
    children(path, schema, &mut |path, child, _| defaults(path, child, report));
}
