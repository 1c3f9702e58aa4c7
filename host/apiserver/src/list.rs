//! Reading: GET of one object and LIST, with selectors, pages and resource versions.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;
use crate::body::Body;
use crate::object::{Key, Revision, Stored};
use crate::request::Request;
use crate::resource::{Resource, ResourceSpec, Subresource};
use crate::respond::{self, Representation, Response};
use crate::scale;
use crate::status::Status;
use crate::store::{Page, PageQuery};
use crate::types::selectors::{FieldSelector, LabelSelector};
use crate::update;

/// How long a read waits for a revision from the future.
const FUTURE_PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(25);

/// Which objects a request selects within its scope.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// Fields that the envelope does not have, such as a custom resource's own.
    custom: Option<Arc<Resource>>,
}

impl Selection {
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Status> {
        let spec = request.spec();
        let text = |name: &str| request.query.get(name).unwrap_or_default();
        let invalid = |error: &dyn std::fmt::Display| Status::bad_request(error.to_string());
        let labels = LabelSelector::parse(&text("labelSelector")).map_err(|error| invalid(&error))?;
        let fields = match &request.resource.custom {
            Some(custom) => custom.field_selector(&text("fieldSelector"))?,
            None => FieldSelector::parse(&spec.group, &spec.kind, &text("fieldSelector"))
                .map_err(|error| invalid(&error))?,
        };
        let own = fields
            .names()
            .any(|name| !matches!(name, "metadata.name" | "metadata.namespace"));
        let custom = (own && request.resource.custom.is_some()).then(|| Arc::clone(&request.resource));
        Ok(Self {
            labels,
            fields,
            custom,
        })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, stored: &Stored) -> bool {
        let envelope = stored.envelope();
        let label = |key: &str| {
            envelope
                .labels
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.as_str())
        };
        if !self.labels.matches_by(label) {
            return false;
        }
        if self.fields.is_empty() {
            return true;
        }
        match self.custom.as_ref().and_then(|resource| resource.custom.as_ref()) {
            Some(custom) => custom.matches_fields(&self.fields, stored),
            None => self.fields.matches_by(|name| match name {
                "metadata.name" => stored.key().name.as_str(),
                "metadata.namespace" => stored.key().namespace.as_str(),
                name => stored.field(name).unwrap_or_default(),
            }),
        }
    }
}

/// How the resource version of a list is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    NotOlderThan,
    Exact,
}

/// Where a list begins.
struct Options {
    version: Option<Revision>,
    matching: Option<Match>,
    limit: usize,
    token: Option<Token>,
}

/// What a continue token says.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// GET of an object or of its subresource.
pub(crate) async fn get(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    if let Some(version) = version(request)? {
        wait_for(api, version).await?;
    }
    match request.resource.subresource(request.path.subresource) {
        Some(Subresource::Scale) => scale::get(request),
        _ => respond::object(
            request,
            StatusCode::OK,
            &*update::existing(&request.resource, &request.key())?,
        ),
    }
}

/// LIST.
pub(crate) async fn list(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let options = options(request)?;
    let selection = Selection::of(request)?;
    if let (Some(version), None) = (options.version, &options.token) {
        wait_for(api, version).await?;
    }
    let page = read(api, request, &options, &selection)?;
    answer(request, &options, &selection, &page)
}

fn version(request: &Request<'_>) -> Result<Option<Revision>, Status> {
    let Some(text) = request.query.get("resourceVersion") else {
        return Ok(None);
    };
    let version = text.parse().map_err(|_| {
        Status::bad_request(format!(
            "Invalid value: \"{text}\": the resource version is not a number this server gave out"
        ))
    })?;
    Ok((version > 0).then_some(version))
}

/// Waits until the store has reached a revision.
pub(crate) async fn wait_for(api: &Api, version: Revision) -> Result<(), Status> {
    let reached = async {
        while api.store.revision() < version {
            tokio::time::sleep(POLL).await;
        }
    };
    let late = || Status::resource_version_too_large(version, api.store.revision());
    if api.store.revision() >= version {
        return Ok(());
    }
    tokio::time::timeout(FUTURE_PATIENCE, reached)
        .await
        .map_err(|_| late())
}

fn options(request: &Request<'_>) -> Result<Options, Status> {
    let given = request.query.get("resourceVersion");
    let matching = request.query.get("resourceVersionMatch");
    let token = request.query.get("continue");
    if request.query.get("sendInitialEvents").is_some() {
        return Err(Status::invalid_options(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ));
    }
    let matching = match matching.as_deref() {
        None => None,
        Some(_) if token.is_some() => {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            return Err(Status::invalid_options("resourceVersionMatch", why));
        }
        Some(_) if given.is_none() => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(Status::invalid_options("resourceVersionMatch", why));
        }
        Some("NotOlderThan") => Some(Match::NotOlderThan),
        Some("Exact") if given.as_deref() == Some("0") => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(Status::invalid_options("resourceVersionMatch", why));
        }
        Some("Exact") => Some(Match::Exact),
        Some(_) => {
            return Err(Status::invalid_options(
                "resourceVersionMatch",
                "supported values: Exact, NotOlderThan",
            ));
        }
    };
    if token.is_some() && given.as_deref().is_some_and(|version| version != "0") {
        return Err(Status::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let limit = request
        .query
        .get("limit")
        .map(|limit| limit.parse::<i64>())
        .transpose();
    let limit = limit
        .map_err(|_| Status::bad_request("limit must be a number"))?
        .filter(|limit| *limit > 0);
    Ok(Options {
        version: version(request)?,
        matching,
        limit: limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX),
        token: token.map(|token| decode_token(&token)).transpose()?,
    })
}

fn decode_token(token: &str) -> Result<Token, Status> {
    let invalid = || Status::bad_request("continue key is not valid: it was not given out by this server");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    if token.v != "meta.k8s.io/v1" || token.rv == 0 || !token.start.ends_with('\0') {
        return Err(invalid());
    }
    Ok(token)
}

/// The token for what comes after a key; revision -1 continues with whatever is there then.
fn encode_token(request: &Request<'_>, revision: i64, after: &Key) -> String {
    let start = match request.scope() {
        Some(_) => format!("{}\0", after.name),
        None => format!("{after}\0"),
    };
    let token = Token {
        v: "meta.k8s.io/v1".to_owned(),
        rv: revision,
        start,
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("a token is plain JSON"))
}

/// The key that a token continues after.
fn token_key(request: &Request<'_>, token: &Token) -> Key {
    let start = token.start.trim_end_matches('\0');
    match (request.scope(), start.split_once('/')) {
        (Some(namespace), _) => Key::new(namespace, start),
        (None, Some((namespace, name))) => Key::new(namespace, name),
        (None, None) => Key::new("", start),
    }
}

fn read(api: &Api, request: &Request<'_>, options: &Options, selection: &Selection) -> Result<Page, Status> {
    let collection = request
        .resource
        .collection()
        .ok_or_else(Status::method_not_allowed)?;
    let filter = |stored: &Stored| selection.matches(stored);
    if options.limit == usize::MAX && options.token.is_none() && options.matching != Some(Match::Exact) {
        let (items, revision) = collection.list(request.scope(), &filter);
        return Ok(Page {
            items,
            revision,
            more: false,
            remaining: 0,
        });
    }
    let after = options.token.as_ref().map(|token| token_key(request, token));
    let at = match &options.token {
        Some(token) => Revision::try_from(token.rv).ok(),
        // Without a match a limited list at a version means exactly that version.
        None if options.matching == Some(Match::NotOlderThan) => None,
        None => options.version,
    };
    let query = PageQuery {
        namespace: request.scope(),
        after: after.as_ref(),
        limit: options.limit,
        at,
        filter: &filter,
    };
    let expired = || match &after {
        Some(after) => expired_token(request, after),
        None => Status::expired("The resourceVersion for the provided list is too old."),
    };
    if at.is_some_and(|at| at < api.store.revision_before(COMPACTED_AFTER)) {
        return Err(expired());
    }
    collection.page(query).map_err(|_| expired())
}

/// Past revisions are kept for pages about this long, as etcd is compacted every five minutes.
pub(crate) const COMPACTED_AFTER: Duration = Duration::from_secs(5 * 60);

fn expired_token(request: &Request<'_>, after: &Key) -> Status {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                   list without the continue parameter, or use the continue token in this response to retrieve the \
                   remainder of the results. Continuing with the provided token results in an inconsistent list - \
                   objects that were created, modified, or deleted between the time the first chunk was returned and now \
                   may show up in the list.";
    Status::expired(message).with_continue(encode_token(request, -1, after))
}

fn answer(
    request: &Request<'_>,
    options: &Options,
    selection: &Selection,
    page: &Page,
) -> Result<Response, Status> {
    let token = match page.items.last() {
        Some(last) if page.more && options.limit != usize::MAX => encode_token(
            request,
            i64::try_from(page.revision).unwrap_or(i64::MAX),
            last.key(),
        ),
        _ => String::new(),
    };
    let remaining = (!token.is_empty() && selection.is_everything()).then_some(page.remaining);
    let resource = &request.resource;
    let representation = respond::negotiate(request.headers, request.query)?;
    let items = || -> Vec<Bytes> {
        page.items
            .iter()
            .map(|item| respond::represent(resource, item, representation))
            .collect()
    };
    let body = match representation {
        Representation::Whole => Body::list(head(request.spec(), page.revision, &token, remaining), items()),
        Representation::Partial => Body::list(
            list_head(
                "meta.k8s.io/v1",
                "PartialObjectMetadataList",
                page.revision,
                &token,
                remaining,
            ),
            items(),
        ),
        Representation::Table(include) => {
            let objects: Vec<Value> = page.items.iter().map(|item| resource.value(item)).collect();
            let mut table = respond::render(resource, &objects.iter().collect::<Vec<_>>(), include);
            table["metadata"] = list_metadata(page.revision, &token, remaining);
            Body::full(table.to_string().into())
        }
    };
    Ok(respond::json_body(StatusCode::OK, body))
}

fn list_metadata(revision: Revision, token: &str, remaining: Option<u64>) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if !token.is_empty() {
        metadata["continue"] = token.into();
    }
    if let Some(remaining) = remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

/// The beginning of a list up to its items.
pub(crate) fn head(spec: &ResourceSpec, revision: Revision, token: &str, remaining: Option<u64>) -> String {
    list_head(&spec.api_version(), &spec.list_kind, revision, token, remaining)
}

fn list_head(
    api_version: &str,
    kind: &str,
    revision: Revision,
    token: &str,
    remaining: Option<u64>,
) -> String {
    let metadata = list_metadata(revision, token, remaining);
    format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#)
}
