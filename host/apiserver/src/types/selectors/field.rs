//! Field selectors, and which fields each type offers for them.

use super::SelectorError;
use crate::types::value::{at, list, text};
use serde_json::Value;
use smallvec::SmallVec;
use smol_str::{SmolStr, ToSmolStr};

/// The selectable fields of one object with their values.
pub type Fields = SmallVec<[(&'static str, SmolStr); 8]>;

/// A parsed field selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: SmallVec<[Term; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: SmolStr,
    value: SmolStr,
    equal: bool,
}

impl FieldSelector {
    /// Parses the query form (`a=b,c!=d`) for a type, refusing fields it does not offer.
    pub fn parse(group: &str, kind: &str, text: &str) -> Result<Self, SelectorError> {
        let selector = Self::parse_any(text)?;
        let offered = supported(group, kind);
        match selector
            .terms
            .iter()
            .find(|term| !offered.contains(&term.field.as_str()))
        {
            Some(term) => Err(SelectorError(unsupported(group, kind, &term.field))),
            None => Ok(selector),
        }
    }

    /// Parses the query form without looking at the fields, for types that declare their own.
    pub fn parse_any(text: &str) -> Result<Self, SelectorError> {
        let mut terms = SmallVec::new();
        for term in split_terms(text).filter(|term| !term.is_empty()) {
            let Some((field, equal, value)) = split_operator(term) else {
                return Err(SelectorError(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            terms.push(Term {
                field: SmolStr::from(field),
                value: unescape(value)?,
                equal,
            });
        }
        Ok(Self { terms })
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that a field is required to equal, such as `metadata.name`.
    #[must_use]
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|term| term.equal && term.field == field)
            .map(|term| term.value.as_str())
    }

    /// Whether an object's fields (see [`fields`]) match; a field it lacks is empty.
    #[must_use]
    pub fn matches(&self, fields: &Fields) -> bool {
        self.matches_by(|name| {
            fields
                .iter()
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.as_str())
                .unwrap_or_default()
        })
    }

    /// Whether the values that a function gives for the field names match.
    pub fn matches_by<'a>(&self, value_of: impl Fn(&str) -> &'a str) -> bool {
        self.terms
            .iter()
            .all(|term| (value_of(&term.field) == term.value) == term.equal)
    }

    /// The names of the fields it looks at.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.field.as_str())
    }
}

/// Splits at commas that are not escaped.
fn split_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c: char| {
        let comma = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        comma
    })
}

/// Splits at the first operator that is not escaped, into field, equality and value.
fn split_operator(term: &str) -> Option<(&str, bool, &str)> {
    let mut escaped = false;
    for (index, byte) in term.bytes().enumerate() {
        if !escaped && (byte == b'=' || byte == b'!') {
            let (field, rest) = term.split_at(index);
            if let Some(value) = rest.strip_prefix("!=") {
                return Some((field, false, value));
            }
            if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
                return Some((field, true, value));
            }
        }
        escaped = byte == b'\\' && !escaped;
    }
    None
}

fn unescape(value: &str) -> Result<SmolStr, SelectorError> {
    if !value.contains(['\\', ',', '=']) {
        return Ok(SmolStr::from(value));
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let sequence = other
                        .map(|other| format!("\\{other}"))
                        .unwrap_or_else(|| "\\".to_owned());
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {character}"
                )));
            }
            character => plain.push(character),
        }
    }
    Ok(SmolStr::from(plain))
}

/// The names of a type's selectable fields.
#[must_use]
pub fn supported(group: &str, kind: &str) -> &'static [&'static str] {
    match (group, kind) {
        ("", "Pod") => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "metadata.name",
            "metadata.namespace",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "metadata.name",
            "metadata.namespace",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "Node") => &["metadata.name", "spec.unschedulable"],
        ("", "Namespace") => &["metadata.name", "status.phase"],
        ("", "Secret") => &["metadata.name", "metadata.namespace", "type"],
        ("", "Service") => &[
            "metadata.name",
            "metadata.namespace",
            "spec.clusterIP",
            "spec.type",
        ],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => {
            &["metadata.name", "metadata.namespace", "status.replicas"]
        }
        ("batch", "Job") => &["metadata.name", "metadata.namespace", "status.successful"],
        ("certificates.k8s.io", "CertificateSigningRequest") => &["metadata.name", "spec.signerName"],
        _ => &["metadata.name", "metadata.namespace"],
    }
}

/// The message about a field that a type does not offer.
fn unsupported(group: &str, kind: &str, field: &str) -> String {
    match (group, kind) {
        ("", "Pod" | "Node" | "ReplicationController" | "Event" | "Namespace" | "Secret" | "Service")
        | ("events.k8s.io", "Event")
        | ("certificates.k8s.io", "CertificateSigningRequest") => {
            format!("field label not supported: {field}")
        }
        ("batch", "Job") => format!("field label {field:?} not supported for batchv1.Job"),
        ("apps", "ReplicaSet") => format!("field label {field:?} not supported for appsv1.ReplicaSet"),
        _ => {
            format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }
}

/// The selectable fields of an object.
#[must_use]
pub fn fields(group: &str, kind: &str, object: &Value) -> Fields {
    supported(group, kind)
        .iter()
        .map(|&name| (name, field(kind, object, name)))
        .collect()
}

/// One field; most are named by their path, the others by what the path meant in an older version.
fn field(kind: &str, object: &Value, name: &'static str) -> SmolStr {
    match (kind, name) {
        (_, "metadata.name") => SmolStr::from(text(object, &["metadata", "name"])),
        (_, "metadata.namespace") => SmolStr::from(text(object, &["metadata", "namespace"])),
        ("Pod", "status.podIPs") => joined_ips(object),
        ("Pod", "status.podIP") => list(object, &["status", "podIPs"])
            .first()
            .map_or_else(
                || text(object, &["status", "podIP"]),
                |address| text(address, &["ip"]),
            )
            .into(),
        ("Job", "status.successful") => shown(at(object, &["status", "succeeded"]), "0"),
        ("ReplicaSet" | "ReplicationController", "status.replicas") => {
            shown(at(object, &["status", "replicas"]), "0")
        }
        ("Node", "spec.unschedulable") => shown(at(object, &["spec", "unschedulable"]), "false"),
        ("Pod", "spec.hostNetwork") => shown(at(object, &["spec", "hostNetwork"]), "false"),
        ("Event", "source") => match text(object, &["source", "component"]) {
            "" => text(object, &["reportingComponent"]).into(),
            component => component.into(),
        },
        _ => {
            let found = name.split('.').try_fold(object, |value, key| value.get(key));
            shown(found, "")
        }
    }
}

fn shown(value: Option<&Value>, absent: &'static str) -> SmolStr {
    match value {
        None | Some(Value::Null) => SmolStr::new_static(absent),
        Some(Value::String(text)) => SmolStr::from(text),
        Some(other) => other.to_smolstr(),
    }
}

fn joined_ips(pod: &Value) -> SmolStr {
    let addresses = list(pod, &["status", "podIPs"]);
    match addresses {
        [] => text(pod, &["status", "podIP"]).into(),
        [one] => text(one, &["ip"]).into(),
        several => several
            .iter()
            .map(|address| text(address, &["ip"]))
            .collect::<Vec<_>>()
            .join(",")
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(selector: &str, pod: &Value) -> bool {
        FieldSelector::parse("", "Pod", selector)
            .unwrap()
            .matches(&fields("", "Pod", pod))
    }

    #[test]
    fn pods_are_found_by_node_phase_and_name() {
        let pod = json!({"metadata": {"name": "a", "namespace": "d"},
            "spec": {"nodeName": "n"}, "status": {"phase": "Running", "podIPs": [{"ip": "1.1.1.1"}, {"ip": "::1"}]}});
        for selector in [
            "",
            "spec.nodeName=n",
            "spec.nodeName==n,status.phase!=Failed",
            "spec.hostNetwork=false",
            "status.podIPs=1.1.1.1\\,::1",
            "status.podIP=1.1.1.1",
            "status.nominatedNodeName=",
            ",metadata.name=a,",
        ] {
            assert!(matches(selector, &pod), "{selector}");
        }
        assert!(!matches("spec.nodeName=", &pod));
        assert!(!matches("metadata.name!=a", &pod));
    }

    #[test]
    fn unknown_fields_are_refused_in_the_words_of_the_type() {
        let message = |group, kind| FieldSelector::parse(group, kind, "spec.x=1").unwrap_err().0;
        assert_eq!(message("", "Pod"), "field label not supported: spec.x");
        assert_eq!(
            message("batch", "Job"),
            "field label \"spec.x\" not supported for batchv1.Job"
        );
        assert_eq!(
            message("", "ConfigMap"),
            "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
    }

    #[test]
    fn broken_terms_are_refused() {
        assert_eq!(
            FieldSelector::parse_any("a").unwrap_err().0,
            "invalid selector: 'a'; can't understand 'a'"
        );
        assert!(
            FieldSelector::parse_any("a=\\x")
                .unwrap_err()
                .0
                .contains("invalid escape sequence")
        );
        assert!(FieldSelector::parse_any("a=b=c").is_err());
    }

    #[test]
    fn required_values_and_event_sources_are_found() {
        let selector = FieldSelector::parse("", "Event", "source=kubelet,metadata.name=e").unwrap();
        assert_eq!(selector.required("metadata.name"), Some("e"));
        let event = json!({"metadata": {"name": "e"}, "reportingComponent": "kubelet"});
        assert!(selector.matches(&fields("", "Event", &event)));
    }
}
