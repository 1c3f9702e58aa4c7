//! Structural schemas: what a custom resource definition says about its objects
//! (`staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema`).
//!
//! A [`Schema`] is read once from a version's `openAPIV3Schema` and then prunes, defaults
//! and validates objects. Whether the schema itself follows the rules is decided before,
//! by the validation of definitions; what is malformed here is treated as absent.
//! Rules in CEL (`x-kubernetes-validations`) are not evaluated.

mod defaulting;
mod formats;
mod parse;
mod pruning;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

pub use formats::is_known_pattern;

/// A JSON type that a schema can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
}

/// What may be in an object besides its properties.
#[derive(Debug)]
enum Additional {
    Anything,
    Like(Box<Schema>),
}

/// How the items of a list relate to each other.
#[derive(Debug, Default)]
enum ListType {
    #[default]
    Atomic,
    Set,
    /// Items differ in these members.
    Map(Vec<String>),
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    value: f64,
    exclusive: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    least: Option<usize>,
    most: Option<usize>,
}

/// What values must fulfil beyond their type.
#[derive(Debug, Default)]
struct Rules {
    required: Vec<String>,
    enumeration: Vec<Value>,
    pattern: Option<Regex>,
    format: Option<String>,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    multiple_of: Option<f64>,
    length: Size,
    items: Size,
    members: Size,
    all_of: Vec<Schema>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
}

/// A structural schema.
#[derive(Debug, Default)]
pub struct Schema {
    kind: Option<Type>,
    nullable: bool,
    int_or_string: bool,
    preserves_unknown: bool,
    /// Holds whole objects, with a kind and metadata of their own.
    embedded: bool,
    properties: BTreeMap<String, Schema>,
    additional: Option<Additional>,
    items: Option<Box<Schema>>,
    default: Option<Value>,
    list_type: ListType,
    rules: Rules,
    /// Whether there is a default anywhere within.
    has_defaults: bool,
}

impl Schema {
    /// Whether defaulting can change anything.
    #[must_use]
    pub fn has_defaults(&self) -> bool {
        self.has_defaults
    }
}

/// Whether a schema has rules that are not enforced because they are written in CEL.
#[must_use]
pub fn has_expressions(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| {
            let rules = name == "x-kubernetes-validations";
            (rules && value.as_array().is_some_and(|rules| !rules.is_empty())) || has_expressions(value)
        }),
        Value::Array(items) => items.iter().any(has_expressions),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
