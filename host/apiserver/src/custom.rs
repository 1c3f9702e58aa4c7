//! How objects of custom resources are treated: by the schema and the few rules that their
//! definition gives.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::json_path;
use crate::meta;
use crate::object::{Revision, Stored};
use crate::status::Status;
use crate::types::selectors::{FieldSelector, LabelSelector};
use crate::types::structural::Schema;
use crate::types::table::{self, IncludeObject};
use crate::types::validation::FieldError;

/// A column of `kubectl get`.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// Where a custom resource keeps what a Scale shows.
#[derive(Clone, Debug)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

/// The schema of one version.
#[derive(Debug, Default)]
pub(crate) struct CustomSchema {
    /// As the definition has it.
    pub(crate) source: Value,
    pub(crate) parsed: Schema,
}

/// What a definition says about its objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct CustomRules {
    pub(crate) schema: Arc<CustomSchema>,
    /// That of the version that objects are stored in.
    pub(crate) stored_schema: Arc<CustomSchema>,
    /// Objects written up to this revision may not conform to the stored version's schema yet.
    pub(crate) schema_since: Revision,
    pub(crate) columns: Vec<Column>,
    /// Whether the status has an endpoint of its own.
    pub(crate) has_status: bool,
    pub(crate) scale: Option<ScalePaths>,
    /// Paths that field selectors may use, such as `.spec.color`.
    pub(crate) selectable: Vec<String>,
}

impl CustomRules {
    /// Drops what the schema does not know, and names it.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        self.schema.parsed.prune(object)
    }

    /// Fills in defaults: those of the version asked for, then those of the stored one.
    pub(crate) fn apply_defaults(&self, object: &mut Value) {
        self.schema.parsed.apply_defaults(object);
        if !Arc::ptr_eq(&self.schema, &self.stored_schema) {
            self.stored_schema.parsed.apply_defaults(object);
        }
    }

    /// Everything wrong with an object, or with what changed in it.
    pub(crate) fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        self.schema.parsed.validate(object, old)
    }

    /// Whether an object was stored before the schema was what it is.
    pub(crate) fn is_outdated(&self, stored: &Stored) -> bool {
        stored.revision() <= self.schema_since
    }

    /// Makes an object that was stored before conform to the schema of today.
    pub(crate) fn renew(&self, object: &mut Value) {
        // What an earlier schema knew is not worth a warning to whoever reads it now.
        let _ = self.stored_schema.parsed.prune(object);
        self.stored_schema.parsed.apply_defaults(object);
    }

    /// Parses a field selector over what the definition offers.
    pub(crate) fn field_selector(&self, text: &str) -> Result<FieldSelector, Status> {
        let selector =
            FieldSelector::parse_any(text).map_err(|error| Status::bad_request(error.to_string()))?;
        let offered = |name: &str| {
            self.selectable
                .iter()
                .any(|path| path.strip_prefix('.') == Some(name))
        };
        let unknown = selector
            .names()
            .find(|name| !matches!(*name, "metadata.name" | "metadata.namespace") && !offered(name));
        match unknown {
            Some(name) => Err(Status::bad_request(format!("field label not supported: {name}"))),
            None => Ok(selector),
        }
    }

    pub(crate) fn matches_fields(&self, selector: &FieldSelector, stored: &Stored) -> bool {
        let object = stored.parse();
        // Values that are no texts need a home that outlives the lookup.
        let values: Vec<(String, String)> = selector
            .names()
            .map(|name| (name.to_owned(), text_at(&object, name)))
            .collect();
        selector.matches_by(|name| {
            values
                .iter()
                .find(|(field, _)| field == name)
                .map_or("", |(_, value)| value.as_str())
        })
    }

    /// The object as a Scale.
    pub(crate) fn scale(&self, object: &Value) -> Value {
        let number = |path: &str| {
            json_path::first(object, path)
                .and_then(Value::as_i64)
                .unwrap_or_default()
        };
        let mut metadata = Map::new();
        for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if !meta::text(object, key).is_empty() {
                metadata.insert(key.to_owned(), meta::text(object, key).into());
            }
        }
        let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata});
        if let Some(paths) = &self.scale {
            scale["spec"] = json!({"replicas": number(&paths.spec_replicas)});
            scale["status"] = json!({"replicas": number(&paths.status_replicas)});
            if let Some(selector) = paths
                .label_selector
                .as_deref()
                .and_then(|path| json_path::first(object, path))
            {
                let text = selector
                    .as_str()
                    .map_or_else(|| LabelSelector::from_object(selector).to_string(), str::to_owned);
                scale["status"]["selector"] = text.into();
            }
        }
        scale
    }

    pub(crate) fn set_replicas(&self, object: &mut Value, replicas: i64) {
        if let Some(paths) = &self.scale {
            json_path::set(object, &paths.spec_replicas, replicas.into());
        }
    }
}

fn text_at(object: &Value, field: &str) -> String {
    match json_path::first(object, &format!(".{field}")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A Table with the columns of a definition, its list metadata left to the caller.
pub(crate) fn render(columns: &[Column], objects: &[&Value], include: IncludeObject) -> Value {
    let now = jiff::Timestamp::now();
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace.",
    });
    let own = columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    });
    let rows = objects.iter().map(|object| {
        let cells = columns.iter().map(|column| cell(column, object, now));
        let cells: Vec<Value> = std::iter::once(json!(meta::text(object, "name")))
            .chain(cells)
            .collect();
        json!({"cells": cells, "object": table::row_object(object, include)})
    });
    table::table(std::iter::once(name).chain(own).collect(), rows.collect())
}

fn cell(column: &Column, object: &Value, now: jiff::Timestamp) -> Value {
    let value = json_path::first(object, &column.path)
        .cloned()
        .unwrap_or_default();
    match (column.kind.as_str(), &value) {
        (_, Value::Null) => Value::Null,
        ("date", Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => table::human_duration(now.duration_since(time).as_secs()).into(),
            Err(_) => "<invalid>".into(),
        },
        ("integer", _) => whole(&value).unwrap_or_default(),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("string", Value::String(_)) => value,
        ("string", other) => other.to_string().into(),
        // A value of another type than the column's is not shown.
        _ => Value::Null,
    }
}

fn whole(value: &Value) -> Option<Value> {
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number as i64));
    number.map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CustomRules {
        CustomRules {
            has_status: true,
            selectable: vec![".spec.color".to_owned()],
            ..CustomRules::default()
        }
    }

    #[test]
    fn only_declared_fields_can_be_selected() {
        assert!(rules().field_selector("spec.color=red").is_ok());
        let refused = rules().field_selector("spec.size=1").unwrap_err();
        assert_eq!(refused.to_string(), "field label not supported: spec.size");
    }
}
