//! What a typed server would do with the members of a JSON object: drop those it does not
//! know, and refuse those of the wrong type.

use serde_json::{Map, Value};

use crate::schema::{Kind, MessageId, Shape, schema};

/// Unknown members that are named at most, as upstream limits its warnings.
const MAX_REPORTED: usize = 50;

/// Drops the unknown members of an object of a built-in kind and names them. Does nothing
/// to other kinds.
///
/// # Errors
/// The first member of a wrong type, in the words of Go's decoder.
pub(crate) fn prune(api_version: &str, kind: &str, object: &mut Value) -> Result<Vec<String>, String> {
    let Some(id) = schema().root(api_version, kind) else {
        return Ok(Vec::new());
    };
    let mut walk = Walk {
        path: String::new(),
        unknown: Vec::new(),
    };
    walk.message(id, object)?;
    Ok(walk.unknown)
}

/// The same for the metadata of an object of any kind.
///
/// # Errors
/// The first member of a wrong type, in the words of Go's decoder.
pub(crate) fn prune_metadata(object: &mut Value) -> Result<Vec<String>, String> {
    let pod = schema().root("v1", "Pod").map(|id| schema().message(id));
    let Some((_, Kind::Message(id))) = pod.and_then(|pod| pod.member("metadata")) else {
        return Ok(Vec::new());
    };
    let Some(metadata) = object.get_mut("metadata").filter(|metadata| !metadata.is_null()) else {
        return Ok(Vec::new());
    };
    let mut walk = Walk {
        path: "metadata".to_owned(),
        unknown: Vec::new(),
    };
    if let Some(members) = metadata.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    walk.message(id, metadata)?;
    Ok(walk.unknown)
}

struct Walk {
    path: String,
    unknown: Vec<String>,
}

impl Walk {
    fn message(&mut self, id: MessageId, value: &mut Value) -> Result<(), String> {
        let Some(members) = value.as_object_mut() else {
            return Err(self.mismatch(value, "object"));
        };
        let message = schema().message(id);
        if members.keys().any(|name| message.member(name).is_none()) {
            members.retain(|name, _| {
                let known = message.member(name).is_some();
                if !known && self.unknown.len() < MAX_REPORTED {
                    self.unknown.push(join(&self.path, name));
                }
                known
            });
        }
        for (name, value) in members.iter_mut() {
            let Some((shape, kind)) = message.member(name) else {
                continue;
            };
            if needs_no_path(shape, kind, value) {
                continue;
            }
            let length = self.path.len();
            self.path = join(&self.path, name);
            self.member(shape, kind, value)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn member(&mut self, shape: Shape, kind: Kind, value: &mut Value) -> Result<(), String> {
        match shape {
            Shape::One => self.value(kind, value),
            Shape::List => {
                let Some(items) = value.as_array_mut() else {
                    return Err(self.mismatch(value, "array"));
                };
                let length = self.path.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push_str(&format!("[{index}]"));
                    self.value(kind, item)?;
                    self.path.truncate(length);
                }
                Ok(())
            }
            Shape::Map => {
                let Some(members) = value.as_object_mut() else {
                    return Err(self.mismatch(value, "object"));
                };
                self.map(kind, members)
            }
        }
    }

    fn map(&mut self, kind: Kind, members: &mut Map<String, Value>) -> Result<(), String> {
        for (name, value) in members {
            let length = self.path.len();
            self.path = join(&self.path, name);
            self.value(kind, value)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, value: &mut Value) -> Result<(), String> {
        match kind {
            Kind::Message(id) => self.message(id, value),
            Kind::Choice(id) => self.choice(id, value),
            _ if fits(kind, value) => Ok(()),
            Kind::Integer => Err(self.mismatch(value, "int64")),
            Kind::Boolean => Err(self.mismatch(value, "bool")),
            Kind::Double => Err(self.mismatch(value, "float64")),
            Kind::Items => Err(self.mismatch(value, "array")),
            _ => Err(self.mismatch(value, "string")),
        }
    }

    fn choice(&mut self, id: MessageId, value: &mut Value) -> Result<(), String> {
        let mut fields = schema().message(id).fields().iter();
        let field = fields.find(|field| match field.shape {
            Shape::One => fits(field.kind, value),
            Shape::List => value.is_array(),
            Shape::Map => value.is_object(),
        });
        match field {
            Some(field) => self.member(field.shape, field.kind, value),
            None => Err(self.mismatch(value, "object")),
        }
    }

    fn mismatch(&self, value: &Value, wanted: &str) -> String {
        let given = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        format!(
            "json: cannot unmarshal {given} into Go struct field {} of type {wanted}",
            self.path
        )
    }
}

/// Most members are scalars that fit: they need no path to be reported under.
fn needs_no_path(shape: Shape, kind: Kind, value: &Value) -> bool {
    shape == Shape::One && !matches!(kind, Kind::Message(_)) && fits(kind, value)
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text | Kind::Bytes | Kind::Time | Kind::MicroTime => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Boolean => value.is_boolean(),
        Kind::Double => value.is_number(),
        Kind::Quantity | Kind::IntOrString => value.is_string() || value.is_number(),
        Kind::Items => value.is_array(),
        Kind::Raw | Kind::FieldSet => true,
        Kind::Message(_) => value.is_object(),
        // What fits is up to its fields.
        Kind::Choice(_) => false,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_members_are_dropped_and_named() {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"any": "thing"}, "bogus": 1},
            "spec": {"containers": [{"name": "c", "imagee": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]},
        });
        let unknown = prune("v1", "Pod", &mut pod).unwrap();
        assert_eq!(unknown, ["metadata.bogus", "spec.containers[0].imagee"]);
        assert_eq!(pod["spec"]["containers"], json!([{"name": "c"}]));
        assert_eq!(pod["spec"]["volumes"][0], json!({"name": "v", "emptyDir": {}}));
    }

    #[test]
    fn members_of_a_wrong_type_are_refused() {
        let mut deployment = json!({"spec": {"replicas": "three"}});
        let error = prune("apps/v1", "Deployment", &mut deployment).unwrap_err();
        assert_eq!(
            error,
            "json: cannot unmarshal string into Go struct field spec.replicas of type int64"
        );
        assert!(prune("v1", "Pod", &mut json!({"spec": []})).is_err());
        assert_eq!(prune("example.com/v1", "Any", &mut json!({"x": 1})), Ok(vec![]));
    }
}
