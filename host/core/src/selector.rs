//! Label and field selectors, in their string and their JSON forms.
//!
//! Follows `labels.Parse`, `metav1.LabelSelectorAsSelector` and `fields.ParseSelector` of
//! apimachinery, error messages included, because an API server hands these on to its
//! clients. A selector is parsed once and matched without allocating.

mod field;
mod parse;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

pub use self::field::{FieldOperator, FieldRequirement, FieldSelector};
use crate::object::Labels;

/// What a selector asks for a label by.
pub trait LabelSource {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl LabelSource for Labels<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)
    }
}

impl LabelSource for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// Why a selector was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset} of the selector)")]
pub struct SelectorError {
    /// What is wrong, in the words of apimachinery.
    pub message: String,
    /// Where in the string form; 0 for selectors that come as JSON.
    pub offset: usize,
}

/// What a requirement demands of the value of its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelOperator {
    /// It is this. Absent labels do not match.
    Equals(String),
    /// It is not this. Absent labels match.
    NotEquals(String),
    /// It is one of these. Absent labels do not match.
    In(BTreeSet<String>),
    /// It is none of these. Absent labels match.
    NotIn(BTreeSet<String>),
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// It is an integer above this.
    GreaterThan(i64),
    /// It is an integer below this.
    LessThan(i64),
}

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequirement {
    /// The label's key.
    pub key: String,
    /// What is demanded.
    pub operator: LabelOperator,
}

impl LabelRequirement {
    /// Whether the labels meet the requirement.
    #[must_use]
    pub fn matches(&self, labels: &impl LabelSource) -> bool {
        let value = labels.label(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            LabelOperator::Equals(wanted) => value == Some(wanted),
            LabelOperator::NotEquals(unwanted) => value != Some(unwanted),
            LabelOperator::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            LabelOperator::NotIn(unwanted) => !value.is_some_and(|value| unwanted.contains(value)),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            LabelOperator::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let join =
            |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match &self.operator {
            LabelOperator::Equals(value) => write!(f, "{key}={value}"),
            LabelOperator::NotEquals(value) => write!(f, "{key}!={value}"),
            LabelOperator::In(values) => write!(f, "{key} in ({})", join(values)),
            LabelOperator::NotIn(values) => write!(f, "{key} notin ({})", join(values)),
            LabelOperator::Exists => f.write_str(key),
            LabelOperator::DoesNotExist => write!(f, "!{key}"),
            LabelOperator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
            LabelOperator::LessThan(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

/// A parsed label selector: all requirements must be met. Its display form is the string
/// form again, ordered by key, as Kubernetes writes it into `status.selector` of a scale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<LabelRequirement>,
}

impl Selector {
    /// Parses the string form: `a=b,c!=d,e in (x,y),!f,g`. An empty string selects everything.
    ///
    /// # Errors
    /// When the string is not a selector, with the position.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text).map(Self::new)
    }

    /// A selector of these requirements.
    #[must_use]
    pub fn new(mut requirements: Vec<LabelRequirement>) -> Self {
        requirements.sort_by(|left, right| left.key.cmp(&right.key));
        Self { requirements }
    }

    /// Whether the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &impl LabelSource) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels))
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Its terms, ordered by key.
    #[must_use]
    pub fn requirements(&self) -> &[LabelRequirement] {
        &self.requirements
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

/// A selector as objects carry it in `spec.selector`: a `LabelSelector`, or the plain map
/// that a ReplicationController or a Service has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum LabelSelector {
    /// The structured form.
    Structured(StructuredSelector),
    /// Labels that must be equal.
    Plain(BTreeMap<String, String>),
}

/// `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StructuredSelector {
    /// Labels that must be equal.
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements.
    pub match_expressions: Option<Vec<LabelExpression>>,
}

/// `metav1.LabelSelectorRequirement`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LabelExpression {
    /// The label's key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// For `In` and `NotIn`.
    pub values: Option<Vec<String>>,
}

impl LabelSelector {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// When the bytes are neither form.
    pub fn from_json(json: &[u8]) -> Result<Self, SelectorError> {
        serde_json::from_slice(json).map_err(|error| SelectorError::of(error.to_string()))
    }

    /// What it selects.
    ///
    /// # Errors
    /// When an expression has an unknown operator, or values that do not go with it.
    pub fn to_selector(&self) -> Result<Selector, SelectorError> {
        match self {
            Self::Plain(labels) => Ok(Selector::new(labels.iter().map(equals).collect())),
            Self::Structured(selector) => {
                let labels = selector
                    .match_labels
                    .iter()
                    .flatten()
                    .map(|label| Ok(equals(label)));
                let expressions = selector
                    .match_expressions
                    .iter()
                    .flatten()
                    .map(LabelExpression::to_requirement);
                labels
                    .chain(expressions)
                    .collect::<Result<_, _>>()
                    .map(Selector::new)
            }
        }
    }
}

fn equals((key, value): (&String, &String)) -> LabelRequirement {
    LabelRequirement {
        key: key.clone(),
        operator: LabelOperator::Equals(value.clone()),
    }
}

impl LabelExpression {
    fn to_requirement(&self) -> Result<LabelRequirement, SelectorError> {
        let values: BTreeSet<String> = self.values.iter().flatten().cloned().collect();
        let operator = match self.operator.as_str() {
            "In" => LabelOperator::In(values),
            "NotIn" => LabelOperator::NotIn(values),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                return Err(SelectorError::of(validation::VALUES_NOT_EMPTY));
            }
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            other => {
                return Err(SelectorError::of(format!(
                    "{other:?} is not a valid label selector operator"
                )));
            }
        };
        validation::requirement(LabelRequirement {
            key: self.key.clone(),
            operator,
        })
        .map_err(SelectorError::of)
    }
}

impl SelectorError {
    /// An error without a position.
    fn of(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            offset: 0,
        }
    }
}

#[cfg(test)]
mod tests;
