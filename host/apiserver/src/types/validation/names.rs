//! The forms of names, labels and keys (`apimachinery/pkg/util/validation`).
//!
//! Each check gives the messages about what it refuses, none when the text is fine.

use smallvec::SmallVec;

/// What is wrong with a text.
pub(super) type Messages = SmallVec<[String; 1]>;

const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Whether a text is a lowercase RFC 1123 subdomain.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    subdomain(text).is_empty()
}

/// Whether a text can be a label's value.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    label_value(text).is_empty()
}

/// Whether a text can be a label's key.
#[must_use]
pub fn is_qualified_name(text: &str) -> bool {
    qualified_name(text).is_empty()
}

/// A DNS label such as a namespace's or a container's name.
pub(super) fn label(text: &str) -> Messages {
    messages(text, LABEL_MAX, has_label_form(text, is_lower_or_digit), LABEL)
}

/// A DNS subdomain, which most objects' names are.
pub(super) fn subdomain(text: &str) -> Messages {
    let form = text
        .split('.')
        .all(|part| has_label_form(part, is_lower_or_digit));
    messages(text, SUBDOMAIN_MAX, form, SUBDOMAIN)
}

/// A DNS label that starts with a letter, such as a service's name.
pub(super) fn label_1035(text: &str) -> Messages {
    messages(
        text,
        LABEL_MAX,
        has_label_form(text, |byte| byte.is_ascii_lowercase()),
        LABEL_1035,
    )
}

/// A name that may be any path segment, such as a role's.
pub(super) fn path_segment(text: &str) -> Messages {
    let mut messages = Messages::new();
    if matches!(text, "." | "..") {
        messages.push(format!("may not be '{text}'"));
    }
    messages.extend(
        ['/', '%']
            .into_iter()
            .filter(|c| text.contains(*c))
            .map(|c| format!("may not contain '{c}'")),
    );
    messages
}

/// A label's key: a name with an optional subdomain before it.
pub(super) fn qualified_name(text: &str) -> Messages {
    let mut found = Messages::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            found.push(format!("a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"));
            return found;
        }
        Some(("", name)) => {
            found.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            found.extend(
                subdomain(prefix)
                    .into_iter()
                    .map(|message| format!("prefix part {message}")),
            );
            name
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        found.push(format!("name part {}", too_long(LABEL_MAX)));
    }
    if !has_name_form(name) {
        found.push(format!("name part {QUALIFIED}"));
    }
    found
}

/// A label's value, which may be empty.
pub(super) fn label_value(text: &str) -> Messages {
    messages(
        text,
        LABEL_MAX,
        text.is_empty() || has_name_form(text),
        LABEL_VALUE,
    )
}

/// A key of a ConfigMap or Secret, which becomes a file name.
pub(super) fn config_key(text: &str) -> Messages {
    let form = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let mut found = messages(text, SUBDOMAIN_MAX, form, CONFIG_KEY);
    if matches!(text, "." | "..") {
        found.push(format!("must not be '{text}'"));
    } else if text.starts_with("..") {
        found.push("must not start with '..'".to_owned());
    }
    found
}

/// The name of a container port.
pub(super) fn port_name(text: &str) -> Messages {
    let mut found = Messages::new();
    if text.len() > 15 {
        found.push(too_long(15));
    }
    if !text.bytes().all(|byte| is_lower_or_digit(byte) || byte == b'-') {
        found.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        found.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        found.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        found.push("must not begin or end with a hyphen".to_owned());
    }
    found
}

pub(super) fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

fn messages(text: &str, limit: usize, form: bool, message: &str) -> Messages {
    let mut found = Messages::new();
    if text.len() > limit {
        found.push(too_long(limit));
    }
    if !form {
        found.push(message.to_owned());
    }
    found
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn has_label_form(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| first(*byte))
        && bytes.last().is_some_and(|byte| is_lower_or_digit(*byte))
        && bytes.iter().all(|byte| is_lower_or_digit(*byte) || *byte == b'-')
}

fn has_name_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_forms() {
        for text in ["a", "a-b", "0a", "a.b-c.d"] {
            assert!(is_subdomain(text), "{text}");
        }
        for text in ["", "A", "a.", ".a", "a..b", "-a", "a_b", "a.-b"] {
            assert!(!is_subdomain(text), "{text}");
        }
        assert_eq!(label(&"a".repeat(64))[0], "must be no more than 63 bytes");
        assert!(label("a.b")[0].starts_with("a lowercase RFC 1123 label must"));
        assert!(label_1035("1a")[0].starts_with("a DNS-1035 label must"));
        assert_eq!(path_segment("a/b").as_slice(), ["may not contain '/'"]);
        assert!(path_segment("system:node").is_empty());
    }

    #[test]
    fn label_keys_and_values_have_theirs() {
        for text in ["a", "A_b.c", "example.com/a"] {
            assert!(is_qualified_name(text), "{text}");
        }
        for text in ["", "/a", "a/", "a/b/c", "A.b/c", "-a", "a b"] {
            assert!(!is_qualified_name(text), "{text}");
        }
        assert!(is_label_value(""));
        assert!(!is_label_value("a b"));
        assert_eq!(config_key("..").len(), 1);
        assert!(config_key("..a")[0].contains("must not start"));
    }
}
