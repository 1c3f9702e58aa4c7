//! What several nouns check the same way, with the words in which it is refused.

use super::ConfigError;

pub(super) type Checked = Result<(), ConfigError>;

/// The right shape with the wrong meaning.
pub(super) fn refuse(at: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        at: at.into(),
        problem: problem.into(),
    }
}

/// Refuses unless `holds`.
pub(super) fn ensure(holds: bool, at: impl FnOnce() -> String, problem: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(refuse(at(), problem()))
    }
}

/// Exactly one of several keys, each with whether it is there.
pub(super) fn exactly_one(at: &str, keys: &[(&str, bool)]) -> Checked {
    let quote = |name: &&str| format!("`{name}`");
    let given: Vec<&str> = keys
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    if given.len() == 1 {
        return Ok(());
    }
    let all: Vec<String> = keys.iter().map(|(name, _)| quote(name)).collect();
    let choice = match all.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    };
    let given = if given.is_empty() {
        "has none".to_owned()
    } else {
        format!(
            "has {}",
            given.iter().map(quote).collect::<Vec<_>>().join(" and ")
        )
    };
    Err(refuse(at, format!("needs exactly one of {choice}, and {given}")))
}

/// A DNS label, as names of modules and namespaces are.
pub(super) fn dns_label(at: &str, name: &str) -> Checked {
    ensure(
        name.len() <= 63 && is_label(name),
        || at.to_owned(),
        || {
            format!(
                "{:?} is not a DNS label: lower-case letters, digits and dashes, at most 63",
                short(name)
            )
        },
    )
}

/// A DNS subdomain, as names of most objects are.
pub(super) fn dns_subdomain(at: &str, name: &str) -> Checked {
    ensure(
        name.len() <= 253 && name.split('.').all(is_label),
        || at.to_owned(),
        || {
            format!(
                "{:?} is not an object's name: lower-case letters, digits, dashes and dots, at most 253",
                short(name)
            )
        },
    )
}

/// Not empty.
pub(super) fn not_empty(at: &str, text: &str) -> Checked {
    ensure(!text.is_empty(), || at.to_owned(), || "is empty".to_owned())
}

/// A text that fits in a message.
pub(super) fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}
