//! `meta.k8s.io/v1` Tables as `kubectl get` shows them
//! (`pkg/printers/internalversion/printers.go`).
//!
//! Every type is a list of `Column`s, each of which knows how to make its
//! cell; types without a list have their name and creation time. Columns that
//! only `-o wide` shows have priority 1. Descriptions stay empty: no client
//! shows them.

mod cluster;
mod column;
mod human;
mod network;
mod pods;
mod storage;
mod workloads;

use super::value::{at, text};
use column::{Column, DEFAULT};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use human::human_duration;

/// What of each object a table row carries (`?includeObject=`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// A `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// The policy of an `includeObject` parameter; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "None" => Some(Self::None),
            "" | "Metadata" => Some(Self::Metadata),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// The column definitions of a type, as the JSON list of a Table.
#[must_use]
pub fn columns(group: &str, kind: &str) -> Value {
    lookup(group, kind).iter().map(Column::definition).collect()
}

/// One object as a table row.
#[must_use]
pub fn row(group: &str, kind: &str, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let cells: Vec<Value> = lookup(group, kind)
        .iter()
        .map(|column| column.cell(object, now))
        .collect();
    let mut row = json!({"cells": cells, "object": row_object(object, include)});
    if (group, kind) == ("", "Pod") {
        if let (Some(conditions), Some(row)) = (pods::row_conditions(object), row.as_object_mut()) {
            row.insert("conditions".to_owned(), conditions);
        }
    }
    row
}

/// A whole Table, its list metadata empty for the caller to fill.
#[must_use]
pub fn render(group: &str, kind: &str, objects: &[&Value], include: IncludeObject, now: Timestamp) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| row(group, kind, object, include, now))
        .collect();
    table(columns(group, kind), rows)
}

/// A Table of columns and rows made by [`columns`] and [`row`], or by a custom resource's definition.
#[must_use]
pub fn table(columns: Value, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// What a row carries of its object.
#[must_use]
pub fn row_object(object: &Value, include: IncludeObject) -> Value {
    match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": at(object, &["metadata"]),
        }),
        IncludeObject::Object => object.clone(),
    }
}

fn lookup(group: &str, kind: &str) -> &'static [Column] {
    workloads::columns(group, kind)
        .or_else(|| network::columns(group, kind))
        .or_else(|| storage::columns(group, kind))
        .or_else(|| cluster::columns(group, kind))
        .unwrap_or(DEFAULT)
}

/// Whether deletion of an object has begun.
fn is_deleting(object: &Value) -> bool {
    !text(object, &["metadata", "deletionTimestamp"]).is_empty()
}

#[cfg(test)]
mod tests;
