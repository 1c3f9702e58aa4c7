//! Whether an API server lets a host do what its modules need, asked of the server itself
//! (`SelfSubjectAccessReview`), so that the answer covers every authorizer that it has.

use std::fmt;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use windlass_cluster::client::ApiClient;
use windlass_cluster::impersonation::Impersonation;
use windlass_core::api_error::{ApiError, ApiErrorKind};

use crate::config::HostConfiguration;
use crate::config::identity::ImpersonateEntry;
use crate::module::Module;
use crate::rbac::{self, HostAccount};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
/// Reviews asked for at once.
const AT_ONCE: usize = 8;

/// One thing that somebody has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whom the host impersonates; nothing for the host itself.
    pub identity: Option<Impersonation>,
    /// Empty for all namespaces.
    pub namespace: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, with a subresource if there is one.
    pub resource: String,
    /// Empty for all names.
    pub name: String,
    /// As RBAC knows it.
    pub verb: String,
}

/// As `kubectl auth can-i` would be asked.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.name.is_empty() {
            write!(f, "/{}", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in {}", self.namespace)?;
        }
        match &self.identity {
            Some(identity) => write!(f, " as {}", identity.user),
            None => Ok(()),
        }
    }
}

/// Everything that a configuration and its modules need.
#[must_use]
pub fn needs(configuration: &HostConfiguration, modules: &[Module]) -> Vec<Need> {
    let account = HostAccount {
        namespace: "host".into(),
        name: "host".into(),
    };
    let identity_of = |role: &str| {
        let module = role.strip_prefix("host-")?;
        let module = modules.iter().find(|candidate| candidate.name == module)?;
        module
            .entry
            .impersonate
            .as_ref()
            .and_then(ImpersonateEntry::resolve)
    };
    let objects = rbac::objects(configuration, modules, &account);
    let roles = objects.iter().filter(|object| !object["rules"].is_null());
    roles
        .flat_map(|role| {
            let metadata = &role["metadata"];
            let identity = identity_of(metadata["name"].as_str().unwrap_or_default());
            of_rules(
                &role["rules"],
                metadata["namespace"].as_str().unwrap_or_default(),
                identity.as_ref(),
            )
        })
        .collect()
}

fn of_rules(rules: &Value, namespace: &str, identity: Option<&Impersonation>) -> Vec<Need> {
    let texts = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut needs = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let mut names = texts(&rule["resourceNames"]);
        if names.is_empty() {
            names.push(String::new());
        }
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    needs.extend(names.iter().map(|name| Need {
                        identity: identity.cloned(),
                        namespace: namespace.to_owned(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb: verb.clone(),
                    }));
                }
            }
        }
    }
    needs
}

/// Those of several needs that the API server does not allow, in their order.
///
/// # Errors
/// When the server does not answer, or has no such reviews.
pub async fn denied(client: &ApiClient, needs: Vec<Need>) -> Result<Vec<Need>, ApiError> {
    let answers: Vec<(Need, bool)> = stream::iter(needs)
        .map(|need| async {
            let allowed = is_allowed(client, &need).await?;
            Ok::<_, ApiError>((need, allowed))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let denied = answers.into_iter().filter(|(_, allowed)| !allowed);
    Ok(denied.map(|(need, _)| need).collect())
}

async fn is_allowed(client: &ApiClient, need: &Need) -> Result<bool, ApiError> {
    let bad = |error: String| ApiError::local(ApiErrorKind::BadRequest, error);
    let mut request = http::Request::post(REVIEWS)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(review(need).to_string()))
        .map_err(|error| bad(error.to_string()))?;
    if let Some(identity) = &need.identity {
        let headers = identity.headers().map_err(|error| bad(error.to_string()))?;
        request.headers_mut().extend(headers);
    }
    let answer = match client.request(request).await {
        Ok(answer) => answer,
        // The host may not even impersonate whom it is to ask for.
        Err(error) if error.kind == ApiErrorKind::Forbidden && need.identity.is_some() => return Ok(false),
        Err(error) => return Err(error),
    };
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| bad(error.to_string()))?;
    Ok(answer["status"]["allowed"] == true)
}

fn review(need: &Need) -> Value {
    let (resource, subresource) = need.resource.split_once('/').unwrap_or((&need.resource, ""));
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": need.namespace, "verb": need.verb, "group": need.group,
            "resource": resource, "subresource": subresource, "name": need.name
        }}
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_as_many_needs_as_it_has_combinations() {
        let rules = json!([
            {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["get", "update"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["key"]}
        ]);
        let shop = Impersonation::service_account("shop", "till");
        let needs: Vec<String> = of_rules(&rules, "shop", Some(&shop))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            needs,
            [
                "get deployments/status.apps in shop as system:serviceaccount:shop:till",
                "update deployments/status.apps in shop as system:serviceaccount:shop:till",
                "get secrets/key in shop as system:serviceaccount:shop:till",
            ]
        );
        assert_eq!(
            of_rules(&rules, "", None)
                .last()
                .map(ToString::to_string)
                .as_deref(),
            Some("get secrets/key")
        );
    }

    #[test]
    fn a_review_names_a_subresource_apart() {
        let rules = json!([{"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}]);
        let needs = of_rules(&rules, "", None);
        let attributes = &review(&needs[0])["spec"]["resourceAttributes"];
        assert_eq!(
            (&attributes["resource"], &attributes["subresource"]),
            (&json!("pods"), &json!("eviction"))
        );
    }
}
