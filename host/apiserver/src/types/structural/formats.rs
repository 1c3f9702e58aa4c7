//! The formats of texts that are checked; other formats are notes to the reader, as they
//! are upstream when unknown (`k8s.io/kube-openapi/pkg/validation/strfmt`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::types::validation::is_subdomain;

/// Whether a regular expression can be compiled.
#[must_use]
pub fn is_known_pattern(pattern: &str) -> bool {
    regex::Regex::new(pattern).is_ok()
}

/// Whether a text has a format.
pub(super) fn has_format(text: &str, format: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "byte" => STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(text, format),
        "hostname" => is_subdomain(&text.to_ascii_lowercase()),
        "email" => is_email(text),
        "uri" => is_uri(text),
        _ => true,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let length = length.parse::<u8>().ok();
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => length.is_some_and(|length| length <= 32),
        Ok(IpAddr::V6(_)) => length.is_some_and(|length| length <= 128),
        Err(_) => false,
    }
}

/// Six or eight bytes, between colons or dashes.
fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let bytes: Vec<&str> = text.split(separator).collect();
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
    matches!(bytes.len(), 6 | 8) && bytes.iter().all(is_byte)
}

fn is_uuid(text: &str, format: &str) -> bool {
    let Ok(uuid) = uuid::Uuid::parse_str(text) else {
        return false;
    };
    match format
        .strip_prefix("uuid")
        .and_then(|version| version.parse::<usize>().ok())
    {
        Some(version) => uuid.get_version_num() == version,
        None => true,
    }
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        let no_space = !text.contains(char::is_whitespace);
        no_space && !user.is_empty() && is_subdomain(&host.to_ascii_lowercase())
    })
}

/// An absolute URI, or an absolute path as Go's `url.ParseRequestURI` takes it.
fn is_uri(text: &str) -> bool {
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    clean && (text.starts_with('/') || has_scheme)
}
