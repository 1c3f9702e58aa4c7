//! What a request's body must not say.
//!
//! A module's permission is checked for the object that its request names, and the host
//! says who writes. A body that names another object, claims other authors of fields, or
//! gives an event another source is refused before it is sent: API servers refuse the
//! first themselves, and believe the others. An update may carry the authors that were
//! read with the object; they are left out, and the server keeps its own.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use smol_str::SmolStr;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::ObjectKey;
use windlass_core::seams::{ApiRequest, ApiVerb, PatchType};

use crate::permits::quoted;

/// What all bodies are looked at for. Keys given twice are errors, so that the server
/// cannot see another value than the check did.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    metadata: Option<Metadata>,
    source: Option<Source>,
    deprecated_source: Option<Source>,
    reporting_component: Option<SmolStr>,
    reporting_controller: Option<SmolStr>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<SmolStr>,
    namespace: Option<SmolStr>,
    managed_fields: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    component: Option<SmolStr>,
}

/// One operation of RFC 6902, as far as it says what it touches.
#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    op: String,
    path: String,
    /// What a move takes away.
    from: Option<String>,
}

impl Operation {
    fn changed(&self) -> impl Iterator<Item = &String> {
        let moved = self.from.iter().filter(|_| self.op == "move");
        std::iter::once(&self.path).chain(moved)
    }
}

/// Checks the body of a request, if it has one, and returns what to send in its place, if
/// it cannot be sent as it is. `event_source` is what the module's events say that they
/// come from.
pub(crate) fn check(request: &ApiRequest, event_source: &str) -> Result<Option<Bytes>, ApiError> {
    let parse = |body: &[u8]| {
        serde_json::from_slice::<Body>(body)
            .map_err(|error| refuse(format!("the body is not a JSON object: {error}")))
    };
    match &request.verb {
        ApiVerb::Get | ApiVerb::List(_) | ApiVerb::Delete(_) => Ok(None),
        ApiVerb::Patch(PatchType::Json, operations) => check_operations(request, operations).map(|()| None),
        ApiVerb::Update(bytes) => {
            let body = parse(bytes)?;
            check_object(request, &body, event_source)?;
            if !body.claims_authors() {
                return Ok(None);
            }
            without_authors(bytes).map(Some)
        }
        ApiVerb::Create(body) | ApiVerb::Patch(PatchType::Merge | PatchType::StrategicMerge, body) => {
            let body = parse(body)?;
            check_object(request, &body, event_source)?;
            if body.claims_authors() {
                return Err(refuse(
                    "the body has `metadata.managedFields`; the host says who owns the fields that are written",
                ));
            }
            Ok(None)
        }
    }
}

impl Body {
    fn claims_authors(&self) -> bool {
        let fields = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.managed_fields.as_ref());
        fields.is_some_and(|fields| !fields.is_empty())
    }
}

/// Fails on what only a reader that builds the whole object minds, such as deep nesting.
fn without_authors(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut object: Value = serde_json::from_slice(body).map_err(|error| {
        refuse(format!(
            "`metadata.managedFields` cannot be taken out of the body: {error}"
        ))
    })?;
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    metadata.and_then(|metadata| metadata.remove("managedFields"));
    Ok(object.to_string().into())
}

fn check_object(request: &ApiRequest, body: &Body, event_source: &str) -> Result<(), ApiError> {
    if let Some(metadata) = &body.metadata {
        check_metadata(&request.key, metadata)?;
    }
    if !is_event(request) {
        return Ok(());
    }
    let components = [&body.source, &body.deprecated_source].into_iter().flatten();
    let sources = components
        .filter_map(|source| source.component.as_ref())
        .chain(&body.reporting_component)
        .chain(&body.reporting_controller);
    for source in sources.filter(|source| !source.is_empty()) {
        if source != event_source {
            return Err(refuse(format!(
                "the event claims to come from {:?}; this module's events come from {event_source:?}",
                quoted(source)
            )));
        }
    }
    Ok(())
}

fn check_metadata(key: &ObjectKey, metadata: &Metadata) -> Result<(), ApiError> {
    let differs = |said: &Option<SmolStr>, asked: &SmolStr| {
        said.as_ref()
            .filter(|said| !said.is_empty() && *said != asked)
            .map(|said| quoted(said))
    };
    if let Some(said) = differs(&metadata.namespace, &key.namespace) {
        return Err(refuse(format!(
            "the body is of namespace {said:?}, the request of {:?}",
            quoted(&key.namespace)
        )));
    }
    if !key.name.is_empty()
        && let Some(said) = differs(&metadata.name, &key.name)
    {
        return Err(refuse(format!(
            "the body is of {said:?}, the request of {:?}",
            quoted(&key.name)
        )));
    }
    Ok(())
}

/// A JSON patch may reach anything by its path, so what it must not touch it must not name.
fn check_operations(request: &ApiRequest, operations: &[u8]) -> Result<(), ApiError> {
    let operations: Vec<Operation> = serde_json::from_slice(operations)
        .map_err(|error| refuse(format!("the body is not a JSON patch: {error}")))?;
    for path in operations.iter().flat_map(Operation::changed) {
        let kept = ["/metadata/managedFields", "/metadata/name", "/metadata/namespace"];
        let is_kept = kept.iter().any(|kept| {
            path.strip_prefix(kept)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if path.is_empty() || path == "/metadata" || is_kept {
            return Err(refuse(format!(
                "the patch changes {:?}, which the host keeps",
                quoted(path)
            )));
        }
    }
    if is_event(request) {
        return Err(refuse(
            "events take merge patches only, so that their source can be checked",
        ));
    }
    Ok(())
}

fn is_event(request: &ApiRequest) -> bool {
    let resource = &request.resource;
    resource.plural == "events" && matches!(resource.group.as_str(), "" | "events.k8s.io")
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::local(ApiErrorKind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use windlass_core::key::Resource;

    use super::*;

    fn of(resource: &str, name: &str, verb: ApiVerb) -> ApiRequest {
        ApiRequest {
            resource: Resource::new("", "v1", resource),
            key: ObjectKey::new("ns", name),
            subresource: "".into(),
            verb,
        }
    }

    fn refusal(resource: &str, name: &str, verb: ApiVerb) -> String {
        check(&of(resource, name, verb), "shop")
            .expect_err("must be refused")
            .message
    }

    fn update(body: &'static str) -> ApiVerb {
        ApiVerb::Update(Bytes::from_static(body.as_bytes()))
    }

    fn create(body: &'static str) -> ApiVerb {
        ApiVerb::Create(Bytes::from_static(body.as_bytes()))
    }

    fn json_patch(body: &'static str) -> ApiVerb {
        ApiVerb::Patch(PatchType::Json, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_body_of_another_object_is_refused() {
        assert_eq!(
            refusal(
                "pods",
                "a",
                update(r#"{"metadata":{"name":"a","namespace":"kube-system"}}"#)
            ),
            "the body is of namespace \"kube-system\", the request of \"ns\""
        );
        assert_eq!(
            refusal("pods", "a", update(r#"{"metadata":{"name":"b"}}"#)),
            "the body is of \"b\", the request of \"a\""
        );
        let twice = refusal(
            "pods",
            "a",
            update(r#"{"metadata":{},"metadata":{"namespace":"kube-system"}}"#),
        );
        assert!(twice.contains("duplicate field"), "{twice}");
    }

    #[test]
    fn a_body_of_the_same_object_or_of_a_new_one_passes() {
        let same = update(r#"{"metadata":{"name":"a","namespace":"ns","managedFields":[]},"spec":{}}"#);
        check(&of("pods", "a", same), "shop").unwrap();
        let new = create(r#"{"metadata":{"generateName":"a-"}}"#);
        check(&of("pods", "", new), "shop").unwrap();
        let patch = json_patch(r#"[{"op":"add","path":"/metadata/namespaces","value":1}]"#);
        check(&of("pods", "a", patch), "shop").unwrap();
    }

    #[test]
    fn authors_of_fields_cannot_be_claimed() {
        let claimed = r#"{"metadata":{"managedFields":[{"manager":"kubectl"}]}}"#;
        assert!(refusal("pods", "", create(claimed)).starts_with("the body has `metadata.managedFields`"));
        let sent = check(&of("pods", "a", update(claimed)), "shop").unwrap();
        assert_eq!(
            sent.as_deref(),
            Some(br#"{"metadata":{}}"#.as_slice()),
            "what was read may be written back"
        );
        let deep = "[".repeat(200) + &"]".repeat(200);
        let hidden = format!(r#"{{"metadata":{{"managedFields":[{{}}]}},"spec":{deep}}}"#);
        let refused = refusal("pods", "a", ApiVerb::Update(hidden.into()));
        assert!(
            refused.starts_with("`metadata.managedFields` cannot be taken out"),
            "{refused}"
        );
        for patch in [
            r#"[{"op":"add","path":"/metadata/managedFields/0","value":{}}]"#,
            r#"[{"op":"replace","path":"/metadata","value":{}}]"#,
            r#"[{"op":"replace","path":"","value":{}}]"#,
            r#"[{"op":"move","from":"/metadata/managedFields/0","path":"/spec/x"}]"#,
        ] {
            assert!(
                refusal("pods", "a", json_patch(patch)).ends_with("which the host keeps"),
                "{patch}"
            );
        }
    }

    #[test]
    fn events_of_another_source_are_refused() {
        for body in [
            r#"{"source":{"component":"kubelet"}}"#,
            r#"{"reportingComponent":"kubelet"}"#,
            r#"{"reportingController":"kubelet"}"#,
            r#"{"deprecatedSource":{"component":"kubelet"}}"#,
        ] {
            assert_eq!(
                refusal("events", "a", update(body)),
                "the event claims to come from \"kubelet\"; this module's events come from \"shop\"",
                "{body}"
            );
        }
        let own = update(r#"{"source":{"component":"shop"},"reportingComponent":""}"#);
        check(&of("events", "a", own), "shop").unwrap();
        assert!(refusal("events", "a", json_patch("[]")).starts_with("events take merge patches only"));
        check(
            &of("pods", "a", update(r#"{"source":{"component":"kubelet"}}"#)),
            "shop",
        )
        .unwrap();
    }
}
