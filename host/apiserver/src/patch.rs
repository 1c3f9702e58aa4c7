//! PATCH: the three kinds of patch, applied to the present state inside the write loop,
//! so that a patch without a resource version never conflicts.

use serde_json::Value;

use crate::api::Api;
use crate::decode;
use crate::request::Request;
use crate::status::Status;
use crate::types::patch::{self, PatchError};
use crate::update::{self, Part, Updated};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
}

impl PatchKind {
    /// The kind a request carries, as far as the resource supports it.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Status> {
        let custom = request.resource.custom.is_some();
        match decode::media_type(request.headers) {
            JSON => Ok(Self::Json),
            MERGE => Ok(Self::Merge),
            STRATEGIC if !custom => Ok(Self::Strategic),
            _ if custom => Err(Status::unsupported_media_type(&format!("{JSON}, {MERGE}"))),
            _ => Err(Status::unsupported_media_type(&format!(
                "{JSON}, {MERGE}, {STRATEGIC}"
            ))),
        }
    }

    /// Applies a patch to a document of a kind.
    pub(crate) fn apply(
        self,
        group: &str,
        kind: &str,
        document: &mut Value,
        patch: &[u8],
    ) -> Result<(), Status> {
        let applied = match self {
            Self::Json => patch::json(document, patch),
            Self::Merge => patch::merge(document, patch),
            Self::Strategic => patch::strategic(group, kind, document, patch),
        };
        applied.map_err(|PatchError { code, message }| Status::patch_failed(code, message))
    }
}

/// Patches an object or its status.
pub(crate) fn apply(api: &Api, request: &Request<'_>, part: Part, dry_run: bool) -> Result<Updated, Status> {
    let kind = PatchKind::of(request)?;
    let spec = request.spec();
    update::change(api, &request.resource, &request.key(), part, dry_run, |old| {
        let mut new = old.clone();
        kind.apply(&spec.group, &spec.kind, &mut new, &request.body)?;
        if !new.is_object() {
            return Err(Status::bad_request("the patched document is not a JSON object"));
        }
        decode::type_check(request, &spec.version, &spec.kind, &mut new)?;
        Ok(new)
    })
}
