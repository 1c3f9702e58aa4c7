//! Bodies that kubectl 1.36 sent, messages written by hand, and bytes that are neither.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire::Fault;
use super::{MAGIC, ProtobufError, decode};
use crate::fields;

/// `kubectl create deployment web --image=nginx --replicas=3 --port=80`
const DEPLOYMENT: &str = "\
    6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b8010a1f0a0377656212001a0022002a00320038\
    0042005a0a0a0361707012037765621286010803120c0a0a0a0361707012037765621a6c0a1c0a0012001a0022002a00\
    3200380042005a0a0a036170701203776562124c122e0a056e67696e7812056e67696e782a00320a0a00100018502200\
    2a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c20100\
    22020a00280038001a0c0800100018002000280038001a002200";

/// `kubectl create configmap settings --from-literal=k=v`
const CONFIG_MAP: &str = "\
    6b3873000a0f0a0276311209436f6e6669674d617012220a180a0873657474696e677312001a0022002a003200380042\
    0012060a016b1201761a002200";

/// `kubectl create secret generic keys --from-literal=password=hunter2 --from-file=bin=bin`
const SECRET: &str = "\
    6b3873000a0c0a027631120653656372657412390a140a046b65797312001a0022002a00320038004200120a0a036269\
    6e120300ff1012130a0870617373776f7264120768756e746572321a001a002200";

/// `kubectl create poddisruptionbudget p --min-available=50% --selector=app=web`
const DISRUPTION_BUDGET: &str = "\
    6b3873000a200a09706f6c6963792f76311213506f6444697372757074696f6e427564676574123a0a110a017012001a\
    0022002a0032003800420012190a09080110001a03353025120c0a0a0a0361707012037765621a0a0800180020002800\
    30001a002200";

fn captured(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
    out
}

/// A length-delimited field.
fn bytes(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [
        varint(field << 3 | 2),
        varint(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value.cast_unsigned())].concat()
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

/// A length-delimited field of several.
fn message<const N: usize>(field: u64, fields: [Vec<u8>; N]) -> Vec<u8> {
    bytes(field, fields.concat())
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = message(1, [bytes(1, api_version), bytes(2, kind)]);
    [MAGIC.to_vec(), type_meta, bytes(2, raw)].concat()
}

fn decoded(api_version: &str, kind: &str, raw: &[u8]) -> Value {
    decode(&body(api_version, kind, raw)).unwrap()
}

#[test]
fn the_bodies_of_kubectl_are_its_json() {
    let deployment = json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
                "name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {},
            }]}},
        },
        "status": {},
    });
    let config_map = json!({
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "settings"}, "data": {"k": "v"},
    });
    let secret = json!({
        "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "keys"},
        "data": {"bin": "AP8Q", "password": "aHVudGVyMg=="},
    });
    let budget = json!({
        "kind": "PodDisruptionBudget", "apiVersion": "policy/v1", "metadata": {"name": "p"},
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    });
    let pairs = [
        (DEPLOYMENT, deployment),
        (CONFIG_MAP, config_map),
        (SECRET, secret),
        (DISRUPTION_BUDGET, budget),
    ];
    for (sent, expected) in pairs {
        assert_eq!(decode(&captured(sent)), Ok(expected));
    }
}

#[test]
fn zeros_stay_where_they_differ_from_absence() {
    let zero = [number(1, 0), number(2, 0), bytes(3, "")].concat();
    let strategy = bytes(4, message(2, [bytes(1, &zero)]));
    let spec = message(2, [number(1, 0), number(5, 0), number(7, 0), strategy]);
    assert_eq!(
        decoded("apps/v1", "Deployment", &spec)["spec"],
        json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxUnavailable": 0}}})
    );
    let scale = decoded(
        "autoscaling/v1",
        "Scale",
        &[bytes(2, number(1, 0)), bytes(3, number(1, 0))].concat(),
    );
    assert_eq!(
        (&scale["spec"], &scale["status"]),
        (&json!({}), &json!({"replicas": 0}))
    );
    let scale = decoded("autoscaling/v1", "Scale", &bytes(2, number(1, 5)));
    assert_eq!(scale["spec"], json!({"replicas": 5}));
}

#[test]
fn options_of_a_deletion_belong_to_every_version() {
    let preconditions = bytes(2, bytes(1, "u"));
    let options = [
        number(1, 0),
        preconditions,
        bytes(4, "Background"),
        bytes(5, "All"),
    ]
    .concat();
    for api_version in ["v1", "apps/v1", "meta.k8s.io/v1"] {
        let expected = json!({
            "apiVersion": api_version, "kind": "DeleteOptions", "gracePeriodSeconds": 0,
            "preconditions": {"uid": "u"}, "propagationPolicy": "Background", "dryRun": ["All"],
        });
        assert_eq!(decoded(api_version, "DeleteOptions", &options), expected);
    }
    for api_version in ["policy/v1", "policy/v1beta1"] {
        let eviction = decoded(api_version, "Eviction", &bytes(2, number(1, 0)));
        assert_eq!(eviction["deleteOptions"], json!({"gracePeriodSeconds": 0}));
    }
}

#[test]
fn times_take_the_form_of_their_type() {
    let time = [number(1, 1_767_323_045), number(2, 120_000_000)].concat();
    let spec = message(2, [bytes(3, &time), bytes(4, [])]);
    let lease = decoded("coordination.k8s.io/v1", "Lease", &spec);
    assert_eq!(
        lease["spec"],
        json!({"acquireTime": "2026-01-02T03:04:05.120000Z"})
    );
    let metadata = message(1, [bytes(8, &time), bytes(9, number(1, -1))]);
    assert_eq!(
        decoded("v1", "Pod", &metadata)["metadata"],
        json!({"creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "1969-12-31T23:59:59Z"})
    );
}

#[test]
fn inlined_sources_numbers_and_quantities_take_their_json_form() {
    let source = bytes(2, bytes(19, bytes(1, bytes(1, "settings"))));
    let volume = message(1, [bytes(1, "v"), source]);
    let limit = message(1, [bytes(1, "cpu"), bytes(2, bytes(1, "500m"))]);
    let container = message(2, [bytes(1, "c"), bytes(8, limit)]);
    // Once packed and once one by one.
    let groups = message(14, [bytes(4, [7, 8]), number(4, -1)]);
    let spec = message(2, [volume, container, groups]);
    let expected = json!({
        "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "500m"}}}],
        "securityContext": {"supplementalGroups": [7, 8, -1]},
    });
    assert_eq!(decoded("v1", "Pod", &spec)["spec"], expected);
    let extra = message(5, [bytes(1, "k"), bytes(2, message(1, []))]);
    let review = message(2, [bytes(3, "me"), extra, bytes(4, "g")]);
    assert_eq!(
        decoded("authorization.k8s.io/v1", "SubjectAccessReview", &review)["spec"],
        json!({"user": "me", "groups": ["g"], "extra": {"k": [""]}})
    );
}

#[test]
fn schemas_of_custom_resources_show_the_alternative_they_chose() {
    let text = bytes(5, "string");
    let defaulted = [number(37, 0), bytes(8, bytes(1, "false")), double(9, 5.0)].concat();
    let property = message(29, [bytes(1, "p"), bytes(2, &defaulted)]);
    let items = bytes(24, bytes(1, &text));
    let closed = bytes(30, number(1, 0));
    let open = bytes(33, [number(1, 1), bytes(2, &text)].concat());
    let names = bytes(2, [bytes(2, "a"), bytes(2, "b")].concat());
    let dependency = message(32, [bytes(1, "d"), names]);
    let schema = message(
        1,
        [
            property,
            items,
            closed,
            open,
            dependency,
            bytes(20, bytes(1, "null")),
        ],
    );
    let version = message(7, [bytes(1, "v1"), number(2, 1), number(3, 0), bytes(4, schema)]);
    let mut definition = decoded(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &bytes(2, version),
    );
    let expected = json!({"versions": [{"name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {
        "properties": {"p": {"default": false, "maximum": 5}}, "items": {"type": "string"},
        "additionalProperties": false, "additionalItems": {"type": "string"},
        "dependencies": {"d": ["a", "b"]}, "enum": [null],
    }}}]});
    assert_eq!(definition["spec"], expected);
    let unknown = fields::prune(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &mut definition,
    );
    assert_eq!((unknown, &definition["spec"]), (Ok(Vec::new()), &expected));
}

#[test]
fn unknown_fields_are_skipped() {
    let unknown = [
        number(900, 1),
        bytes(901, "x"),
        double(902, 1.0),
        varint(903 << 3 | 5),
        vec![0; 4],
    ]
    .concat();
    let raw = [unknown, bytes(1, bytes(1, "p"))].concat();
    assert_eq!(decoded("v1", "Pod", &raw)["metadata"], json!({"name": "p"}));
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let cases = [
        (vec![0x0a], "in Pod: the message ends early"),
        (
            bytes(1, [0x0a, 5, b'x']),
            "in Pod.metadata: the message ends early",
        ),
        (
            bytes(1, bytes(1, [0xff])),
            "in Pod.metadata.name: a text is not valid UTF-8",
        ),
        (
            bytes(2, bytes(2, number(1, 1))),
            "in Pod.spec.containers.name: a field has a wire type that its type cannot have",
        ),
        (
            bytes(1, bytes(17, bytes(7, bytes(1, "{")))),
            "in Pod.metadata.managedFields.fieldsV1: embedded JSON is not valid JSON",
        ),
        (
            bytes(1, bytes(8, number(1, i64::MAX))),
            "in Pod.metadata.creationTimestamp: a time is out of range",
        ),
        (vec![0, 0], "in Pod: a field has the number 0"),
        (
            [vec![8], vec![0xff; 10]].concat(),
            "in Pod: a number is longer than 64 bits",
        ),
    ];
    for (raw, expected) in cases {
        assert_eq!(
            decode(&body("v1", "Pod", &raw)).unwrap_err().to_string(),
            expected
        );
    }
    let deep = (0..100).fold(Vec::new(), |inner, _| bytes(28, inner));
    let version = bytes(7, bytes(4, bytes(1, deep)));
    let error = decode(&body(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &bytes(2, version),
    ));
    assert!(matches!(
        error,
        Err(ProtobufError::Malformed {
            fault: Fault::Depth,
            ..
        })
    ));
}

#[test]
fn what_is_not_an_object_is_refused() {
    assert_eq!(decode(b"{}"), Err(ProtobufError::Prefix));
    let error = decode(&[MAGIC, &[0x0a]].concat()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in the envelope of the object: the message ends early"
    );
    let error = decode(&body("example.com/v1", "W", &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no kind \"W\" is registered for version \"example.com/v1\""
    );
}

proptest! {
    #[test]
    fn no_bytes_break_the_decoder(
        kind in prop::sample::select(vec![
            ("v1", "Pod"), ("apps/v1", "Deployment"), ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("coordination.k8s.io/v1", "Lease"), ("v1", "DeleteOptions"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ]),
        raw in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(&raw);
        let _ = decode(&[MAGIC, &raw].concat());
        let _ = decode(&body(kind.0, kind.1, &raw));
    }

    #[test]
    fn a_damaged_body_is_refused_or_still_an_object_of_its_kind(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut sent = captured(DEPLOYMENT);
        for (place, byte) in damage {
            let place = place.index(sent.len());
            sent[place] = byte;
        }
        if let Some(length) = length {
            sent.truncate(length.index(sent.len()));
        }
        if let Ok(mut object) = decode(&sent) {
            let api_version = object["apiVersion"].as_str().unwrap().to_owned();
            let kind = object["kind"].as_str().unwrap().to_owned();
            prop_assert_eq!(fields::prune(&api_version, &kind, &mut object), Ok(Vec::new()));
        }
    }
}
