//! Finding an object's metadata in its JSON.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::labels::Text;
use super::{ControllerSpans, Object, ParseObjectError, Span};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    #[serde(borrow)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uid: Text<'a>,
    controller: Option<bool>,
}

/// The JSON of one object to what is known of it.
pub(super) fn parse(body: Bytes) -> Result<Object, ParseObjectError> {
    // Every span below lies within the body, so this check covers them all.
    if u32::try_from(body.len()).is_err() {
        return Err(ParseObjectError::TooLong(body.len()));
    }
    let metadata = serde_json::from_slice::<Envelope<'_>>(&body)?.metadata;
    let owners = metadata.owner_references.unwrap_or_default();
    let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
    let (namespace, uid) = (
        metadata.namespace.unwrap_or_default(),
        metadata.uid.unwrap_or_default(),
    );
    let mut spans = Spans {
        body: &body,
        decoded: None,
    };
    if [&metadata.name, &namespace, &uid]
        .into_iter()
        .chain(owner.iter().flat_map(OwnerReference::texts))
        .any(Text::is_owned)
    {
        spans.decoded = Some(String::new());
    }
    let (name, namespace, uid) = (
        spans.add(&metadata.name.0),
        spans.add(&namespace.0),
        spans.add(&uid.0),
    );
    let controller = owner.map(|owner| ControllerSpans {
        api_version: spans.add(&owner.api_version.0),
        kind: spans.add(&owner.kind.0),
        name: spans.add(&owner.name.0),
        uid: spans.add(&owner.uid.0),
    });
    let labels = metadata
        .labels
        .map_or(Span::default(), |labels| span_within(&body, labels.get()));
    let resource_version = metadata
        .resource_version
        .and_then(|version| version.0.parse().ok())
        .unwrap_or(0);
    let deleting = metadata.deletion_timestamp.is_some();
    let decoded = spans.decoded.map(String::into_boxed_str);
    Ok(Object {
        decoded,
        resource_version,
        name,
        namespace,
        uid,
        labels,
        controller,
        deleting,
        body,
    })
}

impl<'a> OwnerReference<'a> {
    fn texts(&self) -> [&Text<'a>; 4] {
        [&self.api_version, &self.kind, &self.name, &self.uid]
    }
}

/// Turns strings into spans: of the body, unless decoded strings are collected.
struct Spans<'b> {
    body: &'b [u8],
    decoded: Option<String>,
}

impl Spans<'_> {
    fn add(&mut self, text: &str) -> Span {
        let Some(decoded) = &mut self.decoded else {
            return span_within(self.body, text);
        };
        let start = decoded.len();
        decoded.push_str(text);
        span(start, text.len())
    }
}

/// Where in `body` the string lies that was borrowed from it. An empty one lies anywhere.
fn span_within(body: &[u8], text: &str) -> Span {
    if text.is_empty() {
        Span::default()
    } else {
        span(text.as_ptr().addr() - body.as_ptr().addr(), text.len())
    }
}

fn span(start: usize, length: usize) -> Span {
    let position =
        |offset| u32::try_from(offset).expect("decoded strings are shorter than the body, whose length fits");
    Span {
        start: position(start),
        end: position(start + length),
    }
}
