//! What label keys and values may be, after apimachinery's `labels.NewRequirement` and
//! `util/validation`.

use super::{LabelOperator, LabelRequirement};

pub(super) const VALUES_NOT_EMPTY: &str = "values set must be empty for exists and does not exist";

const NAME_CHARACTERS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// Checks key and values; the message is that of apimachinery.
pub(super) fn requirement(requirement: LabelRequirement) -> Result<LabelRequirement, String> {
    key(&requirement.key)?;
    match &requirement.operator {
        LabelOperator::In(values) | LabelOperator::NotIn(values) => {
            if values.is_empty() {
                return Err(
                    "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                        .into(),
                );
            }
            for (position, text) in values.iter().enumerate() {
                value(&requirement.key, position, text)?;
            }
        }
        LabelOperator::Equals(text) | LabelOperator::NotEquals(text) => value(&requirement.key, 0, text)?,
        LabelOperator::Exists
        | LabelOperator::DoesNotExist
        | LabelOperator::GreaterThan(_)
        | LabelOperator::LessThan(_) => {}
    }
    Ok(requirement)
}

/// Checks a label key: an optional DNS subdomain and a slash, then a name.
pub(super) fn key(key: &str) -> Result<(), String> {
    let refuse = |why: String| Err(format!("<nil>: Invalid value: {key:?}: {why}"));
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) if !name.contains('/') => (Some(prefix), name),
        Some(_) => {
            return refuse(format!(
                "a qualified name {NAME_CHARACTERS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
        None => (None, key),
    };
    match prefix {
        Some("") => return refuse("prefix part must be non-empty".into()),
        Some(prefix) if prefix.len() > 253 => {
            return refuse("prefix part must be no more than 253 bytes".into());
        }
        Some(prefix) if !is_subdomain(prefix) => {
            return refuse(
                "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                 and must start and end with an alphanumeric character"
                    .into(),
            );
        }
        _ => {}
    }
    match name {
        "" => refuse("name part must be non-empty".into()),
        name if name.len() > 63 => refuse("name part must be no more than 63 bytes".into()),
        name if !is_name(name) => refuse(format!("name part {NAME_CHARACTERS}")),
        _ => Ok(()),
    }
}

fn value(key: &str, position: usize, value: &str) -> Result<(), String> {
    let why = match value {
        value if value.len() > 63 => "must be no more than 63 bytes".to_owned(),
        value if !value.is_empty() && !is_name(value) => {
            format!(
                "a valid label must be an empty string or {}",
                NAME_CHARACTERS.trim_start_matches("must ")
            )
        }
        _ => return Ok(()),
    };
    Err(format!(
        "values[{position}][{key}]: Invalid value: {value:?}: {why}"
    ))
}

fn is_name(text: &str) -> bool {
    delimited(
        text,
        |byte| byte.is_ascii_alphanumeric(),
        |byte| matches!(byte, b'-' | b'_' | b'.'),
    )
}

fn is_subdomain(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.split('.')
        .all(|label| delimited(label, alphanumeric, |byte| byte == b'-'))
}

/// Whether the text begins and ends with an `outer` byte and has `outer` and `inner`
/// bytes between.
fn delimited(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| outer(*byte))
        && bytes.last().is_some_and(|byte| outer(*byte))
        && bytes.iter().all(|byte| outer(*byte) || inner(*byte))
}
