//! Label selectors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::{StringMap, null_as_default};

/// A `LabelSelector` of the API. Everything in it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "StringMap::is_empty"
    )]
    pub match_labels: StringMap,
    /// Requirements on single labels.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The label's name.
    pub key: String,
    /// How its value relates to `values`.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub values: Vec<String>,
}

/// How a label relates to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Is one of them.
    In,
    /// Is absent, or none of them.
    NotIn,
    /// Is present.
    Exists,
    /// Is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it demands nothing, and so matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether these labels fulfil it.
    #[must_use]
    pub fn matches(&self, labels: &StringMap) -> bool {
        is_subset(&self.match_labels, labels)
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }
}

/// The string form, as listers and live lists take it.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self
            .match_labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let terms: Vec<String> = labels
            .chain(self.match_expressions.iter().map(ToString::to_string))
            .collect();
        f.write_str(&terms.join(","))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

impl Requirement {
    fn matches(&self, labels: &StringMap) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Whether `labels` has everything that `wanted` has.
#[must_use]
pub fn is_subset(wanted: &StringMap, labels: &StringMap) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &str) -> bool {
        let selector: LabelSelector = serde_json::from_str(selector).unwrap();
        selector.matches(&serde_json::from_str(labels).unwrap())
    }

    #[test]
    fn every_requirement_must_hold() {
        let selector = r#"{"matchLabels":{"app":"a"},"matchExpressions":[
            {"key":"tier","operator":"In","values":["x","y"]},{"key":"old","operator":"DoesNotExist"}]}"#;
        assert!(matches(selector, r#"{"app":"a","tier":"y","more":""}"#));
        assert!(!matches(selector, r#"{"app":"a","tier":"z"}"#));
        assert!(!matches(selector, r#"{"app":"a","tier":"y","old":""}"#));
        assert!(!matches(selector, r#"{"tier":"y"}"#));
    }

    #[test]
    fn the_string_form_says_everything() {
        let selector = r#"{"matchLabels":{"b":"2","a":"1"},"matchExpressions":[
            {"key":"c","operator":"In","values":["x","y"]},{"key":"d","operator":"NotIn","values":["z"]},
            {"key":"e","operator":"Exists"},{"key":"f","operator":"DoesNotExist"}]}"#;
        let selector: LabelSelector = serde_json::from_str(selector).unwrap();
        assert_eq!(selector.to_string(), "a=1,b=2,c in (x,y),d notin (z),e,!f");
    }

    #[test]
    fn not_in_holds_for_an_absent_label() {
        let selector = r#"{"matchExpressions":[{"key":"a","operator":"NotIn","values":["x"]}]}"#;
        assert!(matches(selector, "{}"));
        assert!(!matches(selector, r#"{"a":"x"}"#));
    }
}
