use bytes::Bytes;

use super::*;

fn parse(json: &'static str) -> Object {
    Object::parse(Bytes::from_static(json.as_bytes())).unwrap()
}

#[test]
fn the_envelope_is_read_wherever_it_stands() {
    let object = parse(
        r#"{"spec":{"metadata":{"name":"no"}},"metadata":{"labels":{"a":"b"},"uid":"u1","namespace":"ns","name":"n",
        "resourceVersion":"42","deletionTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"name":"no"}]},"kind":"Pod"}"#,
    );
    assert_eq!(object.key(), &ObjectKey::new("ns", "n"));
    assert_eq!(
        (object.uid(), object.resource_version(), object.deleting()),
        ("u1", 42, true)
    );
    assert_eq!(object.labels().get("a"), Some("b"));
}

#[test]
fn only_the_owner_marked_as_controller_counts() {
    let object = parse(
        r#"{"metadata":{"name":"n","deletionTimestamp":null,"ownerReferences":[
        {"apiVersion":"v1","kind":"Node","name":"x","uid":"1"},
        {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"2","controller":true}]}}"#,
    );
    let controller = object.controller().unwrap();
    assert_eq!((controller.name.as_str(), controller.group()), ("rs", "apps"));
    assert!(controller.is("apps", "ReplicaSet") && !controller.is("", "ReplicaSet"));
    assert!(!object.deleting());
}

#[test]
fn escaped_strings_are_decoded() {
    let object = parse(r#"{"metadata":{"name":"a\"b","namespace":"\u006es","labels":{"k\u0065y":"v\\w"}}}"#);
    assert_eq!(object.key(), &ObjectKey::new("ns", "a\"b"));
    assert_eq!(object.labels().get("key"), Some("v\\w"));
}

#[test]
fn labels_compare_without_regard_to_order() {
    let labels = |json: &'static str| Labels::of_body(json.as_bytes());
    let left = labels(r#"{"metadata":{"labels":{"a":"1","b":"2"}}}"#);
    assert!(left.same_as(&labels(r#"{"metadata":{"labels":{"b":"2","a":"1"}}}"#)));
    assert!(!left.same_as(&labels(r#"{"metadata":{"labels":{"a":"1"}}}"#)));
    assert!(labels(r#"{"metadata":{"labels":null}}"#).is_empty());
    assert!(labels("[]").is_empty());
}

#[test]
fn bytes_without_a_name_are_no_object() {
    let error = Object::parse(Bytes::from_static(b"{\"metadata\":{}}")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("not an API object: missing field `name`"),
        "{error}"
    );
    assert!(Object::parse(Bytes::from_static(b"{\"metadata\":{\"name\":\"a\"}")).is_err());
}
