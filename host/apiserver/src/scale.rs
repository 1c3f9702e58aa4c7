//! The `scale` subresource: an `autoscaling/v1` Scale over the workload.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;
use crate::decode;
use crate::meta;
use crate::patch::PatchKind;
use crate::request::{Request, Verb};
use crate::respond::{self, Response};
use crate::status::Status;
use crate::types::scale;
use crate::update::{self, Part, Updated};

/// GET.
pub(crate) fn get(request: &Request<'_>) -> Result<Response, Status> {
    let stored = update::existing(&request.resource, &request.key())?;
    Ok(respond::json_value(
        StatusCode::OK,
        &view(request, &stored.parse()),
    ))
}

/// PUT and PATCH.
pub(crate) fn update(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let dry_run = request.dry_run()?;
    let given = match request.verb {
        Verb::Patch => None,
        _ => Some(decode::object(request)?),
    };
    let updated = update::change(
        api,
        &request.resource,
        &request.key(),
        Part::Main,
        dry_run,
        |workload| {
            let mut wanted = match &given {
                Some(scale) => scale.clone(),
                None => {
                    let mut wanted = view(request, workload);
                    PatchKind::of(request)?.apply("autoscaling", "Scale", &mut wanted, &request.body)?;
                    wanted
                }
            };
            apply(request, workload, &mut wanted)
        },
    )?;
    let workload = match updated {
        Updated::Stored(stored) => stored.parse(),
        Updated::Unstored(workload) => workload,
    };
    Ok(respond::json_value(StatusCode::OK, &view(request, &workload)))
}

/// The workload with the replicas that a Scale wants.
fn apply(request: &Request<'_>, workload: &Value, wanted: &mut Value) -> Result<Value, Status> {
    let replicas = scale::replicas(wanted);
    if replicas < 0 {
        let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        return Err(Status::invalid_field(
            request.spec(),
            &request.path.name,
            "FieldValueInvalid",
            "spec.replicas",
            &message,
        ));
    }
    let mut changed = workload.clone();
    match &request.resource.custom {
        Some(custom) => custom.set_replicas(&mut changed, replicas),
        None => scale::set_replicas(&mut changed, replicas),
    }
    for field in ["resourceVersion", "uid"] {
        let value = meta::text(wanted, field);
        meta::set(
            &mut changed,
            field,
            if value.is_empty() {
                Value::Null
            } else {
                json!(value)
            },
        );
    }
    Ok(changed)
}

fn view(request: &Request<'_>, workload: &Value) -> Value {
    match &request.resource.custom {
        Some(custom) => custom.scale(workload),
        None => scale::get(&request.spec().group, &request.spec().kind, workload),
    }
}
