//! A column of a table and how its cell comes from the object.

use super::human;
use crate::types::value::{list, text};
use jiff::Timestamp;
use serde_json::{Value, json};

/// One column: its definition and where its cells come from.
pub(super) struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: u8,
    cell: Cell,
}

/// Where a cell comes from; places are JSON pointers.
enum Cell {
    Name,
    Age,
    CreatedAt,
    /// The text (or number, as text) at a place, or another text.
    Text(&'static str, &'static str),
    /// The number at a place, or 0.
    Number(&'static str),
    /// The truth value at a place, or another.
    Flag(&'static str, bool),
    /// How many items or members there are at the places together.
    Count(&'static [&'static str]),
    /// The names of the containers of the pod spec at a place.
    Containers(&'static str),
    /// Their images.
    Images(&'static str),
    /// The `LabelSelector` at a place.
    Selector(&'static str),
    /// The plain label map at a place.
    Labels(&'static str),
    With(fn(&Value, Timestamp) -> Value),
}

/// The columns of types without columns of their own.
pub(super) const DEFAULT: &[Column] = &[NAME, Column::new("Created At", "date", Cell::CreatedAt)];

/// The object's name.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    cell: Cell::Name,
};

/// The object's age.
pub(super) const AGE: Column = Column::new("Age", "string", Cell::Age);

impl Column {
    const fn new(name: &'static str, kind: &'static str, cell: Cell) -> Self {
        Self {
            name,
            kind,
            format: "",
            priority: 0,
            cell,
        }
    }

    pub(super) const fn text(name: &'static str, place: &'static str, absent: &'static str) -> Self {
        Self::new(name, "string", Cell::Text(place, absent))
    }

    pub(super) const fn number(name: &'static str, place: &'static str) -> Self {
        Self::new(name, "integer", Cell::Number(place))
    }

    pub(super) const fn flag(name: &'static str, place: &'static str, absent: bool) -> Self {
        Self::new(name, "boolean", Cell::Flag(place, absent))
    }

    pub(super) const fn count(name: &'static str, places: &'static [&'static str]) -> Self {
        Self::new(name, "string", Cell::Count(places))
    }

    pub(super) const fn containers(pod_spec: &'static str) -> Self {
        Self::new("Containers", "string", Cell::Containers(pod_spec)).wide()
    }

    pub(super) const fn images(pod_spec: &'static str) -> Self {
        Self::new("Images", "string", Cell::Images(pod_spec)).wide()
    }

    pub(super) const fn selector(name: &'static str, place: &'static str) -> Self {
        Self::new(name, "string", Cell::Selector(place))
    }

    pub(super) const fn labels(name: &'static str, place: &'static str) -> Self {
        Self::new(name, "string", Cell::Labels(place))
    }

    pub(super) const fn with(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self::new(name, "string", Cell::With(cell))
    }

    /// The same column with another OpenAPI type.
    pub(super) const fn of_type(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// The same column for `-o wide` only.
    pub(super) const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": "",
            "priority": self.priority,
        })
    }

    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let created = || text(object, &["metadata", "creationTimestamp"]);
        match self.cell {
            Cell::Name => text(object, &["metadata", "name"]).into(),
            Cell::Age => human::since(created(), now).into(),
            Cell::CreatedAt => created().into(),
            Cell::Text(place, absent) => shown(object.pointer(place), absent).into(),
            Cell::Number(place) => object
                .pointer(place)
                .and_then(Value::as_i64)
                .unwrap_or_default()
                .into(),
            Cell::Flag(place, absent) => object
                .pointer(place)
                .and_then(Value::as_bool)
                .unwrap_or(absent)
                .into(),
            Cell::Count(places) => places
                .iter()
                .map(|place| len(object.pointer(place)))
                .sum::<usize>()
                .into(),
            Cell::Containers(pod_spec) => container_fields(object.pointer(pod_spec), "name").into(),
            Cell::Images(pod_spec) => container_fields(object.pointer(pod_spec), "image").into(),
            Cell::Selector(place) => human::selector(object.pointer(place)).into(),
            Cell::Labels(place) => human::labels(object.pointer(place).and_then(Value::as_object)).into(),
            Cell::With(cell) => cell(object, now),
        }
    }
}

/// A scalar as text; empty strings count as absent.
pub(super) fn shown(value: Option<&Value>, absent: &str) -> String {
    match value {
        None | Some(Value::Null) => absent.to_owned(),
        Some(Value::String(text)) if text.is_empty() => absent.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn len(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(members)) => members.len(),
        _ => 0,
    }
}

fn container_fields(pod_spec: Option<&Value>, field: &str) -> String {
    let containers = pod_spec
        .map(|spec| list(spec, &["containers"]))
        .unwrap_or_default();
    containers
        .iter()
        .map(|container| text(container, &[field]))
        .collect::<Vec<_>>()
        .join(",")
}
