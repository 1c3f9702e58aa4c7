//! Holding objects against a schema, with the texts of
//! `k8s.io/kube-openapi/pkg/validation` and the causes that
//! `apiextensions-apiserver/pkg/apiserver/validation` makes of them.
//!
//! On an update, a part that equals what is stored is not looked at again, so that an
//! object that was valid once can still be changed elsewhere.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::formats::has_format;
use super::{Bound, ListType, Schema, Size, Type};
use crate::types::validation::{FieldError, FieldErrorReason};

impl Schema {
    /// Everything wrong with an object, or with what changed in it.
    #[must_use]
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        self.validate_at("", object, old)
    }

    /// The same for a value somewhere within.
    #[must_use]
    pub fn validate_at(&self, path: &str, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut walk = Walk {
            path: path.to_owned(),
            errors: Vec::new(),
        };
        walk.value(self, value, old);
        walk.errors
    }

    fn is_met_by(&self, value: &Value) -> bool {
        self.validate(value, None).is_empty()
    }
}

/// The name of a value's type as errors show it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Text => value.is_string(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

struct Walk {
    path: String,
    errors: Vec<FieldError>,
}

impl Walk {
    fn add(&mut self, reason: FieldErrorReason, message: String) {
        let field = self.path.clone();
        self.errors.push(FieldError {
            reason,
            field,
            message,
        });
    }

    /// An invalid value; `what` follows the field in the message.
    fn invalid(&mut self, value: &Value, what: &str) {
        let message = format!("Invalid value: {value}: {} in body {what}", self.path);
        self.add(FieldErrorReason::Invalid, message);
    }

    /// A failure of several schemas together, which has no field of its own upstream.
    fn composite(&mut self, what: &str) {
        self.errors.push(FieldError {
            reason: FieldErrorReason::Invalid,
            field: "<nil>".to_owned(),
            message: format!("Invalid value: \"\": {:?} must {what}", self.path),
        });
    }

    fn mistyped(&mut self, shown: &str, wanted: &str) {
        let path = &self.path;
        let message = format!("Invalid value: {shown:?}: {path} in body must be of type {wanted}: {shown:?}");
        self.add(FieldErrorReason::TypeInvalid, message);
    }

    fn within(&mut self, segment: &str, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        walk(self);
        self.path.truncate(length);
    }

    fn value(&mut self, schema: &Schema, value: &Value, old: Option<&Value>) {
        if old == Some(value) || (value.is_null() && schema.nullable) {
            return;
        }
        if !self.has_type(schema, value) {
            return;
        }
        self.combinations(schema, value);
        let rules = &schema.rules;
        match value {
            Value::String(text) => self.text(schema, text),
            Value::Number(number) => self.number(schema, value, number.as_f64().unwrap_or_default()),
            Value::Array(items) => self.array(schema, items, old),
            Value::Object(members) => self.object(schema, members, old),
            Value::Null | Value::Bool(_) => {}
        }
        if !rules.enumeration.is_empty() && !rules.enumeration.iter().any(|known| same(known, value)) {
            let known: Vec<String> = rules.enumeration.iter().map(quoted).collect();
            let message = format!(
                "Unsupported value: {value}: supported values: {}",
                known.join(", ")
            );
            self.add(FieldErrorReason::NotSupported, message);
        }
    }

    fn has_type(&mut self, schema: &Schema, value: &Value) -> bool {
        let wanted = match schema.kind {
            _ if schema.int_or_string => {
                let fits = Type::Integer.fits(value) || value.is_string();
                (!fits).then_some("integer,string")
            }
            Some(kind) => (!kind.fits(value)).then(|| kind.name()),
            None => None,
        };
        if let Some(wanted) = wanted {
            self.mistyped(type_of(value), wanted);
        }
        wanted.is_none()
    }

    fn text(&mut self, schema: &Schema, text: &str) {
        let rules = &schema.rules;
        let length = text.chars().count();
        if let Some(most) = rules.length.most.filter(|most| length > *most) {
            let message = format!("Too long: may not be more than {most} bytes");
            self.add(FieldErrorReason::TooLong, message);
        }
        let shown = Value::from(text);
        if let Some(least) = rules.length.least.filter(|least| length < *least) {
            self.invalid(&shown, &format!("should be at least {least} chars long"));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.invalid(&shown, &format!("should match '{pattern}'"));
        }
        if let Some(format) = rules.format.as_deref().filter(|format| !has_format(text, format)) {
            self.mistyped(text, format);
        }
    }

    fn number(&mut self, schema: &Schema, value: &Value, number: f64) {
        let rules = &schema.rules;
        if let Some(Bound {
            value: most,
            exclusive,
        }) = rules.maximum
        {
            if exclusive && number >= most {
                self.invalid(value, &format!("should be less than {most}"));
            } else if number > most {
                self.invalid(value, &format!("should be less than or equal to {most}"));
            }
        }
        if let Some(Bound {
            value: least,
            exclusive,
        }) = rules.minimum
        {
            if exclusive && number <= least {
                self.invalid(value, &format!("should be greater than {least}"));
            } else if number < least {
                self.invalid(value, &format!("should be greater than or equal to {least}"));
            }
        }
        if let Some(divisor) = rules
            .multiple_of
            .filter(|divisor| (number / divisor).fract() != 0.0)
        {
            self.invalid(value, &format!("should be a multiple of {divisor}"));
        }
        let fits = match rules.format.as_deref() {
            Some("int32") => number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX),
            Some("int64") => value.is_i64() || number.abs() < i64::MAX as f64,
            _ => true,
        };
        if !fits {
            let format = rules.format.as_deref().unwrap_or_default();
            self.mistyped(&value.to_string(), format);
        }
    }

    fn size(&mut self, size: Size, count: usize, of: &str) {
        if let Some(most) = size.most.filter(|most| count > *most) {
            let message = format!("Too many: {count}: must have at most {most} items");
            self.add(FieldErrorReason::TooMany, message);
        }
        if let Some(least) = size.least.filter(|least| count < *least) {
            self.invalid(&count.into(), &format!("should have at least {least} {of}"));
        }
    }

    fn array(&mut self, schema: &Schema, items: &[Value], old: Option<&Value>) {
        self.size(schema.rules.items, items.len(), "items");
        let old = old.and_then(Value::as_array).map(Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            let before = match &schema.list_type {
                ListType::Map(keys) => old
                    .into_iter()
                    .flatten()
                    .find(|old| key(old, keys) == key(item, keys)),
                ListType::Set | ListType::Atomic => None,
            };
            if let Some(schema) = schema.items.as_deref() {
                self.within(&format!("[{index}]"), |walk| walk.value(schema, item, before));
            }
        }
        self.duplicates(schema, items);
    }

    fn duplicates(&mut self, schema: &Schema, items: &[Value]) {
        let identity = |item: &Value| match &schema.list_type {
            ListType::Atomic => None,
            ListType::Set => Some(item.clone()),
            ListType::Map(keys) => Some(key(item, keys)),
        };
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(identity) = identity(item) else { return };
            if !seen.insert(identity.to_string()) {
                self.within(&format!("[{index}]"), |walk| {
                    walk.add(
                        FieldErrorReason::Duplicate,
                        format!("Duplicate value: {identity}"),
                    );
                });
            }
        }
    }

    fn object(&mut self, schema: &Schema, members: &Map<String, Value>, old: Option<&Value>) {
        self.size(schema.rules.members, members.len(), "properties");
        for name in &schema.rules.required {
            if !members.contains_key(name) {
                self.within(name, |walk| {
                    walk.add(FieldErrorReason::Required, "Required value".to_owned());
                });
            }
        }
        if schema.embedded {
            self.embedded(members);
        }
        for (name, value) in members {
            if let Some(schema) = schema.member(name) {
                let old = old.and_then(|old| old.get(name));
                self.within(name, |walk| walk.value(schema, value, old));
            }
        }
    }

    /// A whole object needs to say what it is.
    fn embedded(&mut self, members: &Map<String, Value>) {
        for name in ["apiVersion", "kind"] {
            let given = members.get(name).and_then(Value::as_str).unwrap_or_default();
            if given.is_empty() {
                self.within(name, |walk| {
                    walk.add(
                        FieldErrorReason::Required,
                        "Required value: must not be empty".to_owned(),
                    );
                });
            }
        }
    }

    fn combinations(&mut self, schema: &Schema, value: &Value) {
        let rules = &schema.rules;
        let failures = |schema: &Schema, path: &str| schema.validate_at(path, value, None);
        let path = self.path.clone();
        let met = |schemas: &[Schema]| schemas.iter().filter(|schema| schema.is_met_by(value)).count();
        // What is missing for the alternative that comes closest says most.
        let closest = |schemas: &[Schema]| {
            let failures = schemas.iter().map(|schema| failures(schema, &path));
            failures.min_by_key(Vec::len).unwrap_or_default()
        };
        if !rules.any_of.is_empty() && met(&rules.any_of) == 0 {
            self.composite("validate at least one schema (anyOf)");
            self.errors.extend(closest(&rules.any_of));
        }
        match met(&rules.one_of) {
            _ if rules.one_of.is_empty() => {}
            0 => {
                self.composite("validate one and only one schema (oneOf). Found none valid");
                self.errors.extend(closest(&rules.one_of));
            }
            1 => {}
            count => self.composite(&format!(
                "validate one and only one schema (oneOf). Found {count} valid alternatives"
            )),
        }
        let all = met(&rules.all_of);
        if all < rules.all_of.len() {
            let none = if all == 0 { ". None validated" } else { "" };
            self.composite(&format!("validate all the schemas (allOf){none}"));
            let missed = rules.all_of.iter().flat_map(|schema| failures(schema, &path));
            self.errors.extend(missed);
        }
        if rules.not.as_ref().is_some_and(|not| not.is_met_by(value)) {
            self.composite("not validate the schema (not)");
        }
    }
}

/// Whether two values are the same; `1` and `1.0` are.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(_) => value.to_string(),
        other => format!("{:?}", other.to_string()),
    }
}

/// The members by which an item of a list is known.
fn key(item: &Value, keys: &[String]) -> Value {
    let members = keys
        .iter()
        .filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
    Value::Object(members.collect())
}
