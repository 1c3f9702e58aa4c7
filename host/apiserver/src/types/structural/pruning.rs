//! Dropping what a schema does not know.

use serde_json::{Map, Value};

use super::{Additional, Schema};

/// Unknown members that are named at most.
const MAX_REPORTED: usize = 50;
/// What every object has, whatever its schema says.
const OBJECT_MEMBERS: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Schema {
    /// Drops the members of an object that the schema does not know, and names them.
    #[must_use]
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut pruning = Pruning::default();
        if let Some(members) = object.as_object_mut() {
            pruning.members(self, members, Owner::Object);
        }
        pruning.unknown
    }

    /// The same for a value that is no whole object.
    #[must_use]
    pub fn prune_value(&self, value: &mut Value) -> Vec<String> {
        let mut pruning = Pruning::default();
        pruning.value(self, value);
        pruning.unknown
    }
}

/// Whose members they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A whole Kubernetes object.
    Object,
    Value,
}

#[derive(Default)]
struct Pruning {
    path: String,
    unknown: Vec<String>,
}

impl Pruning {
    fn value(&mut self, schema: &Schema, value: &mut Value) {
        match value {
            Value::Object(members) if schema.embedded => self.members(schema, members, Owner::Object),
            Value::Object(members) => self.members(schema, members, Owner::Value),
            Value::Array(items) => {
                let Some(schema) = schema.items.as_deref() else {
                    return;
                };
                let length = self.path.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push_str(&format!("[{index}]"));
                    self.value(schema, item);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn members(&mut self, schema: &Schema, members: &mut Map<String, Value>, owner: Owner) {
        let length = self.path.len();
        members.retain(|name, value| {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            let kept = self.member(schema, name, value, owner);
            if !kept && self.unknown.len() < MAX_REPORTED {
                self.unknown.push(self.path.clone());
            }
            self.path.truncate(length);
            kept
        });
    }

    fn member(&mut self, schema: &Schema, name: &str, value: &mut Value, owner: Owner) -> bool {
        if owner == Owner::Object && OBJECT_MEMBERS.contains(&name) {
            return true;
        }
        match (schema.properties.get(name), &schema.additional) {
            (Some(schema), _) => self.value(schema, value),
            (None, Some(Additional::Like(schema))) => self.value(schema, value),
            (None, Some(Additional::Anything)) => {}
            (None, None) => return schema.preserves_unknown,
        }
        true
    }
}
