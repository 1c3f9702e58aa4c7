use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema(properties: Value) -> Schema {
    Schema::parse(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}),
    )
}

/// The errors for a `spec`, as a client reads them.
fn errors(schema: &Schema, spec: Value) -> Vec<String> {
    let errors = schema.validate(&json!({"spec": spec}), None);
    errors.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(property: Value, value: Value, expected: &str) {
    let found = errors(&schema(json!({"x": property})), json!({"x": value}));
    assert_eq!(found, [expected]);
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    let text = "spec.x: Invalid value: \"integer\": spec.x in body must be of type string: \"integer\"";
    refused(json!({"type": "string"}), json!(1), text);
    let null = "spec.x: Invalid value: \"null\": spec.x in body must be of type integer: \"null\"";
    refused(json!({"type": "integer"}), Value::Null, null);
    let either =
        "spec.x: Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\"";
    refused(json!({"x-kubernetes-int-or-string": true}), json!(true), either);
    let fine = schema(json!({"x": {"type": "string", "nullable": true}, "y": {"type": "integer"}}));
    assert!(errors(&fine, json!({"x": null, "y": 3.0})).is_empty());
}

#[test]
fn texts_and_numbers_have_limits() {
    let long = json!({"type": "string", "maxLength": 2, "minLength": 1});
    refused(
        long.clone(),
        json!("abc"),
        "spec.x: Too long: may not be more than 2 bytes",
    );
    let short = "spec.x: Invalid value: \"\": spec.x in body should be at least 1 chars long";
    refused(long, json!(""), short);
    let pattern = "spec.x: Invalid value: \"B\": spec.x in body should match '^[a-z]$'";
    refused(
        json!({"type": "string", "pattern": "^[a-z]$"}),
        json!("B"),
        pattern,
    );
    let most = "spec.x: Invalid value: 11: spec.x in body should be less than or equal to 10";
    refused(json!({"type": "integer", "maximum": 10}), json!(11), most);
    let least = "spec.x: Invalid value: 0: spec.x in body should be greater than 0";
    let exclusive = json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true});
    refused(exclusive, json!(0), least);
    let known = json!({"type": "string", "enum": ["red", "blue"]});
    let unknown = "spec.x: Unsupported value: \"pink\": supported values: \"red\", \"blue\"";
    refused(known, json!("pink"), unknown);
    let time = "spec.x: Invalid value: \"soon\": spec.x in body must be of type date-time: \"soon\"";
    refused(
        json!({"type": "string", "format": "date-time"}),
        json!("soon"),
        time,
    );
    let unknown = schema(json!({"x": {"type": "string", "format": "of-my-own"}}));
    assert!(errors(&unknown, json!({"x": "anything"})).is_empty());
}

#[test]
fn lists_and_maps_have_limits() {
    let list = json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2});
    refused(
        list.clone(),
        json!([1, 2, 3]),
        "spec.x: Too many: 3: must have at most 2 items",
    );
    let few = "spec.x: Invalid value: 0: spec.x in body should have at least 1 items";
    refused(list.clone(), json!([]), few);
    let item = "spec.x[1]: Invalid value: \"string\": spec.x[1] in body must be of type integer: \"string\"";
    refused(list, json!([1, "b"]), item);
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    refused(set, json!(["a", "b", "a"]), "spec.x[2]: Duplicate value: \"a\"");
    let map = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}},
    });
    let duplicate = "spec.x[1]: Duplicate value: {\"name\":\"a\"}";
    refused(
        map,
        json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}]),
        duplicate,
    );
    let additional =
        json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}});
    refused(
        additional.clone(),
        json!({"a": "", "b": ""}),
        "spec.x: Too many: 2: must have at most 1 items",
    );
    let member = "spec.x.a: Invalid value: \"integer\": spec.x.a in body must be of type string: \"integer\"";
    refused(additional, json!({"a": 1}), member);
    let required = json!({"type": "object", "required": ["size"]});
    refused(required, json!({}), "spec.x.size: Required value");
}

#[test]
fn conditions_combine() {
    let one = json!({
        "type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    });
    let both = "<nil>: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found 2 valid alternatives";
    refused(one.clone(), json!({"a": "", "b": ""}), both);
    let neither = errors(&schema(json!({"x": one})), json!({"x": {}}));
    assert_eq!(
        neither,
        [
            "<nil>: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found none valid",
            "spec.x.a: Required value",
        ]
    );
    let not = json!({"type": "integer", "not": {"enum": [3]}});
    refused(
        not,
        json!(3),
        "<nil>: Invalid value: \"\": \"spec.x\" must not validate the schema (not)",
    );
}

#[test]
fn what_was_stored_invalid_may_stay_as_it_is() {
    let schema = schema(json!({"x": {"type": "integer", "maximum": 3}, "y": {"type": "string"}}));
    let old = json!({"spec": {"x": 9, "y": "a"}});
    assert!(
        schema
            .validate(&json!({"spec": {"x": 9, "y": "b"}}), Some(&old))
            .is_empty()
    );
    assert_eq!(schema.validate(&json!({"spec": {"x": 8}}), Some(&old)).len(), 1);
}

#[test]
fn unknown_members_are_dropped_and_named() {
    let schema = schema(json!({
        "known": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"closed": {"type": "object"}}},
        "whole": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
    }));
    let mut object = json!({
        "apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "other": 1,
        "spec": {
            "known": "", "unknown": "", "list": [{"a": "", "b": ""}], "open": {"any": {"thing": 1}, "closed": {"x": 1}},
            "whole": {"apiVersion": "v1", "kind": "K", "metadata": {"x": 1}, "data": {}},
        },
    });
    let mut unknown = schema.prune(&mut object);
    unknown.sort();
    let expected = [
        "other",
        "spec.list[0].b",
        "spec.open.closed.x",
        "spec.unknown",
        "spec.whole.data",
    ];
    assert_eq!(unknown, expected);
    assert_eq!(object["spec"]["list"], json!([{"a": ""}]));
    assert_eq!(object["spec"]["open"], json!({"any": {"thing": 1}, "closed": {}}));
    assert_eq!(object["spec"]["whole"]["metadata"], json!({"x": 1}));
}

#[test]
fn defaults_fill_what_is_absent_or_wrongly_null() {
    let schema = schema(json!({
        "size": {"type": "integer", "default": 3},
        "nothing": {"type": "string", "nullable": true, "default": "x"},
        "dropped": {"type": "string"},
        "inner": {"type": "object", "default": {}, "properties": {"deep": {"type": "boolean", "default": true}}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}},
    }));
    assert!(schema.has_defaults());
    let mut object = json!({"spec": {"size": null, "nothing": null, "dropped": null, "items": [{}]}});
    schema.apply_defaults(&mut object);
    let expected = json!({"size": 3, "nothing": null, "inner": {"deep": true}, "items": [{"n": 1}]});
    assert_eq!(object["spec"], expected);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is given, pruning and defaulting settle at once, and nothing panics.
    #[test]
    fn pruning_and_defaulting_are_done_once(value in any_json()) {
        let schema = Schema::parse(&json!({"type": "object", "properties": {
            "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 1}}},
            "b": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "default": "d"}}}},
            "c": {"type": "object", "additionalProperties": {"type": "integer"}},
        }}));
        let mut once = value;
        let _ = schema.prune(&mut once);
        schema.apply_defaults(&mut once);
        let mut twice = once.clone();
        prop_assert_eq!(schema.prune(&mut twice), Vec::<String>::new());
        schema.apply_defaults(&mut twice);
        prop_assert_eq!(&once, &twice);
        let _ = schema.validate(&once, None);
    }
}
