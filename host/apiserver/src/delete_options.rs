//! `DeleteOptions`: how a deletion is wanted, from the body or from the query.

use serde_json::{Value, json};

use crate::decode;
use crate::object::Stored;
use crate::request::{Request, unsupported_dry_run};
use crate::resource::Resource;
use crate::status::Status;

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) propagation: Option<Propagation>,
    /// The deprecated field said `false`: the answer for an object that stays is 202.
    pub(crate) explicitly_not_orphaning: bool,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads the options from the body, or from the query if there is none.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Status> {
        let body = if request.body.is_empty() {
            json!({})
        } else {
            decode::value(request.headers, &request.body)?
        };
        let mut options = Self::from_value(request, &body)?;
        if request.body.is_empty() {
            let text = |name: &str| request.query.get(name);
            let grace = text("gracePeriodSeconds").map(|grace| grace.parse());
            options.grace = grace
                .transpose()
                .map_err(|_| Status::bad_request("gracePeriodSeconds must be a number"))?;
            options.propagation = text("propagationPolicy")
                .map(|policy| propagation(request, &policy))
                .transpose()?;
        }
        options.dry_run |= request.dry_run()?;
        Ok(options)
    }

    /// Reads the options from a `DeleteOptions` object.
    pub(crate) fn from_value(request: &Request<'_>, body: &Value) -> Result<Self, Status> {
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let policy = text("/propagationPolicy")
            .map(|policy| propagation(request, &policy))
            .transpose()?;
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        if orphan.is_some() && policy.is_some() {
            let message = "Invalid value: orphanDependents and deletionPropagation cannot be both set";
            return Err(Status::invalid_field(
                request.spec(),
                "",
                "FieldValueInvalid",
                "propagationPolicy",
                message,
            ));
        }
        let dry_run = body
            .get("dryRun")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if let Some(other) = dry_run.iter().find(|value| value.as_str() != Some("All")) {
            return Err(unsupported_dry_run(
                request.spec(),
                other.as_str().unwrap_or_default(),
            ));
        }
        Ok(Self {
            grace: body.get("gracePeriodSeconds").and_then(Value::as_i64),
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            propagation: policy.or(orphan.map(|orphan| {
                if orphan {
                    Propagation::Orphan
                } else {
                    Propagation::Background
                }
            })),
            explicitly_not_orphaning: orphan == Some(false),
            dry_run: !dry_run.is_empty(),
        })
    }

    /// Whether the preconditions hold.
    pub(crate) fn check(&self, resource: &Resource, stored: &Stored) -> Result<(), Status> {
        let name = &stored.key().name;
        let revision = stored.revision().to_string();
        let mismatch = |what: &str, wanted: &str, is: &str| {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might \
                 have been deleted and then recreated"
            );
            Err(Status::conflict(&resource.spec, name, &why))
        };
        match (self.uid.as_deref(), self.resource_version.as_deref()) {
            (Some(uid), _) if uid != stored.uid() => mismatch("UID", uid, stored.uid()),
            (_, Some(version)) if version != revision => mismatch("ResourceVersion", version, &revision),
            _ => Ok(()),
        }
    }
}

fn propagation(request: &Request<'_>, policy: &str) -> Result<Propagation, Status> {
    match policy {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        other => {
            let message = format!(
                "Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            Err(Status::invalid_field(
                request.spec(),
                "",
                "FieldValueNotSupported",
                "propagationPolicy",
                &message,
            ))
        }
    }
}
