//! From `openAPIV3Schema` to a [`Schema`].

use regex::Regex;
use serde_json::Value;

use super::{Additional, Bound, ListType, Rules, Schema, Size, Type};

impl Schema {
    /// Reads a schema.
    #[must_use]
    pub fn parse(json: &Value) -> Self {
        let flag = |name: &str| json.get(name) == Some(&Value::Bool(true));
        let child = |name: &str| json.get(name).filter(|value| value.is_object());
        let properties = child("properties").and_then(Value::as_object);
        let additional = match json.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Additional::Anything),
            Some(schema @ Value::Object(_)) => Some(Additional::Like(Box::new(Self::parse(schema)))),
            _ => None,
        };
        let mut schema = Self {
            kind: json.get("type").and_then(Value::as_str).and_then(kind),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserves_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: properties
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::parse(schema)))
                .collect(),
            additional,
            items: child("items").map(|items| Box::new(Self::parse(items))),
            default: json.get("default").filter(|default| !default.is_null()).cloned(),
            list_type: list_type(json),
            rules: rules(json),
            has_defaults: false,
        };
        schema.has_defaults = schema.default.is_some() || schema.children().any(|child| child.has_defaults);
        schema
    }

    fn children(&self) -> impl Iterator<Item = &Self> {
        let additional = match &self.additional {
            Some(Additional::Like(schema)) => Some(schema.as_ref()),
            _ => None,
        };
        self.properties
            .values()
            .chain(additional)
            .chain(self.items.as_deref())
    }
}

fn kind(name: &str) -> Option<Type> {
    Some(match name {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::Text,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => return None,
    })
}

fn list_type(json: &Value) -> ListType {
    match json.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(json, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn texts(json: &Value, name: &str) -> Vec<String> {
    let items = json.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn rules(json: &Value) -> Rules {
    let schemas = |name: &str| -> Vec<Schema> {
        let all = json.get(name).and_then(Value::as_array).into_iter().flatten();
        all.map(Schema::parse).collect()
    };
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let bound = |name: &str, exclusive: &str| {
        Some(Bound {
            value: json.get(name)?.as_f64()?,
            exclusive: json.get(exclusive) == Some(&Value::Bool(true)),
        })
    };
    Rules {
        required: texts(json, "required"),
        enumeration: json
            .get("enum")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        pattern: text("pattern").and_then(|pattern| Regex::new(pattern).ok()),
        format: text("format").map(str::to_owned),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: json
            .get("multipleOf")
            .and_then(Value::as_f64)
            .filter(|divisor| *divisor > 0.0),
        length: size(json, "minLength", "maxLength"),
        items: size(json, "minItems", "maxItems"),
        members: size(json, "minProperties", "maxProperties"),
        all_of: schemas("allOf"),
        any_of: schemas("anyOf"),
        one_of: schemas("oneOf"),
        not: json.get("not").map(|not| Box::new(Schema::parse(not))),
    }
}

fn size(json: &Value, least: &str, most: &str) -> Size {
    let number = |name: &str| usize::try_from(json.get(name)?.as_u64()?).ok();
    Size {
        least: number(least),
        most: number(most),
    }
}
