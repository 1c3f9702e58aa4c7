//! The CustomResourceDefinition of `ControllerModule`, made from the types that the host
//! reads objects with, so that there is one description of each field.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::schema::{self, SchemaError};
use super::status::ControllerModuleStatus;
use crate::config::ModuleEntry;

/// The API group of Windlass' own resources.
pub const GROUP: &str = "windlass.dev";
/// The version of the resource.
pub const VERSION: &str = "v1alpha1";
/// Its plural.
pub const PLURAL: &str = "controllermodules";
/// The name of the definition.
pub const NAME: &str = "controllermodules.windlass.dev";

const DESCRIPTION: &str = "A controller that a Windlass host runs: a guest, and what it gets. \
     The object's name is the module's. Hosts follow these objects when their \
     `controllerModules` are enabled.";
const NAME_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The definition.
///
/// # Errors
/// When a type says something that no definition can say.
pub fn definition() -> Result<Value, SchemaError> {
    let version = json!({
        "name": VERSION, "served": true, "storage": true,
        "schema": {"openAPIV3Schema": object_schema()?},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns()
    });
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP, "scope": "Cluster",
            "names": {
                "plural": PLURAL, "singular": "controllermodule", "kind": "ControllerModule",
                "listKind": "ControllerModuleList", "shortNames": ["cmod"], "categories": ["windlass"]
            },
            "versions": [version]
        }
    }))
}

fn object_schema() -> Result<Value, SchemaError> {
    let status = schema::structural(schema_for!(ControllerModuleStatus).as_value())?;
    Ok(json!({
        "type": "object", "description": DESCRIPTION, "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            // All that a schema may say of metadata; the rest an API server knows.
            "metadata": {"type": "object", "properties": {
                "name": {"type": "string", "maxLength": 63, "pattern": NAME_PATTERN}
            }},
            "spec": spec_schema()?,
            "status": status
        }
    }))
}

/// A module's entry without what the object says otherwise, and without what belongs to
/// one host's machine: its files, the keys beside its configuration, and plugins.
fn spec_schema() -> Result<Value, SchemaError> {
    let mut spec = schema::structural(schema_for!(ModuleEntry).as_value())?;
    remove(&mut spec, "", "name");
    remove(&mut spec, "", "plugins");
    remove(&mut spec, "/properties/source", "file");
    remove(&mut spec, "/properties/source", "directory");
    remove(&mut spec, "/properties/signature", "key");
    remove(&mut spec, "/properties/signature", "keyless");
    for exactly_one in ["/properties/source", "/properties/signature"] {
        if let Some(fields) = spec.pointer_mut(exactly_one).and_then(Value::as_object_mut) {
            fields.insert("minProperties".to_owned(), 1.into());
            fields.insert("maxProperties".to_owned(), 1.into());
        }
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.insert(
            "description".to_owned(),
            "What the guest is and what it gets, as in a module of the host's configuration.".into(),
        );
    }
    Ok(spec)
}

fn remove(schema: &mut Value, object: &str, property: &str) {
    let Some(object) = schema.pointer_mut(object) else {
        return;
    };
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove(property);
    }
    if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != property);
    }
}

fn columns() -> Vec<Value> {
    let condition = |name: &str, part: &str| format!(".status.conditions[?(@.type==\"{name}\")].{part}");
    let column = |name: &str, path: &str, priority: u8| {
        let mut column = Map::new();
        column.insert("name".to_owned(), name.into());
        column.insert(
            "type".to_owned(),
            if name == "Age" { "date" } else { "string" }.into(),
        );
        column.insert("jsonPath".to_owned(), path.into());
        if priority > 0 {
            column.insert("priority".to_owned(), priority.into());
        }
        Value::Object(column)
    };
    vec![
        column("State", ".status.state", 0),
        column("Ready", &condition("Ready", "status"), 0),
        column("Accepted", &condition("Accepted", "status"), 0),
        column("Version", ".status.version", 0),
        column("Digest", ".status.digest", 1),
        column("Replica", ".status.replica", 1),
        column("Message", &condition("Accepted", "message"), 1),
        column("Age", ".metadata.creationTimestamp", 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_definition_is_the_generated_one() {
        let committed = include_str!("../../../../deploy/crds/controllermodules.yaml");
        let generated = serde_saphyr::to_string(&definition().expect("structural")).expect("YAML");
        assert!(
            committed == generated,
            "run `windlass config crd > deploy/crds/controllermodules.yaml`"
        );
    }

    #[test]
    fn a_spec_has_what_a_module_of_the_file_has_but_for_what_belongs_to_one_machine() {
        let schema = spec_schema().expect("structural");
        let module = schema::structural(schema_for!(ModuleEntry).as_value()).expect("structural");
        let keys = |schema: &Value, of: &str| -> Vec<String> {
            let properties = schema.pointer(of).and_then(Value::as_object).expect("properties");
            properties.keys().cloned().collect()
        };
        let mut expected = keys(&module, "/properties");
        expected.retain(|key| key != "name" && key != "plugins");
        assert_eq!(keys(&schema, "/properties"), expected);
        assert_eq!(
            keys(&schema, "/properties/source/properties"),
            ["configMap", "oci", "stock"]
        );
        assert_eq!(keys(&schema, "/properties/signature/properties"), ["policy"]);
        assert_eq!(schema["required"], json!(["source"]));
    }

    #[test]
    fn every_field_is_described() {
        fn check(at: &str, schema: &Value) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let at = format!("{at}.{name}");
                let text = property["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{at} is not described");
                check(&at, property);
                check(&at, &property["items"]);
            }
        }
        let schema = object_schema().expect("structural");
        check("spec", &schema["properties"]["spec"]);
        check("status", &schema["properties"]["status"]);
    }
}
