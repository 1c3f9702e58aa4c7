//! The `eviction` subresource: a delete that asks the disruption budgets first
//! (`pkg/registry/core/pod/storage/eviction.go`).

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;
use crate::decode;
use crate::delete;
use crate::delete_options::DeleteOptions;
use crate::meta;
use crate::object::{Key, Stored};
use crate::pods;
use crate::request::Request;
use crate::respond::{self, Response};
use crate::status::Status;
use crate::types::selectors::LabelSelector;
use crate::update::{self, Part};

/// More pods than this waiting to disappear means that something is wrong.
const MAX_DISRUPTED: usize = 2000;

/// POST of an Eviction.
pub(crate) fn create(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let eviction = decode::object(request)?;
    let options = eviction
        .get("deleteOptions")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let mut options = DeleteOptions::from_value(request, &options)?;
    options.dry_run |= request.dry_run()?;
    let stored = update::existing(&request.resource, &request.key())?;
    let pod = stored.parse();
    if !bypasses_budgets(&pod) {
        ask_budgets(api, request, &stored, &pod, &mut options)?;
    }
    delete::delete(api, &request.resource, &request.key(), &options)?;
    Ok(respond::success(StatusCode::CREATED, None))
}

/// Pods that do no work may always go.
fn bypasses_budgets(pod: &Value) -> bool {
    let phase = pod
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default();
    meta::deleting(pod) || matches!(phase, "Pending" | "Succeeded" | "Failed")
}

fn ask_budgets(
    api: &Api,
    request: &Request<'_>,
    stored: &Stored,
    pod: &Value,
    options: &mut DeleteOptions,
) -> Result<(), Status> {
    let budgets = matching_budgets(api, stored);
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => {
            return Err(Status::failure(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    if !is_ready(pod) && allows_unhealthy(&budget.parse()) {
        // The pod must not become ready between this decision and its deletion.
        options
            .resource_version
            .get_or_insert_with(|| stored.revision().to_string());
        return Ok(());
    }
    let resource = Arc::clone(&api.registry.known().disruption_budgets);
    update::change(
        api,
        &resource,
        budget.key(),
        Part::Everything,
        options.dry_run,
        |budget| spend(budget, &stored.key().name),
    )?;
    mark_disrupted(api, request, options.dry_run)
}

fn matching_budgets(api: &Api, pod: &Stored) -> Vec<Arc<Stored>> {
    let Some(collection) = api.registry.known().disruption_budgets.collection() else {
        return Vec::new();
    };
    let labels = &pod.envelope().labels;
    let label = |key: &str| {
        labels
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    };
    let (budgets, _) = collection.list(Some(&pod.key().namespace), &|_| true);
    let matches = |budget: &Arc<Stored>| {
        let budget = budget.parse();
        budget
            .pointer("/spec/selector")
            .is_some_and(|selector| LabelSelector::from_object(selector).matches_by(label))
    };
    budgets.into_iter().filter(matches).collect()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.into_iter().flatten().any(ready)
}

fn allows_unhealthy(budget: &Value) -> bool {
    let number = |path: &str| budget.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let policy = budget
        .pointer("/spec/unhealthyPodEvictionPolicy")
        .and_then(Value::as_str);
    let (current, desired) = (number("/status/currentHealthy"), number("/status/desiredHealthy"));
    policy == Some("AlwaysAllow") || (desired > 0 && current >= desired)
}

/// Takes one disruption out of a budget, or says why not.
fn spend(budget: &Value, pod: &str) -> Result<Value, Status> {
    let name = meta::text(budget, "name");
    let number = |path: &str| budget.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let observed = number("/status/observedGeneration");
    if meta::number(budget, "generation").unwrap_or_default() > observed {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refusal(&cause, 10));
    }
    let allowed = number("/status/disruptionsAllowed");
    let disrupted = budget
        .pointer("/status/disruptedPods")
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len);
    if allowed < 0 {
        return Err(Status::budget_forbids(
            name,
            "pdb disruptions allowed is negative",
        ));
    }
    if disrupted > MAX_DISRUPTED {
        return Err(Status::budget_forbids(
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if allowed == 0 {
        let (desired, current) = (number("/status/desiredHealthy"), number("/status/currentHealthy"));
        let cause =
            format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently");
        return Err(refusal(&cause, 0));
    }
    let mut spent = budget.clone();
    spent["status"]["disruptionsAllowed"] = (allowed - 1).into();
    spent["status"]["disruptedPods"][pod] = meta::now().into();
    Ok(spent)
}

fn refusal(cause: &str, retry_after: u32) -> Status {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::too_many_requests(message, retry_after).with_cause("DisruptionBudget", "", cause)
}

fn mark_disrupted(api: &Api, request: &Request<'_>, dry_run: bool) -> Result<(), Status> {
    let key: Key = request.key();
    update::change(api, &request.resource, &key, Part::Everything, dry_run, |pod| {
        let mut pod = pod.clone();
        pods::set_condition(
            &mut pod,
            json!({
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            }),
        );
        Ok(pod)
    })?;
    Ok(())
}
