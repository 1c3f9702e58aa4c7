//! What can go wrong at a registry.
//!
//! Of what a registry says only its error codes are shown: the rest is free text from
//! outside and might repeat what was sent.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::credentials::CredentialError;
use crate::digest::Digest;
use crate::http::ExchangeError;
use crate::reference::Repository;

/// A request to a registry that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The registry cannot be reached, or the connection broke.
    #[error("cannot reach registry {registry}: {problem}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What happened.
        problem: String,
    },
    /// No TLS, or a certificate that is not trusted. Trying again does not help.
    #[error("cannot trust registry {registry}: {problem}")]
    Tls {
        /// The registry.
        registry: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The time given for the whole operation is over.
    #[error("registry {registry} did not answer within the time limit")]
    TimedOut {
        /// The registry.
        registry: String,
    },
    /// The registry has too much to do, or limits how often it is asked.
    #[error("registry {registry} asks for fewer requests ({status}{codes}{})", wait(*.retry_after))]
    TooManyRequests {
        /// The registry.
        registry: String,
        /// 429.
        status: StatusCode,
        /// The registry's error codes.
        codes: Codes,
        /// How long to wait, if the registry said so.
        retry_after: Option<Duration>,
    },
    /// The registry failed.
    #[error("registry {registry} failed ({status}{codes}{})", wait(*.retry_after))]
    Server {
        /// The registry.
        registry: String,
        /// 500 to 599.
        status: StatusCode,
        /// The registry's error codes.
        codes: Codes,
        /// How long to wait, if the registry said so.
        retry_after: Option<Duration>,
    },
    /// Tried often enough, or no time for another try.
    #[error("{last} (tried {attempts} times)")]
    GaveUp {
        /// How often.
        attempts: u32,
        /// How the last try ended.
        last: Box<RemoteError>,
    },
    /// The registry wants credentials and none are configured for it.
    #[error(
        "{repository} asks for credentials and none are configured for registry {registry}: log in with `docker login {registry}`, or add the registry to the pull secret"
    )]
    CredentialsMissing {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// The registry does not take the configured credentials.
    #[error(
        "registry {registry} refuses the credentials configured for {repository}: check user name and password, and whether the token has expired"
    )]
    CredentialsRefused {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// Authenticated, and not allowed.
    #[error(
        "registry {registry} does not allow this in {repository} ({status}{codes}): check the permissions of the configured credentials"
    )]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// 403.
        status: StatusCode,
        /// The registry's error codes.
        codes: Codes,
    },
    /// The registry has nothing there.
    #[error("{repository} does not have this ({status}{codes})")]
    NotFound {
        /// The repository.
        repository: String,
        /// 404.
        status: StatusCode,
        /// The registry's error codes.
        codes: Codes,
    },
    /// Any other refusal.
    #[error("registry {registry} refuses the request ({status}{codes})")]
    Refused {
        /// The registry.
        registry: String,
        /// The status.
        status: StatusCode,
        /// The registry's error codes.
        codes: Codes,
    },
    /// The registry does not keep to the distribution specification.
    #[error("registry {registry} sent {problem}; is it an OCI registry?")]
    Protocol {
        /// The registry.
        registry: String,
        /// What it sent.
        problem: String,
    },
    /// The registry points to a place without TLS.
    #[error(
        "registry {registry} points to `{host}` without TLS: list that host as insecure if that is intended"
    )]
    InsecureLocation {
        /// The registry.
        registry: String,
        /// Where it points.
        host: String,
    },
    /// The content is not what was asked for.
    #[error(
        "registry {registry} sent content with digest {actual} where {expected} was asked for: it is corrupted or was tampered with"
    )]
    WrongDigest {
        /// The registry.
        registry: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The content is longer than allowed.
    #[error("registry {registry} sent more than the {limit} bytes that are allowed")]
    TooLong {
        /// The registry.
        registry: String,
        /// The limit.
        limit: u64,
    },
    /// The credentials cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

/// The error codes in a registry's answer, such as `MANIFEST_UNKNOWN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(pub Vec<String>);

impl std::fmt::Display for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|code| write!(f, ", {code}"))
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after
        .map(|wait| format!(", to be tried again in {} s", wait.as_secs()))
        .unwrap_or_default()
}

fn tls_problem(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: list it as insecure if that is intended".to_owned()
        }
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "its certificate is from an unknown authority: add the authority to those that are trusted"
                .to_owned()
        }
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
}

/// Codes are upper-case words; anything else is not shown.
fn codes(body: &[u8]) -> Codes {
    let is_code = |code: &String| {
        !code.is_empty()
            && code.len() <= 40
            && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let entries = envelope.map(|envelope| envelope.errors).unwrap_or_default();
    Codes(
        entries
            .into_iter()
            .map(|entry| entry.code)
            .filter(is_code)
            .take(3)
            .collect(),
    )
}

impl RemoteError {
    /// Whether the registry cannot serve now, and may later: what is cached can stand in.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Tls { .. } => true,
            Self::GaveUp { last, .. } => last.is_unavailable(),
            other => other.may_pass(),
        }
    }

    /// Whether the registry has nothing there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether another try may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::TooManyRequests { .. } | Self::Server { .. }
        )
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn after(self, attempts: u32) -> Self {
        Self::GaveUp {
            attempts,
            last: Box::new(self),
        }
    }

    pub(crate) fn exchange(repository: &Repository, error: ExchangeError) -> Self {
        let registry = repository.registry().to_owned();
        match error {
            ExchangeError::TooLong { limit } => Self::TooLong { registry, limit },
            ExchangeError::Tls(error) => Self::Tls {
                registry,
                problem: tls_problem(&error),
            },
            other => Self::Unreachable {
                registry,
                problem: other.to_string(),
            },
        }
    }

    pub(crate) fn protocol(repository: &Repository, problem: impl Into<String>) -> Self {
        Self::Protocol {
            registry: repository.registry().to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn credentials_missing(repository: &Repository) -> Self {
        Self::CredentialsMissing {
            registry: repository.registry().to_owned(),
            repository: repository.to_string(),
        }
    }

    pub(crate) fn credentials_refused(repository: &Repository) -> Self {
        Self::CredentialsRefused {
            registry: repository.registry().to_owned(),
            repository: repository.to_string(),
        }
    }

    pub(crate) fn status(
        repository: &Repository,
        status: StatusCode,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let registry = repository.registry().to_owned();
        let codes = codes(body);
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::TooManyRequests {
                registry,
                status,
                codes,
                retry_after,
            },
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Self::Server {
                registry,
                status,
                codes,
                retry_after,
            },
            StatusCode::FORBIDDEN => Self::Denied {
                registry,
                repository: repository.to_string(),
                status,
                codes,
            },
            StatusCode::NOT_FOUND => Self::NotFound {
                repository: repository.to_string(),
                status,
                codes,
            },
            status => Self::Refused {
                registry,
                status,
                codes,
            },
        }
    }
}
