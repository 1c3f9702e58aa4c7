//! References to artifacts: `registry/repository[:tag][@sha256:…]`.
//!
//! Promises: a reference that parses names a registry, a repository and a tag or a digest,
//! in the alphabets of the OCI distribution specification, so that its parts can stand in
//! a URL path as they are. There is no default registry: what runs with cluster rights
//! should say where it comes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::digest::{Digest, DigestError};

const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Where an artifact lies. See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

/// What is wrong with a reference, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing to parse.
    #[error("the reference is empty: write `registry/repository:tag`, such as `ghcr.io/acme/guest:1.0.0`")]
    Empty,
    /// A URL of another scheme.
    #[error("`{reference}` is not an artifact reference: leave `{scheme}://` out or write `oci://`")]
    Scheme {
        /// What was given.
        reference: String,
        /// Its scheme.
        scheme: String,
    },
    /// The first part is not a host name.
    #[error(
        "`{reference}` does not name a registry: write `<registry>/{reference}`, such as `ghcr.io/{reference}`"
    )]
    NoRegistry {
        /// What was given.
        reference: String,
    },
    /// The registry is not a host and port.
    #[error(
        "`{registry}` is not a registry: write a host name, with a port if need be, such as `ghcr.io` or `localhost:5000`"
    )]
    Registry {
        /// What stands before the first slash.
        registry: String,
    },
    /// Nothing after the registry.
    #[error("`{reference}` names no repository: write `{reference}/<repository>:<tag>`")]
    NoRepository {
        /// What was given.
        reference: String,
    },
    /// The repository has other characters than allowed.
    #[error(
        "`{repository}` is not a repository: write lower-case letters, digits and single `.`, `_`, `__` or \
         `-` between them, in parts separated by `/`"
    )]
    Repository {
        /// What stands where the repository does.
        repository: String,
    },
    /// The tag has other characters than allowed.
    #[error(
        "`{tag}` is not a tag: write at most 128 letters, digits, `_`, `.` or `-`, and begin with neither `.` nor `-`"
    )]
    Tag {
        /// What stands after the colon.
        tag: String,
    },
    /// The digest is not one.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Repository {
    /// The registry as written: a host, with a port if one was given.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where requests go. Docker Hub serves its API at another name than it is called by.
    pub(crate) fn host(&self) -> &str {
        match self.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        }
    }
}

impl Reference {
    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The digest that it is pinned to. It decides, whatever the tag says.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The tag: the one written, or `latest` where neither a tag nor a digest is.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some(DEFAULT_TAG),
            (None, Some(_)) => None,
        }
    }

    /// The same artifact, pinned to a digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let text = without_scheme(text.trim())?;
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest)?;
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(ReferenceError::NoRepository {
                reference: registry.to_owned(),
            });
        }
        check_path(path)?;
        tag.map_or(Ok(()), check_tag)?;
        Ok(Self {
            repository: Repository {
                registry: registry.to_owned(),
                path: path.to_owned(),
            },
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

fn without_scheme(text: &str) -> Result<&str, ReferenceError> {
    match text.split_once("://") {
        _ if text.is_empty() => Err(ReferenceError::Empty),
        None => Ok(text),
        Some(("oci", "")) => Err(ReferenceError::Empty),
        Some(("oci", rest)) => Ok(rest),
        Some((scheme, _)) => Err(ReferenceError::Scheme {
            reference: text.to_owned(),
            scheme: scheme.to_owned(),
        }),
    }
}

/// The first part is a registry if it could not be the first part of a repository.
fn split_registry(text: &str) -> Result<(&str, &str), ReferenceError> {
    let (registry, rest) = text.split_once('/').unwrap_or((text, ""));
    let host = registry.split(':').next().unwrap_or(registry);
    let has_port = text.contains('/') && registry.contains(':');
    if !(has_port || host == "localhost" || host.contains('.')) {
        return Err(ReferenceError::NoRegistry {
            reference: text.to_owned(),
        });
    }
    if !is_authority(registry) {
        return Err(ReferenceError::Registry {
            registry: registry.to_owned(),
        });
    }
    Ok((registry, rest))
}

/// Whether this is `host` or `host:port`, the host a name, an IPv4 address or an IPv6
/// address in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_name = !host.is_empty()
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_address) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.len() <= MAX_NAME && path.split('/').all(is_component) {
        return Ok(());
    }
    Err(ReferenceError::Repository {
        repository: path.to_owned(),
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as the distribution specification has it.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_in_words =
        bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    ends_in_words
        && bytes.split(|byte| is_word(*byte)).all(|between| {
            matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|byte| *byte == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let well_formed = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
    if well_formed {
        return Ok(());
    }
    Err(ReferenceError::Tag { tag: tag.to_owned() })
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Reference>().unwrap_err().to_string()
    }

    #[test]
    fn parts_are_told_apart() {
        let hex = Digest::of(b"x").hex();
        let full = parse(&format!("oci://localhost:5000/acme/guests/gc:v1.2@sha256:{hex}"));
        assert_eq!(full.repository().registry(), "localhost:5000");
        assert_eq!(full.repository().path(), "acme/guests/gc");
        assert_eq!(full.tag(), Some("v1.2"));
        assert_eq!(full.digest(), Some(Digest::of(b"x")));
        let pinned = parse(&format!("ghcr.io/acme/gc@sha256:{hex}"));
        assert_eq!(pinned.tag(), None);
        assert_eq!(parse("[::1]:5000/a/b").repository().registry(), "[::1]:5000");
    }

    #[test]
    fn without_a_tag_or_digest_the_tag_is_latest() {
        assert_eq!(parse("ghcr.io/acme/gc").tag(), Some("latest"));
        assert_eq!(parse("ghcr.io/acme/gc").to_string(), "ghcr.io/acme/gc:latest");
    }

    #[test]
    fn docker_hub_is_reached_by_the_name_of_its_api() {
        assert_eq!(
            parse("docker.io/acme/gc").repository().host(),
            "registry-1.docker.io"
        );
        assert_eq!(parse("ghcr.io/acme/gc").repository().host(), "ghcr.io");
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert_eq!(
            refusal("acme/gc:1"),
            "`acme/gc:1` does not name a registry: write `<registry>/acme/gc:1`, such as `ghcr.io/acme/gc:1`"
        );
        assert!(refusal("gc:1.0").starts_with("`gc:1.0` does not name a registry"));
        assert_eq!(
            refusal("ghcr.io/"),
            "`ghcr.io` names no repository: write `ghcr.io/<repository>:<tag>`"
        );
        assert_eq!(
            refusal("https://ghcr.io/acme/gc"),
            "`https://ghcr.io/acme/gc` is not an artifact reference: leave `https://` out or write `oci://`"
        );
        assert!(refusal("ghcr.io/Acme/gc").starts_with("`Acme/gc` is not a repository: write lower-case"));
        assert!(refusal("ghcr.io/acme/gc:-1").starts_with("`-1` is not a tag: write at most 128"));
        assert!(
            refusal("ghcr.io/acme/gc@sha256:12").starts_with("`sha256:12` is not a digest: write `sha256:`")
        );
        assert!(refusal("").starts_with("the reference is empty: write"));
        assert!(refusal("a..b/gc").starts_with("`a..b` is not a registry: write a host name"));
    }

    #[test]
    fn parts_cannot_leave_their_place_in_a_path() {
        for text in [
            "ghcr.io/../x",
            "ghcr.io/a/./b",
            "ghcr.io/a//b",
            "ghcr.io/a/b/",
            "ghcr.io/a:b/c",
            "ghcr.io/a%2f",
            "ghcr.io/a:t?x=1",
            "ghcr.io/a#b",
            "user@ghcr.io/a",
            "ghcr.io:0/a",
            "ghcr.io:x/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            registry in "[a-z0-9]{1,8}\\.[a-z]{2,5}(:[1-9][0-9]{0,3})?",
            path in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            pinned in any::<bool>(),
        ) {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = if pinned { format!("@{}", Digest::of(b"y")) } else { String::new() };
            let reference = parse(&format!("{registry}/{path}{tag}{digest}"));
            prop_assert_eq!(&parse(&reference.to_string()), &parse(&format!("oci://{reference}")));
            prop_assert_eq!(reference.repository().path(), path);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Reference>();
        }
    }
}
