//! From the JSON Schema of a Rust type to a structural schema, the form in which a
//! CustomResourceDefinition carries one: no references, one type for each value,
//! `nullable` in place of `null`, and nothing that an API server does not know.
//!
//! Promises: a keyword that has no place in the other form is an error, not a silent loss.

use serde_json::{Map, Value, json};

/// What is carried over as it is.
const KEPT: [&str; 15] = [
    "description",
    "enum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
];
/// What says nothing about a value.
const IGNORED: [&str; 3] = ["$defs", "$schema", "title"];

/// A schema that cannot be a structural one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct SchemaError {
    at: String,
    problem: String,
}

/// The structural form of a schema with its definitions under `$defs`.
///
/// # Errors
/// When there is no such form.
pub(super) fn structural(schema: &Value) -> Result<Value, SchemaError> {
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    Walk { definitions }.value("", schema)
}

struct Walk<'a> {
    definitions: &'a Map<String, Value>,
}

impl Walk<'_> {
    fn value(&self, at: &str, schema: &Value) -> Result<Value, SchemaError> {
        let refuse = |problem: &str| SchemaError {
            at: at.to_owned(),
            problem: problem.to_owned(),
        };
        let fields = match schema {
            Value::Bool(true) => return Ok(json!({"x-kubernetes-preserve-unknown-fields": true})),
            Value::Object(fields) => fields,
            _ => return Err(refuse("is no schema")),
        };
        let mut out = Map::new();
        for (key, value) in fields {
            match key.as_str() {
                "$ref" => out.append(&mut self.definition(at, value)?),
                "type" => {
                    out.extend(types(value).ok_or_else(|| refuse("has types that do not go together"))?)
                }
                "anyOf" | "oneOf" => out.append(&mut self.choice(at, value)?),
                _ => {}
            }
        }
        for (key, value) in fields {
            match key.as_str() {
                "$ref" | "type" | "anyOf" | "oneOf" => {}
                "properties" => _ = out.insert(key.clone(), self.properties(at, value)?),
                "items" => _ = out.insert(key.clone(), self.value(&format!("{at}[]"), value)?),
                "additionalProperties" => out.extend(self.additional(at, value)?),
                "default" => out.extend(default(value)),
                "format" => out.extend(format(value)),
                // What a choice is among says more than what the choice is.
                "description" if fields.contains_key("oneOf") && out.contains_key("enum") => {}
                "description" => describe(&mut out, value),
                key if KEPT.contains(&key) => _ = out.insert(key.to_owned(), value.clone()),
                key if IGNORED.contains(&key) => {}
                key => return Err(refuse(&format!("{key} has no structural form"))),
            }
        }
        Ok(Value::Object(out))
    }

    fn definition(&self, at: &str, reference: &Value) -> Result<Map<String, Value>, SchemaError> {
        let name = reference.as_str().and_then(|path| path.rsplit('/').next());
        let found = name.and_then(|name| self.definitions.get(name));
        let found = found.ok_or_else(|| SchemaError {
            at: at.to_owned(),
            problem: format!("refers to {reference}, which is not defined"),
        })?;
        self.fields(at, found)
    }

    fn fields(&self, at: &str, schema: &Value) -> Result<Map<String, Value>, SchemaError> {
        match self.value(at, schema)? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }

    fn properties(&self, at: &str, properties: &Value) -> Result<Value, SchemaError> {
        let properties = properties.as_object().into_iter().flatten();
        let converted = properties.map(|(name, schema)| {
            let at = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            Ok((name.clone(), self.value(&at, schema)?))
        });
        Ok(Value::Object(converted.collect::<Result<_, SchemaError>>()?))
    }

    /// `false` is what a structural schema means anyway: what it does not name is pruned.
    fn additional(&self, at: &str, schema: &Value) -> Result<Option<(String, Value)>, SchemaError> {
        Ok(match schema {
            Value::Bool(false) => None,
            Value::Bool(true) => Some(("x-kubernetes-preserve-unknown-fields".to_owned(), true.into())),
            schema => Some((
                "additionalProperties".to_owned(),
                self.value(&format!("{at}.*"), schema)?,
            )),
        })
    }

    /// Something or null, or one of several words.
    fn choice(&self, at: &str, options: &Value) -> Result<Map<String, Value>, SchemaError> {
        let options: Vec<&Value> = options.as_array().into_iter().flatten().collect();
        let is_null = |option: &&&Value| option.get("type").and_then(Value::as_str) == Some("null");
        let others: Vec<&Value> = options
            .iter()
            .filter(|option| !is_null(option))
            .copied()
            .collect();
        let nullable = others.len() < options.len();
        let mut out = match others.as_slice() {
            [one] => self.fields(at, one)?,
            several => words(several).ok_or_else(|| SchemaError {
                at: at.to_owned(),
                problem: "is a choice that is not one of words".to_owned(),
            })?,
        };
        if nullable {
            out.insert("nullable".to_owned(), true.into());
        }
        Ok(out)
    }
}

/// Strings with a description each.
fn words(options: &[&Value]) -> Option<Map<String, Value>> {
    let mut words = Vec::new();
    let mut descriptions = Vec::new();
    for option in options {
        let word = option.get("const")?.as_str()?;
        if let Some(text) = option.get("description").and_then(Value::as_str) {
            descriptions.push(format!("{word}: {text}"));
        }
        words.push(Value::from(word));
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "string".into());
    out.insert("enum".to_owned(), words.into());
    if !descriptions.is_empty() {
        out.insert("description".to_owned(), descriptions.join(" ").into());
    }
    Some(out)
}

/// One type, perhaps nullable; or a number or its text.
fn types(types: &Value) -> Option<Vec<(String, Value)>> {
    let set = |key: &str, value: Value| (key.to_owned(), value);
    let names: Vec<&str> = match types {
        Value::String(name) => return Some(vec![set("type", name.as_str().into())]),
        types => types.as_array()?.iter().filter_map(Value::as_str).collect(),
    };
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != "null").collect();
    let mut out = match others.as_slice() {
        [one] => vec![set("type", (*one).into())],
        ["string", "integer"] | ["integer", "string"] => {
            vec![set("x-kubernetes-int-or-string", true.into())]
        }
        _ => return None,
    };
    if others.len() < names.len() {
        out.push(set("nullable", true.into()));
    }
    Some(out)
}

/// Nulls stand for what a description says, and are not written out.
fn default(value: &Value) -> Option<(String, Value)> {
    let value = without_nulls(value)?;
    Some(("default".to_owned(), value))
}

fn without_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.filter_map(|(key, value)| Some((key.clone(), without_nulls(value)?)));
            Some(Value::Object(fields.collect()))
        }
        other => Some(other.clone()),
    }
}

/// API servers know signed integers; that one is not negative is said by its minimum.
fn format(value: &Value) -> Option<(String, Value)> {
    let name = value.as_str()?;
    let known = match name {
        "int32" | "int64" | "date-time" => name,
        "uint8" | "uint16" => "int32",
        "uint32" | "uint64" | "uint" | "int" => "int64",
        // Others are not checked by API servers, which warn of them.
        _ => return None,
    };
    Some(("format".to_owned(), known.into()))
}

fn describe(out: &mut Map<String, Value>, text: &Value) {
    let text = text.as_str().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = out
        .get("enum")
        .and(out.get("description"))
        .and_then(Value::as_str);
    let whole = match words {
        Some(words) => format!("{text} {words}"),
        None => text,
    };
    out.insert("description".to_owned(), whole.into());
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;

    /// A thing.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        /// Its name.
        name: String,
        /// How many.
        #[serde(default)]
        count: Option<u32>,
        /// What it is made of.
        part: Option<Part>,
        /// Which.
        #[serde(default)]
        kind: Kind,
        /// Anything.
        free: serde_json::Map<String, Value>,
        texts: std::collections::BTreeMap<String, String>,
    }

    /// A part.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Part {
        size: Vec<i32>,
    }

    /// Kinds of things.
    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        /// The one.
        #[default]
        One,
        /// The other.
        Other,
    }

    #[test]
    fn a_type_has_its_references_nulls_and_choices_in_the_words_of_an_api_server() {
        let schema = structural(schemars::schema_for!(Thing).as_value()).expect("structural");
        let part = json!({"type": "array", "items": {"type": "integer", "format": "int32"}});
        assert_eq!(
            schema,
            json!({
                "type": "object", "description": "A thing.", "required": ["name", "free", "texts"],
                "properties": {
                    "name": {"type": "string", "description": "Its name."},
                    "count": {"type": "integer", "format": "int64", "minimum": 0, "nullable": true, "description": "How many."},
                    "part": {
                        "type": "object", "nullable": true, "description": "What it is made of.",
                        "properties": {"size": part}, "required": ["size"]
                    },
                    "kind": {
                        "type": "string", "enum": ["one", "other"], "default": "one",
                        "description": "Which. one: The one. other: The other."
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Anything."},
                    "texts": {"type": "object", "additionalProperties": {"type": "string"}}
                }
            })
        );
    }

    #[test]
    fn what_has_no_structural_form_is_an_error_that_says_where() {
        for (schema, message) in [
            (
                json!({"properties": {"a": {"type": ["string", "object"]}}}),
                "a: has types that do not go together",
            ),
            (
                json!({"properties": {"a": {"items": {"$ref": "#/$defs/B"}}}}),
                "a[]: refers to \"#/$defs/B\", which is not defined",
            ),
            (
                json!({"patternProperties": {}}),
                ": patternProperties has no structural form",
            ),
            (
                json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "object"}]}}}),
                "a: is a choice that is not one of words",
            ),
        ] {
            let error = structural(&schema).expect_err("not structural");
            assert_eq!(error.to_string(), message);
        }
    }
}
