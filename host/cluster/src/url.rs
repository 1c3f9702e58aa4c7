//! Paths and queries of API requests.
//!
//! Promises: what a guest names cannot leave the collection that its permission was
//! checked for. Group, version, plural, namespace and subresource are held to their
//! alphabets, and a name must be one path segment.

use std::fmt::Write as _;

use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource};

use crate::permits::quoted;

/// The longest names that API servers store, in bytes.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Whether a path must, may or must not name an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Required,
    Forbidden,
}

/// The path of an object, or of a collection for [`Name::Forbidden`].
pub(crate) fn path(
    resource: &Resource,
    key: &ObjectKey,
    subresource: &str,
    name: Name,
) -> Result<String, ApiError> {
    check_names(resource, key, subresource)?;
    let mut path = resource.path(&key.namespace);
    match name {
        Name::Forbidden => {}
        Name::Required if key.name.is_empty() => return Err(refuse("the object's name is empty")),
        Name::Required => {
            path.push('/');
            push_encoded(&mut path, &key.name);
        }
    }
    if !subresource.is_empty() {
        path.push('/');
        path.push_str(subresource);
    }
    Ok(path)
}

fn check_names(resource: &Resource, key: &ObjectKey, subresource: &str) -> Result<(), ApiError> {
    let dns = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let dotted =
        |text: &str| text.len() <= MAX_NAME && text.split('.').all(|label| !label.is_empty() && dns(label));
    if !(resource.group.is_empty() || dotted(&resource.group)) {
        return Err(refuse(format!(
            "{:?} is not an API group",
            quoted(&resource.group)
        )));
    }
    if resource.version.is_empty() || resource.version.len() > MAX_LABEL || !dns(&resource.version) {
        return Err(refuse(format!(
            "{:?} is not an API version",
            quoted(&resource.version)
        )));
    }
    if !dotted(&resource.plural) {
        return Err(refuse(format!(
            "{:?} is not a resource",
            quoted(&resource.plural)
        )));
    }
    if key.namespace.len() > MAX_LABEL || !dns(&key.namespace) {
        return Err(refuse(format!("{:?} is not a namespace", quoted(&key.namespace))));
    }
    if subresource.len() > MAX_LABEL || !dns(subresource) {
        return Err(refuse(format!("{:?} is not a subresource", quoted(subresource))));
    }
    if key.name.len() > MAX_NAME {
        return Err(refuse(format!(
            "{:?} cannot be an object's name: it has {} bytes, and names have at most {MAX_NAME}",
            quoted(&key.name),
            key.name.len()
        )));
    }
    // The rule of API servers for names in paths (`IsValidPathSegmentName`).
    if key.name == "."
        || key.name == ".."
        || key.name.contains(['/', '%'])
        || key.name.contains(char::is_control)
    {
        return Err(refuse(format!("{:?} cannot be an object's name", key.name)));
    }
    Ok(())
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::local(ApiErrorKind::BadRequest, message)
}

/// Appends `?name=value` or `&name=value`; an empty value leaves the parameter out.
pub(crate) fn push_query(path: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    path.push(if path.contains('?') { '&' } else { '?' });
    path.push_str(name);
    path.push('=');
    push_encoded(path, value);
}

fn push_encoded(path: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> Resource {
        Resource::new("", "v1", "pods")
    }

    #[test]
    fn a_name_is_one_segment_and_is_encoded() {
        let path = path(
            &pods(),
            &ObjectKey::new("ns", "system:a b"),
            "status",
            Name::Required,
        )
        .unwrap();
        assert_eq!(path, "/api/v1/namespaces/ns/pods/system%3Aa%20b/status");
    }

    #[test]
    fn names_that_would_change_the_path_are_refused() {
        let huge = "x".repeat(MAX_NAME + 1);
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a%2fb",
            "a%252fb",
            "../../secrets/x",
            "a\r\nb",
            "a\0",
            &huge,
        ] {
            assert!(
                path(&pods(), &ObjectKey::new("ns", name), "", Name::Required).is_err(),
                "{name:?}"
            );
        }
        for namespace in ["..", "a/b", "a%2fb", "kube-system/secrets", "A", "a.b", &huge] {
            assert!(
                path(&pods(), &ObjectKey::new(namespace, "x"), "", Name::Required).is_err(),
                "{namespace:?}"
            );
        }
        for (plural, subresource) in [
            ("pods/x", ""),
            ("..", ""),
            ("", ""),
            ("pods", "../x"),
            ("pods", "a/b"),
        ] {
            let resource = Resource::new("", "v1", plural);
            assert!(
                path(&resource, &ObjectKey::new("ns", "x"), subresource, Name::Required).is_err(),
                "{plural:?}"
            );
        }
        for (group, version) in [
            ("a/b", "v1"),
            ("..", "v1"),
            ("apps", ""),
            ("apps", "v1/x"),
            ("apps", ".."),
        ] {
            let resource = Resource::new(group, version, "pods");
            assert!(
                path(&resource, &ObjectKey::new("ns", "x"), "", Name::Required).is_err(),
                "{group:?}"
            );
        }
    }

    #[test]
    fn a_collection_needs_no_name_and_queries_are_encoded() {
        let mut path = path(&pods(), &ObjectKey::new("", ""), "", Name::Forbidden).unwrap();
        push_query(&mut path, "labelSelector", "a in (b,c)");
        push_query(&mut path, "continue", "");
        push_query(&mut path, "limit", "5");
        assert_eq!(path, "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&limit=5");
    }
}
