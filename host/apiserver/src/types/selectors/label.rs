//! Label selectors: the query form and the `LabelSelector` object.

use super::SelectorError;
use crate::types::value::{at, list, object, text};
use serde_json::{Map, Value};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::fmt;

/// A parsed label selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Sorted by key, as the API prints them.
    requirements: SmallVec<[Requirement; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: SmolStr,
    operator: Operator,
    values: SmallVec<[SmolStr; 1]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl LabelSelector {
    /// Parses the query form (`a=b,c in (d,e),!f,g>1`).
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser::new(text);
        let mut requirements = SmallVec::new();
        while !parser.peek().is_empty() {
            requirements.push(parser.requirement().map_err(|error| unable_to_parse(&error))?);
            match parser.next() {
                "" => break,
                "," => match parser.peek() {
                    "" => return Err(unable_to_parse("found '', expected: identifier after ','")),
                    _ => continue,
                },
                other => {
                    return Err(unable_to_parse(&format!(
                        "found '{other}', expected: ',' or 'end of string'"
                    )));
                }
            }
        }
        Ok(Self::sorted(requirements))
    }

    /// The selector of a `LabelSelector` object (`matchLabels`, `matchExpressions`).
    ///
    /// Expressions with unknown operators are left to validation and match nothing.
    #[must_use]
    pub fn from_object(selector: &Value) -> Self {
        let mut requirements: SmallVec<_> = map_requirements(object(selector, &["matchLabels"])).collect();
        requirements.extend(list(selector, &["matchExpressions"]).iter().map(|expression| {
            let values: SmallVec<[SmolStr; 1]> = list(expression, &["values"])
                .iter()
                .filter_map(Value::as_str)
                .map(SmolStr::from)
                .collect();
            let operator = match text(expression, &["operator"]) {
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => Operator::In,
            };
            Requirement {
                key: SmolStr::from(text(expression, &["key"])),
                operator,
                values,
            }
        }));
        Self::sorted(requirements)
    }

    /// The selector of a plain map, such as a Service's.
    #[must_use]
    pub fn from_map(labels: Option<&Map<String, Value>>) -> Self {
        Self::sorted(map_requirements(labels).collect())
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the labels of an object's metadata match.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_labels(at(object, &["metadata", "labels"]).and_then(Value::as_object))
    }

    /// Whether a set of labels matches.
    #[must_use]
    pub fn matches_labels(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.matches_by(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
    }

    /// Whether the labels that a function looks up match.
    pub fn matches_by<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(label(&requirement.key)))
    }

    fn sorted(mut requirements: SmallVec<[Requirement; 2]>) -> Self {
        requirements.sort_by(|left, right| left.key.cmp(&right.key));
        Self { requirements }
    }
}

/// The query form, as `kubectl` and `status.selector` show it.
impl fmt::Display for LabelSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(formatter, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values = || {
            let mut values: Vec<&str> = self.values.iter().map(SmolStr::as_str).collect();
            values.sort_unstable();
            values.join(",")
        };
        match self.operator {
            Operator::Equals => write!(formatter, "{key}={}", values()),
            Operator::NotEquals => write!(formatter, "{key}!={}", values()),
            Operator::In => write!(formatter, "{key} in ({})", values()),
            Operator::NotIn => write!(formatter, "{key} notin ({})", values()),
            Operator::Exists => write!(formatter, "{key}"),
            Operator::DoesNotExist => write!(formatter, "!{key}"),
            Operator::GreaterThan => write!(formatter, "{key}>{}", values()),
            Operator::LessThan => write!(formatter, "{key}<{}", values()),
        }
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let listed = |label: &str| self.values.iter().any(|value| value == label);
        match self.operator {
            Operator::Equals | Operator::In => label.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => self.compare(label).is_some_and(|(label, bound)| label > bound),
            Operator::LessThan => self.compare(label).is_some_and(|(label, bound)| label < bound),
        }
    }

    fn compare(&self, label: Option<&str>) -> Option<(i64, i64)> {
        Some((label?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

fn map_requirements(labels: Option<&Map<String, Value>>) -> impl Iterator<Item = Requirement> {
    labels.into_iter().flatten().map(|(key, value)| Requirement {
        key: SmolStr::from(key),
        operator: Operator::Equals,
        values: value.as_str().map(SmolStr::from).into_iter().collect(),
    })
}

fn unable_to_parse(reason: &str) -> SelectorError {
    SelectorError(format!("unable to parse requirement: {reason}"))
}

/// A recursive-descent parser over tokens that are slices of the text.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.trim_start(),
        }
    }

    /// The length of the next token; 0 at the end.
    fn token_len(&self) -> usize {
        let symbol = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '<' | '>');
        match self.rest.as_bytes() {
            [b'=' | b'!', b'=', ..] => 2,
            [first, ..] if symbol(char::from(*first)) => 1,
            _ => self
                .rest
                .find(|c: char| symbol(c) || c.is_ascii_whitespace())
                .unwrap_or(self.rest.len()),
        }
    }

    fn peek(&self) -> &'a str {
        self.rest.get(..self.token_len()).unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let (token, rest) = self.rest.split_at(self.token_len());
        self.rest = rest.trim_start();
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == "!";
        if negated {
            self.next();
        }
        let key = SmolStr::from(self.identifier("identifier")?);
        if negated || matches!(self.peek(), "" | ",") {
            let operator = if negated {
                Operator::DoesNotExist
            } else {
                Operator::Exists
            };
            return Ok(Requirement {
                key,
                operator,
                values: SmallVec::new(),
            });
        }
        let operator = match self.next() {
            "=" | "==" => Operator::Equals,
            "!=" => Operator::NotEquals,
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.value_list()?,
            _ => SmallVec::from_elem(SmolStr::from(self.exact_value()?), 1),
        };
        if matches!(operator, Operator::GreaterThan | Operator::LessThan)
            && values.first().is_none_or(|value| value.parse::<i64>().is_err())
        {
            return Err("values[0][".to_owned()
                + &key
                + "]: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer");
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn identifier(&mut self, expected: &str) -> Result<&'a str, String> {
        match self.next() {
            token @ ("" | "=" | "==" | "!=" | "!" | "(" | ")" | "," | "<" | ">") => {
                Err(format!("found '{token}', expected: {expected}"))
            }
            token => Ok(token),
        }
    }

    /// The value after `=`, which may be missing: `a=` wants the empty value.
    fn exact_value(&mut self) -> Result<&'a str, String> {
        if matches!(self.peek(), "" | ",") {
            Ok("")
        } else {
            self.identifier("identifier")
        }
    }

    fn value_list(&mut self) -> Result<SmallVec<[SmolStr; 1]>, String> {
        match self.next() {
            "(" => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = SmallVec::new();
        loop {
            match self.peek() {
                "," | ")" => values.push(SmolStr::default()),
                _ => values.push(SmolStr::from(self.identifier("',', ')' or identifier")?)),
            }
            match self.next() {
                "," => {}
                ")" => return Ok(values),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn selects(selector: &str, labels: Value) -> bool {
        LabelSelector::parse(selector)
            .unwrap()
            .matches(&json!({"metadata": {"labels": labels}}))
    }

    #[test]
    fn every_operator_matches_as_the_api_says() {
        let labels = || json!({"a": "b", "n": "5", "empty": ""});
        for selector in [
            "",
            "a=b",
            "a==b",
            "a",
            "!z",
            "a!=c",
            "z!=c",
            "a in (b,c)",
            "a in(b)",
            "z notin (b)",
            "n>4",
            "n < 6",
            "empty=",
            "empty in (,x)",
            " a = b , n ",
            "a=b,n=5",
        ] {
            assert!(selects(selector, labels()), "{selector}");
        }
        for selector in [
            "a=c",
            "z",
            "!a",
            "a!=b",
            "a notin (b)",
            "n>5",
            "n<5",
            "a>1",
            "a=b,z",
        ] {
            assert!(!selects(selector, labels()), "{selector}");
        }
    }

    #[test]
    fn broken_selectors_are_refused() {
        for selector in [
            "a in b",
            "a in (b",
            "=b",
            "a=b c",
            "a,",
            ",",
            "a>b",
            "!",
            "a in (b c)",
            "a=)",
        ] {
            let error = LabelSelector::parse(selector).unwrap_err();
            assert!(
                error.0.starts_with("unable to parse requirement: "),
                "{selector}: {error}"
            );
        }
    }

    #[test]
    fn a_selector_prints_as_its_query() {
        let selector = LabelSelector::from_object(&json!({
            "matchLabels": {"b": "c", "a": "x"},
            "matchExpressions": [
                {"key": "e", "operator": "In", "values": ["z", "y"]},
                {"key": "f", "operator": "DoesNotExist"},
            ],
        }));
        assert_eq!(selector.to_string(), "a=x,b=c,e in (y,z),!f");
        assert_eq!(
            LabelSelector::parse(&selector.to_string()).unwrap().to_string(),
            selector.to_string()
        );
    }
}
