//! Filling in what a schema says an object is meant to have.

use serde_json::{Map, Value};

use super::{Additional, Schema};

impl Schema {
    /// Fills in defaults, also where a value is `null` that must not be; what is `null`
    /// without a default is dropped.
    pub fn apply_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(members) => self.default_members(members),
            Value::Array(items) => {
                if let Some(schema) = self.items.as_deref() {
                    items.iter_mut().for_each(|item| schema.complete(item));
                }
            }
            _ => {}
        }
    }

    fn default_members(&self, members: &mut Map<String, Value>) {
        for (name, schema) in &self.properties {
            if let Some(default) = &schema.default
                && !members.contains_key(name)
            {
                members.insert(name.clone(), default.clone());
            }
        }
        members.retain(|name, value| {
            let Some(schema) = self.member(name) else {
                return true;
            };
            schema.complete(value);
            !value.is_null() || schema.nullable
        });
    }

    fn complete(&self, value: &mut Value) {
        if value.is_null()
            && !self.nullable
            && let Some(default) = &self.default
        {
            *value = default.clone();
        }
        self.apply_defaults(value);
    }

    /// The schema of a member.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Some(Additional::Like(schema)) => Some(schema),
            _ => None,
        })
    }
}
