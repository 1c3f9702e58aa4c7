//! Requests to a registry: authenticated, redirected and repeated as need be, within one
//! time limit.
//!
//! Promises: a request is repeated only for failures that may pass; credentials go to the
//! registry they are for and the token service it names, never along a redirect to another
//! host; plain HTTP is used only for hosts that the caller lists.

mod error;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hashbrown::HashMap;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

pub use self::error::RemoteError;
use crate::challenge::{self, Challenge};
use crate::credentials::{Credential, Credentials};
use crate::http::{Answer, Http, escape, is_allowed};
use crate::reference::Repository;
use crate::retry::{Backoff, retry_after};
use crate::secret::Secret;

const MAX_REDIRECTS: usize = 5;
const MAX_TOKEN: u64 = 256 * 1024;
const CLIENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

/// What is to be done in a repository; tokens are issued for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Absolute, or a path at the registry.
    pub(crate) target: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// The longest answer taken.
    pub(crate) limit: u64,
}

/// Where and as what requests are sent, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) access: Access,
    pub(crate) deadline: Instant,
}

/// The registries, as far as this process knows them.
pub(crate) struct Remote {
    pub(crate) http: Http,
    pub(crate) credentials: Credentials,
    pub(crate) insecure: Vec<String>,
    pub(crate) backoff: Backoff,
    /// `Authorization` headers that worked, by repository and access.
    authorizations: Mutex<HashMap<(Repository, Access), Secret>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Remote {
    pub(crate) fn new(http: Http, credentials: Credentials, insecure: Vec<String>, backoff: Backoff) -> Self {
        Self {
            http,
            credentials,
            insecure,
            backoff,
            authorizations: Mutex::default(),
        }
    }

    /// Sends a request, again where that may help.
    pub(crate) async fn send(&self, errand: Errand<'_>, call: &Call) -> Result<Answer, RemoteError> {
        self.retrying(errand, || self.send_once(errand, call)).await
    }

    /// Does something again while it fails for a reason that may pass and there is time.
    pub(crate) async fn retrying<T, F>(
        &self,
        errand: Errand<'_>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RemoteError>>,
    {
        let mut failures = 0;
        loop {
            let result = tokio::time::timeout_at(errand.deadline, attempt()).await;
            let Ok(result) = result else {
                return Err(RemoteError::TimedOut {
                    registry: errand.repository.registry().to_owned(),
                });
            };
            let error = match result {
                Err(error) if error.may_pass() => error,
                other => return other,
            };
            failures += 1;
            let delay = self.backoff.delay(failures, error.retry_after(), rand::random());
            let remaining = errand.deadline.saturating_duration_since(Instant::now());
            if failures >= self.backoff.attempts || delay > remaining {
                return Err(error.after(failures));
            }
            tracing::debug!(%error, failures, ?delay, "registry request is repeated");
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends a request once, with a second try after an authentication challenge.
    pub(crate) async fn send_once(&self, errand: Errand<'_>, call: &Call) -> Result<Answer, RemoteError> {
        let key = (errand.repository.clone(), errand.access);
        let held = self.authorizations.lock().get(&key).cloned();
        let answer = self.follow(errand, call, held.as_ref()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return checked(errand.repository, answer);
        }
        self.authorizations.lock().remove(&key);
        let authorization = self.authorize(errand, &answer).await?;
        let answer = self.follow(errand, call, Some(&authorization)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(RemoteError::credentials_refused(errand.repository));
        }
        self.authorizations.lock().insert(key, authorization);
        checked(errand.repository, answer)
    }

    /// Sends a request and follows redirects. The registry's authorization stays with it.
    async fn follow(
        &self,
        errand: Errand<'_>,
        call: &Call,
        authorization: Option<&Secret>,
    ) -> Result<Answer, RemoteError> {
        let home = self.base(errand.repository);
        let mut target = self.absolute(errand.repository, &home, &call.target)?;
        for _ in 0..=MAX_REDIRECTS {
            let at_home =
                target.authority().map(|authority| authority.as_str()) == Some(errand.repository.host());
            let authorization = authorization.filter(|_| at_home);
            let request = request(call, &target, authorization)
                .ok_or_else(|| RemoteError::protocol(errand.repository, "a URL that cannot be requested"))?;
            let answer = self
                .http
                .exchange(request, call.limit)
                .await
                .map_err(|error| RemoteError::exchange(errand.repository, error))?;
            let Some(next) = redirect(call, &answer) else {
                return Ok(answer);
            };
            target = self.absolute(errand.repository, &target.to_string(), &next)?;
        }
        Err(RemoteError::protocol(errand.repository, "too many redirects"))
    }

    /// Scheme and host of a registry.
    fn base(&self, repository: &Repository) -> String {
        let host = repository.host();
        let scheme = if self.insecure.iter().any(|insecure| insecure == host) {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{host}/")
    }

    /// A location as registries give it, relative to where it was given.
    fn absolute(&self, repository: &Repository, base: &str, location: &str) -> Result<Uri, RemoteError> {
        let text = if location.starts_with('/') {
            let root = base.split_inclusive('/').take(3).collect::<String>();
            format!("{}{location}", root.trim_end_matches('/'))
        } else {
            location.to_owned()
        };
        let uri: Uri = text
            .parse()
            .map_err(|_| RemoteError::protocol(repository, "a malformed URL"))?;
        if is_allowed(&uri, &self.insecure) {
            return Ok(uri);
        }
        Err(RemoteError::InsecureLocation {
            registry: repository.registry().to_owned(),
            host: uri.authority().map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// The `Authorization` header that answers a challenge.
    async fn authorize(&self, errand: Errand<'_>, answer: &Answer) -> Result<Secret, RemoteError> {
        let challenges = answer.headers.get_all(WWW_AUTHENTICATE);
        let challenge = challenge::choose(challenges.iter().filter_map(|value| value.to_str().ok()))
            .ok_or_else(|| {
                RemoteError::protocol(errand.repository, "a challenge that is neither Basic nor Bearer")
            })?;
        let credential = self.credentials.find(errand.repository).await?;
        match (challenge, credential) {
            (_, Credential::RegistryToken(token)) => Ok(Secret::new(format!("Bearer {}", token.expose()))),
            (Challenge::Basic, Credential::Basic { username, password }) => Ok(basic(&username, &password)),
            (Challenge::Basic, _) => Err(RemoteError::credentials_missing(errand.repository)),
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                },
                credential,
            ) => {
                let scope = scope.unwrap_or_else(|| default_scope(errand));
                let service = service.unwrap_or_default();
                self.token(errand, &realm, &service, &scope, &credential).await
            }
        }
    }

    /// Asks the registry's token service (`distribution/docs/spec/auth`).
    async fn token(
        &self,
        errand: Errand<'_>,
        realm: &str,
        service: &str,
        scope: &str,
        credential: &Credential,
    ) -> Result<Secret, RemoteError> {
        let query = format!("service={}&scope={}", escape(service), escape(scope));
        let (call, authorization) = match credential {
            Credential::IdentityToken(token) => {
                let token = escape(token.expose());
                let form =
                    format!("grant_type=refresh_token&client_id=windlass&{query}&refresh_token={token}");
                (token_call(Method::POST, realm.to_owned(), form), None)
            }
            other => {
                let separator = if realm.contains('?') { '&' } else { '?' };
                let target = format!("{realm}{separator}{query}");
                let authorization = match other {
                    Credential::Basic { username, password } => Some(basic(username, password)),
                    _ => None,
                };
                (token_call(Method::GET, target, String::new()), authorization)
            }
        };
        let realm = self.absolute(errand.repository, "", &call.target)?;
        let request = request(&call, &realm, authorization.as_ref()).ok_or_else(|| {
            RemoteError::protocol(errand.repository, "a token service that cannot be requested")
        })?;
        let answer = self
            .http
            .exchange(request, MAX_TOKEN)
            .await
            .map_err(|error| RemoteError::exchange(errand.repository, error))?;
        read_token(errand.repository, credential, answer)
    }
}

fn token_call(method: Method, target: String, form: String) -> Call {
    Call {
        method,
        target,
        accept: "application/json",
        content_type: "application/x-www-form-urlencoded",
        body: form.into(),
        limit: MAX_TOKEN,
    }
}

fn read_token(
    repository: &Repository,
    credential: &Credential,
    answer: Answer,
) -> Result<Secret, RemoteError> {
    if matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
    ) {
        return Err(match credential {
            Credential::Anonymous => RemoteError::credentials_missing(repository),
            _ => RemoteError::credentials_refused(repository),
        });
    }
    let answer = checked(repository, answer)?;
    let answer: TokenAnswer = serde_json::from_slice(&answer.body)
        .map_err(|_| RemoteError::protocol(repository, "a token answer that is not JSON"))?;
    let token = if answer.token.is_empty() {
        answer.access_token
    } else {
        answer.token
    };
    if token.is_empty() {
        return Err(RemoteError::protocol(
            repository,
            "a token answer without a token",
        ));
    }
    Ok(Secret::new(format!("Bearer {token}")))
}

fn default_scope(errand: Errand<'_>) -> String {
    let actions = match errand.access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{}:{actions}", errand.repository.path())
}

fn basic(username: &str, password: &Secret) -> Secret {
    let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose()));
    Secret::new(format!("Basic {pair}"))
}

fn request(call: &Call, target: &Uri, authorization: Option<&Secret>) -> Option<Request<Full<Bytes>>> {
    let mut builder = Request::builder()
        .method(&call.method)
        .uri(target)
        .header(HOST, target.authority()?.as_str())
        .header(USER_AGENT, CLIENT);
    if !call.accept.is_empty() {
        builder = builder.header(ACCEPT, call.accept);
    }
    if !call.content_type.is_empty() {
        builder = builder.header(CONTENT_TYPE, call.content_type);
    }
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization.expose()).ok()?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    builder.body(Full::new(call.body.clone())).ok()
}

/// Where an answer sends a reading request on to. Writes are not redirected.
fn redirect(call: &Call, answer: &Answer) -> Option<String> {
    let reads = matches!(call.method, Method::GET | Method::HEAD);
    let redirects = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers.get(LOCATION)?.to_str().ok()?;
    (reads && redirects).then(|| location.to_owned())
}

/// The answer, or the error that its status is.
fn checked(repository: &Repository, answer: Answer) -> Result<Answer, RemoteError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let wait: Option<Duration> = answer
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value, Timestamp::now()));
    Err(RemoteError::status(repository, answer.status, &answer.body, wait))
}
