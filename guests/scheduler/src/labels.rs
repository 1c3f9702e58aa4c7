//! Labels and label selectors.
//!
//! A selector here is always parsed: what the API server would refuse matches nothing.

/// A set of labels, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    /// The labels of these pairs; of equal keys the last one counts.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut labels: Vec<(Box<str>, Box<str>)> = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        labels.reverse();
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|later, earlier| later.0 == earlier.0);
        Self(labels)
    }

    /// The value of a label.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let at = self
            .0
            .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(key))
            .ok()?;
        self.0.get(at).map(|(_, value)| value.as_ref())
    }

    /// Every pair, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Whether these pairs, in any order and without duplicates, are exactly this set.
    pub(crate) fn equals(&self, pairs: &[(&str, &str)]) -> bool {
        self.0.len() == pairs.len() && pairs.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Requirement {
    /// The label's key.
    pub(crate) key: Box<str>,
    /// What its value must be.
    pub(crate) operator: Operator,
}

/// What a requirement asks of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operator {
    /// One of these.
    In(Vec<Box<str>>),
    /// None of these; a missing label is fine.
    NotIn(Vec<Box<str>>),
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
    /// A number above this one (node selectors only).
    Gt(i64),
    /// A number below this one (node selectors only).
    Lt(i64),
    /// An operator or operand that the API does not know.
    Invalid,
}

impl Requirement {
    /// From the API's form.
    pub(crate) fn new(key: &str, operator: &str, values: Vec<Box<str>>) -> Self {
        let number = || values.first().and_then(|value| value.parse().ok());
        let operator = match operator {
            "In" => Operator::In(values),
            "NotIn" => Operator::NotIn(values),
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => number().map_or(Operator::Invalid, Operator::Gt),
            "Lt" => number().map_or(Operator::Invalid, Operator::Lt),
            _ => Operator::Invalid,
        };
        Self {
            key: key.into(),
            operator,
        }
    }

    /// A requirement for exactly this value.
    pub(crate) fn equals(key: &str, value: &str) -> Self {
        Self {
            key: key.into(),
            operator: Operator::In(vec![value.into()]),
        }
    }

    /// Whether a value (or its absence) meets the requirement.
    pub(crate) fn accepts(&self, value: Option<&str>) -> bool {
        let is_one_of = |values: &[Box<str>]| value.is_some_and(|v| values.iter().any(|w| w.as_ref() == v));
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => is_one_of(values),
            Operator::NotIn(values) => !is_one_of(values),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt(bound) => number().is_some_and(|n| n > *bound),
            Operator::Lt(bound) => number().is_some_and(|n| n < *bound),
            Operator::Invalid => false,
        }
    }
}

/// A label selector: all requirements must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Selector {
    /// Matches no object: what an absent selector means for pods.
    Nothing,
    /// Matches objects that meet every requirement; without any, every object.
    All(Vec<Requirement>),
}

impl Selector {
    /// Whether these labels are selected.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(requirements) => requirements.iter().all(|r| r.accepts(labels.get(&r.key))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_follow_the_apis_operators() {
        let accepts = |operator: &str, values: &[&str], value| {
            let values = values.iter().map(|v| (*v).into()).collect();
            Requirement::new("k", operator, values).accepts(value)
        };
        assert!(accepts("In", &["a", "b"], Some("b")));
        assert!(!accepts("In", &["a"], None));
        assert!(accepts("NotIn", &["a"], None));
        assert!(!accepts("NotIn", &["a"], Some("a")));
        assert!(accepts("Exists", &[], Some("")));
        assert!(accepts("DoesNotExist", &[], None));
        assert!(accepts("Gt", &["4"], Some("5")));
        assert!(!accepts("Gt", &["5"], Some("5")));
        assert!(!accepts("Lt", &["5"], Some("x")));
        assert!(!accepts("Near", &["5"], Some("5")));
    }

    #[test]
    fn an_absent_selector_matches_nothing_and_an_empty_one_everything() {
        let labels = Labels::new([("b", "2"), ("a", "1"), ("b", "3")]);
        assert!(!Selector::Nothing.matches(&labels));
        assert!(Selector::All(Vec::new()).matches(&labels));
        assert_eq!(labels.get("b"), Some("3"));
        assert!(labels.equals(&[("b", "3"), ("a", "1")]));
        assert!(!labels.equals(&[("b", "3")]));
    }
}
