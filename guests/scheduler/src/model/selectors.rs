//! The selector by which a pod without spread constraints is spread: that of the services, replica sets and
//! the like that it belongs to.
//!
//! Follows `pkg/scheduler/framework/plugins/helper/spread.go`.

use serde::Deserialize;

use super::json::{LabelSelectorJson, Pairs, Str, selector};
use super::template::{OwnerKind, Template};
use crate::hash::FastMap;
use crate::labels::{Labels, Requirement, Selector};

/// Services and controllers by namespace.
#[derive(Default)]
pub(crate) struct DefaultSelectors {
    services: FastMap<Box<str>, FastMap<Box<str>, Labels>>,
    owners: FastMap<(OwnerKind, Box<str>, Box<str>), Selector>,
    revision: u64,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ServiceJson<'a> {
    #[serde(default)]
    spec: ServiceSpecJson<'a>,
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ServiceSpecJson<'a> {
    #[serde(default)]
    selector: Option<Pairs<'a, Str<'a>>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ControllerJson<'a> {
    #[serde(default)]
    spec: ControllerSpecJson<'a>,
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ControllerSpecJson<'a> {
    #[serde(default)]
    selector: Option<LabelSelectorJson<'a>>,
}

/// Reads a service's selector; `None` when it has none.
pub(crate) fn service_selector(name: &str, body: &[u8]) -> Result<Option<Labels>, String> {
    let service: ServiceJson<'_> = super::json::read("service", name, body)?;
    Ok(service.spec.selector.map(|selector| selector.labels()))
}

/// Reads a controller's selector.
pub(crate) fn owner_selector(kind: OwnerKind, name: &str, body: &[u8]) -> Result<Selector, String> {
    if kind == OwnerKind::ReplicationController {
        let labels = service_selector(name, body)?.unwrap_or_default();
        return Ok(Selector::All(equalities(&labels)));
    }
    let controller: ControllerJson<'_> = super::json::read("controller", name, body)?;
    Ok(selector(controller.spec.selector.as_ref()))
}

fn equalities(labels: &Labels) -> Vec<Requirement> {
    labels
        .iter()
        .map(|(key, value)| Requirement::equals(key, value))
        .collect()
}

impl DefaultSelectors {
    /// Changes whenever an answer of [`Self::of`] might.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// A service with this selector, or without service.
    pub(crate) fn set_service(&mut self, namespace: &str, name: &str, selector: Option<Labels>) {
        let services = self.services.entry(namespace.into()).or_default();
        let changed = match selector {
            Some(selector) => services.insert(name.into(), selector.clone()) != Some(selector),
            None => services.remove(name).is_some(),
        };
        if services.is_empty() {
            self.services.remove(namespace);
        }
        self.revision += u64::from(changed);
    }

    /// A controller with this selector, or no controller.
    pub(crate) fn set_owner(
        &mut self,
        kind: OwnerKind,
        namespace: &str,
        name: &str,
        selector: Option<Selector>,
    ) {
        let key = (kind, namespace.into(), name.into());
        let changed = match selector {
            Some(selector) => self.owners.insert(key, selector.clone()) != Some(selector),
            None => self.owners.remove(&key).is_some(),
        };
        self.revision += u64::from(changed);
    }

    /// The selector for pods of this template; `None` when it would select nothing in particular.
    pub(crate) fn of(&self, template: &Template) -> Option<Selector> {
        let mut requirements: Vec<Requirement> = Vec::new();
        for selector in self
            .services
            .get(&template.namespace)
            .into_iter()
            .flat_map(FastMap::values)
        {
            let wanted = equalities(selector);
            if wanted
                .iter()
                .all(|requirement| requirement.accepts(template.labels.get(&requirement.key)))
            {
                requirements.extend(wanted);
            }
        }
        if let Some((kind, name)) = &template.owner {
            let key = (*kind, template.namespace.clone(), name.clone());
            if let Some(Selector::All(more)) = self.owners.get(&key) {
                requirements.extend(more.iter().cloned());
            }
        }
        requirements.sort();
        requirements.dedup();
        (!requirements.is_empty()).then_some(Selector::All(requirements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn pod(labels: &[(&str, &str)], owner: Option<(OwnerKind, &str)>) -> Template {
        Template {
            shape: Rc::default(),
            namespace: "ns".into(),
            labels: Labels::new(labels.iter().copied()),
            spread: Vec::new(),
            affinity: None,
            pinned: None,
            owner: owner.map(|(kind, name)| (kind, name.into())),
        }
    }

    #[test]
    fn services_and_the_owner_contribute_their_selectors() {
        let mut selectors = DefaultSelectors::default();
        let template = pod(
            &[("app", "web"), ("tier", "x")],
            Some((OwnerKind::ReplicaSet, "rs")),
        );
        assert_eq!(selectors.of(&template), None);
        let service = service_selector("s", br#"{"spec":{"selector":{"app":"web"}}}"#).unwrap();
        selectors.set_service("ns", "s", service);
        selectors.set_service("ns", "other", Some(Labels::new([("app", "db")])));
        let owner = owner_selector(
            OwnerKind::ReplicaSet,
            "rs",
            br#"{"spec":{"selector":{"matchLabels":{"tier":"x"}}}}"#,
        );
        selectors.set_owner(OwnerKind::ReplicaSet, "ns", "rs", Some(owner.unwrap()));
        let expected = vec![
            Requirement::equals("app", "web"),
            Requirement::equals("tier", "x"),
        ];
        assert_eq!(selectors.of(&template), Some(Selector::All(expected)));
    }

    #[test]
    fn a_service_without_selector_selects_no_pod() {
        let mut selectors = DefaultSelectors::default();
        selectors.set_service("ns", "s", service_selector("s", br#"{"spec":{}}"#).unwrap());
        assert_eq!(selectors.of(&pod(&[], None)), None);
        assert_eq!(selectors.revision(), 0);
    }

    #[test]
    fn a_replication_controller_has_a_plain_map_as_selector() {
        let selector = owner_selector(
            OwnerKind::ReplicationController,
            "rc",
            br#"{"spec":{"selector":{"a":"b"}}}"#,
        );
        assert_eq!(selector, Ok(Selector::All(vec![Requirement::equals("a", "b")])));
    }
}
