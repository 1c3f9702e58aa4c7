//! Asks a running host for its status, as `windlass status` and `windlass top` do.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

pub use crate::http_client::RequestError;
use crate::http_client::{Budget, Endpoint};
use crate::status::{HostStatus, STATUS_VERSION};

/// A host answers at once or is stuck.
const BUDGET: Budget = Budget {
    time: Duration::from_secs(5),
    bytes: 64 << 20,
};

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error("no host to ask: {0}; is `windlass run` running, and is its status address this one?")]
    Request(#[from] RequestError),
    /// Somebody else answered.
    #[error("{address} answered {code}; this is not the status address of a windlass host")]
    Refused {
        /// Who.
        address: String,
        /// What.
        code: StatusCode,
    },
    /// The answer is of another version.
    #[error(
        "the host at {address} speaks {found:?} and this windlass {STATUS_VERSION:?}; use the host's version"
    )]
    Version {
        /// Who.
        address: String,
        /// What it speaks.
        found: String,
    },
    /// The answer is no status.
    #[error("{address} does not answer with a status: {source}")]
    Content {
        /// Who.
        address: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The status of the host at `host:port` or `http://host:port`.
///
/// # Errors
/// See [`FetchError`].
pub async fn fetch_status(address: &str) -> Result<HostStatus, FetchError> {
    let endpoint = Endpoint::parse(address)?.at("/api/v1/status")?;
    let (code, body) = endpoint.send(Request::builder(), Bytes::new(), BUDGET).await?;
    let address = address.to_owned();
    if code != StatusCode::OK {
        return Err(FetchError::Refused { address, code });
    }
    let status: HostStatus = serde_json::from_slice(&body).map_err(|source| FetchError::Content {
        address: address.clone(),
        source,
    })?;
    if status.api_version != STATUS_VERSION {
        let found = status.api_version;
        return Err(FetchError::Version { address, found });
    }
    Ok(status)
}
