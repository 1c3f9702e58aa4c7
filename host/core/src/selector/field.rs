//! Field selectors: `metadata.name=a,status.phase!=Running`, after apimachinery's
//! `fields.ParseSelector`. Which fields a resource supports is the server's business.

use super::SelectorError;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOperator {
    /// `=` and `==`.
    Equals,
    /// `!=`.
    NotEquals,
}

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// The field, such as `spec.nodeName`.
    pub field: String,
    /// How it is compared.
    pub operator: FieldOperator,
    /// With what.
    pub value: String,
}

/// A parsed field selector: all requirements must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Parses the string form. Backslash, comma and equals sign in a value are escaped
    /// with a backslash. An empty string selects everything.
    ///
    /// # Errors
    /// When the string is not a field selector, with the position of the term.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for (offset, term) in terms(text) {
            let refuse = |message| SelectorError { message, offset };
            let (field, operator, value) = split(term)
                .ok_or_else(|| refuse(format!("invalid selector: '{text}'; can't understand '{term}'")))?;
            let value = unescape(value).map_err(refuse)?;
            requirements.push(FieldRequirement {
                field: field.to_owned(),
                operator,
                value,
            });
        }
        Ok(Self { requirements })
    }

    /// Whether an object with these fields meets every requirement. A field that is
    /// absent counts as empty.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let equal = field(&requirement.field).unwrap_or_default() == requirement.value;
            equal == (requirement.operator == FieldOperator::Equals)
        })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Its terms, in the order of the text.
    #[must_use]
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }
}

/// Splits at commas that are not escaped; empty terms are left out.
fn terms(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut escaped = false;
    let mut offset = 0;
    text.split(move |character| {
        let separates = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        separates
    })
    .map(move |term| {
        let start = offset;
        offset += term.len() + 1;
        (start, term)
    })
    .filter(|(_, term)| !term.is_empty())
}

/// Splits at the first operator.
fn split(term: &str) -> Option<(&str, FieldOperator, &str)> {
    const OPERATORS: [(&str, FieldOperator); 3] = [
        ("!=", FieldOperator::NotEquals),
        ("==", FieldOperator::Equals),
        ("=", FieldOperator::Equals),
    ];
    term.char_indices().find_map(|(at, _)| {
        let (field, rest) = term.split_at(at);
        OPERATORS
            .into_iter()
            .find_map(|(symbol, operator)| Some((field, operator, rest.strip_prefix(symbol)?)))
    })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                Some(other) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {character}"
                ));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}
