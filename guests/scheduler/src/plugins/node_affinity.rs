//! NodeAffinity: `nodeSelector` and node affinity.

use crate::config::Config;
use crate::labels::Operator;
use crate::model::node::{Node, NodeSpec};
use crate::model::template::{NodeTerm, Shape};

/// Why a node is out.
pub(crate) const REASON: &str = "node(s) didn't match Pod's node affinity/selector";
/// Why no node can ever do.
pub(crate) const CONFLICT: &str = "pod affinity terms conflict";
/// Why a node that the terms do not name was not looked at.
pub(crate) const NOT_NAMED: &str = "node(s) didn't satisfy plugin(s) [NodeAffinity]";

const NAME_FIELD: &str = "metadata.name";

/// Whether the node matches the selector and one required term.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    accepts_spec(shape, &node.name, &node.spec)
}

/// As [`accepts`], for a node of this name and spec.
pub(crate) fn accepts_spec(shape: &Shape, name: &str, spec: &NodeSpec) -> bool {
    shape
        .node_selector
        .iter()
        .all(|requirement| requirement.accepts(spec.labels.get(&requirement.key)))
        && shape
            .required_terms
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| matches(term, name, spec)))
}

/// A term without requirements matches nothing.
fn matches(term: &NodeTerm, name: &str, spec: &NodeSpec) -> bool {
    if term.expressions.is_empty() && term.fields.is_empty() {
        return false;
    }
    term.expressions
        .iter()
        .all(|requirement| requirement.accepts(spec.labels.get(&requirement.key)))
        && term
            .fields
            .iter()
            .all(|field| field.accepts((field.key.as_ref() == NAME_FIELD).then_some(name)))
}

/// Raw score, higher is better: the weights of the preferred terms that match. An empty one matches nothing.
pub(crate) fn raw_score(shape: &Shape, node: &Node) -> i64 {
    let terms = shape.preferred_terms.iter();
    terms
        .filter(|(_, term)| matches(term, &node.name, &node.spec))
        .map(|(weight, _)| weight)
        .sum()
}

/// Which nodes come into question at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Narrowed<'a> {
    /// Any.
    All,
    /// These, by name and sorted.
    To(Vec<&'a str>),
    /// A term asks for two names at once in every alternative.
    Conflict,
}

impl Narrowed<'_> {
    /// Whether the node of this name comes into question.
    pub(crate) fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::To(names) => names.binary_search(&name).is_ok(),
            Self::Conflict => false,
        }
    }
}

/// The nodes that a pod names itself, by being pinned or in its required terms (`PreFilter`).
pub(crate) fn narrow<'a>(shape: &'a Shape, pinned: Option<&'a str>, config: &Config) -> Narrowed<'a> {
    match pinned {
        _ if !config.narrows() => Narrowed::All,
        Some(name) => Narrowed::To(vec![name]),
        None => narrow_by_terms(shape),
    }
}

/// The nodes that the terms name, when every term does.
fn narrow_by_terms(shape: &Shape) -> Narrowed<'_> {
    let Some(terms) = &shape.required_terms else {
        return Narrowed::All;
    };
    let mut names: Vec<&str> = Vec::new();
    for term in terms {
        match named(term) {
            Some(more) => names.extend(more),
            None => return Narrowed::All,
        }
    }
    if terms.is_empty() {
        return Narrowed::All;
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        Narrowed::Conflict
    } else {
        Narrowed::To(names)
    }
}

/// The names that all `metadata.name` fields of a term agree on; `None` without such a field.
fn named(term: &NodeTerm) -> Option<Vec<&str>> {
    let mut lists = term.fields.iter().filter_map(|field| match &field.operator {
        Operator::In(values) if field.key.as_ref() == NAME_FIELD => Some(values),
        _ => None,
    });
    let mut names: Vec<&str> = lists.next()?.iter().map(Box::as_ref).collect();
    for list in lists {
        names.retain(|name| list.iter().any(|other| other.as_ref() == *name));
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{Labels, Requirement};

    fn node(name: &str, labels: &[(&str, &str)]) -> Node {
        let spec = NodeSpec {
            labels: Labels::new(labels.iter().copied()),
            ..NodeSpec::default()
        };
        Node {
            name: name.into(),
            spec,
            ..Node::default()
        }
    }

    fn in_zone(zone: &str) -> NodeTerm {
        NodeTerm {
            expressions: vec![Requirement::equals("zone", zone)],
            fields: vec![],
        }
    }

    fn on(names: &[&str]) -> Requirement {
        Requirement::new(
            "metadata.name",
            "In",
            names.iter().map(|name| (*name).into()).collect(),
        )
    }

    #[test]
    fn the_selector_and_one_of_the_terms_must_match() {
        let mut shape = Shape {
            node_selector: vec![Requirement::equals("disk", "ssd")],
            ..Shape::default()
        };
        let node = node("n", &[("disk", "ssd"), ("zone", "b")]);
        assert!(accepts(&shape, &node));
        shape.required_terms = Some(vec![in_zone("a"), in_zone("b")]);
        assert!(accepts(&shape, &node));
        shape.required_terms = Some(vec![in_zone("a")]);
        assert!(!accepts(&shape, &node));
        shape.required_terms = Some(vec![NodeTerm::default()]);
        assert!(!accepts(&shape, &node));
    }

    #[test]
    fn preferred_terms_add_up() {
        let shape = Shape {
            preferred_terms: vec![
                (10, in_zone("b")),
                (5, in_zone("a")),
                (
                    3,
                    NodeTerm {
                        expressions: vec![],
                        fields: vec![on(&["n"])],
                    },
                ),
            ],
            ..Shape::default()
        };
        assert_eq!(raw_score(&shape, &node("n", &[("zone", "b")])), 13);
    }

    #[test]
    fn terms_that_all_name_nodes_narrow_the_search() {
        let narrowed = |terms| {
            narrow_by_terms(&Shape {
                required_terms: Some(terms),
                ..Shape::default()
            }) == Narrowed::All
        };
        let named = |names: &[&str]| NodeTerm {
            expressions: vec![],
            fields: vec![on(names)],
        };
        assert!(narrowed(vec![named(&["a"]), in_zone("b")]));
        let shape = Shape {
            required_terms: Some(vec![named(&["b", "a"]), named(&["a"])]),
            ..Shape::default()
        };
        assert_eq!(narrow_by_terms(&shape), Narrowed::To(vec!["a", "b"]));
        let both = NodeTerm {
            expressions: vec![],
            fields: vec![on(&["a"]), on(&["b"])],
        };
        let shape = Shape {
            required_terms: Some(vec![both]),
            ..Shape::default()
        };
        assert_eq!(narrow_by_terms(&shape), Narrowed::Conflict);
    }
}
