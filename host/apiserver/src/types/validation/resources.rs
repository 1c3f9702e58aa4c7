//! Resource requests and limits.

use super::names;
use super::report::{Path, Report};
use crate::types::quantity::Quantity;
use crate::types::value::{at, object};
use serde_json::Value;

/// Checks `resources` of a container or pod.
pub(super) fn validate(path: &Path<'_>, resources: &Value, report: &mut Report) {
    for side in ["limits", "requests"] {
        let path = path.field(side);
        for (name, amount) in object(resources, &[side]).into_iter().flatten() {
            resource_name(&path.key(name), name, report);
            quantity(&path.key(name), amount, report);
        }
    }
    let path = path.field("requests");
    for (name, request) in object(resources, &["requests"]).into_iter().flatten() {
        let limit = at(resources, &["limits", name]);
        compare(&path, name, request, limit, report);
    }
}

/// Checks the amounts of a resource list such as a node's capacity.
pub(super) fn quantity(path: &Path<'_>, amount: &Value, report: &mut Report) {
    match Quantity::from_json(amount) {
        Err(error) => report.invalid(path, amount, &error.to_string()),
        Ok(parsed) if parsed < Quantity::default() => {
            report.invalid(path, amount, "must be greater than or equal to 0");
        }
        Ok(_) => {}
    }
}

fn resource_name(path: &Path<'_>, name: &str, report: &mut Report) {
    report.check(path, name, names::qualified_name(name));
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !standard {
        report.invalid(path, name, "must be a standard resource type or fully qualified");
        report.invalid(path, name, "must be a standard resource for containers");
    }
}

fn compare(path: &Path<'_>, name: &str, request: &Value, limit: Option<&Value>, report: &mut Report) {
    // An extended resource cannot be shared, so that more than the request cannot be promised.
    let exact = name.starts_with("hugepages-") || (name.contains('/') && !name.contains("kubernetes.io/"));
    let Some(limit) = limit else {
        if exact {
            report.required(path, "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Ok(wanted), Ok(most)) = (Quantity::from_json(request), Quantity::from_json(limit)) else {
        return;
    };
    let shown = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
    if exact && wanted != most {
        report.invalid(
            path,
            request,
            &format!("must be equal to {name} limit of {shown}"),
        );
    } else if wanted > most {
        report.invalid(
            path,
            request,
            &format!("must be less than or equal to {name} limit of {shown}"),
        );
    }
}
