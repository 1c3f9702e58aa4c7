//! One request to the collector, and what is said in the log of its trouble.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};

use super::{OtlpConfig, OtlpError, signal};
use crate::http_client::{Budget, Endpoint};

/// Bytes of a collector's answer, which is an empty object or a message.
const MAX_ANSWER: usize = 64 * 1024;
/// Characters of it that are shown.
const SHOWN: usize = 200;

/// Where one kind of telemetry is posted to.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    endpoint: Endpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
}

/// What became of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// All was taken but so many, for a reason.
    Taken { rejected: u64, message: String },
    /// Worth another one.
    Later(String),
    /// Another one would end alike.
    Refused(String),
}

impl Delivery {
    pub(super) fn of(config: &OtlpConfig, name: &str) -> Result<Self, OtlpError> {
        let headers = config.headers.iter();
        Ok(Self {
            endpoint: signal(&config.endpoint, name)?,
            headers: headers
                .map(|(name, value)| header(name, value))
                .collect::<Result<_, _>>()?,
            timeout: config.timeout,
        })
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    pub(super) async fn attempt(&self, body: Bytes) -> Attempt {
        let mut request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let budget = Budget {
            time: self.timeout,
            bytes: MAX_ANSWER,
        };
        match self.endpoint.send(request, body, budget).await {
            Ok((code, answer)) if code.is_success() => taken(&answer),
            Ok((code, answer)) => {
                let answer: String = String::from_utf8_lossy(&answer).chars().take(SHOWN).collect();
                let message = format!("{} answered {code}: {answer}", self.endpoint);
                if is_passing(code) {
                    Attempt::Later(message)
                } else {
                    Attempt::Refused(message)
                }
            }
            Err(error) => Attempt::Later(error.to_string()),
        }
    }
}

/// A collector may take a part and say how much it did not.
fn taken(answer: &[u8]) -> Attempt {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    // 64-bit numbers are strings in this protocol, and some write them as numbers.
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let counts = ["rejectedSpans", "rejectedDataPoints"].map(|key| number(&partial[key]));
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    Attempt::Taken {
        rejected: counts.into_iter().flatten().sum(),
        message: message.chars().take(SHOWN).collect(),
    }
}

/// A header from its name and value.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), OtlpError> {
    match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(OtlpError::Header {
            name: name.to_owned(),
        }),
    }
}

/// The answers after which the protocol has clients try again.
fn is_passing(code: StatusCode) -> bool {
    matches!(
        code,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Whether a kind of telemetry gets through, said in the log when it changes.
#[derive(Debug)]
pub(super) struct Trouble {
    signal: &'static str,
    endpoint: String,
    is_there: bool,
}

impl Trouble {
    pub(super) fn of(signal: &'static str, delivery: &Delivery) -> Self {
        Self {
            signal,
            endpoint: delivery.endpoint(),
            is_there: false,
        }
    }

    /// Some of it is lost.
    pub(super) fn begins(&mut self, error: &str) {
        if !std::mem::replace(&mut self.is_there, true) {
            tracing::warn!(
                signal = self.signal,
                endpoint = self.endpoint,
                error,
                "telemetry cannot be delivered, some is lost"
            );
        }
    }

    /// It gets through. `lost` is how much did not, since the start of the process.
    pub(super) fn ends(&mut self, lost: u64) {
        if std::mem::take(&mut self.is_there) {
            tracing::info!(
                signal = self.signal,
                endpoint = self.endpoint,
                lost,
                "telemetry is delivered again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_leaves_out_is_understood() {
        let rejected = |answer: &str| match taken(answer.as_bytes()) {
            Attempt::Taken { rejected, message } => (rejected, message),
            other => panic!("{other:?}"),
        };
        assert_eq!(rejected("{}"), (0, String::new()));
        assert_eq!(rejected(""), (0, String::new()));
        let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
        assert_eq!(rejected(partial), (3, "too old".to_owned()));
        assert_eq!(rejected(r#"{"partialSuccess":{"rejectedDataPoints":7}}"#).0, 7);
    }
}
