//! From a kubeconfig, or the service account of a pod, to a client that works.
//!
//! Promises: an error names the file or the address it is about and what to do.
//! The connections are made by hyper's pool straight from kube's configuration; kube's
//! own middleware, which opens a tracing span and crosses a channel for each request,
//! is left out because thousands of small writes a second pass here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde::Deserialize;
use tower::{BoxError, Layer, ServiceBuilder};
use windlass_core::api_error::ApiErrorKind;

use crate::client::{ApiClient, DEFAULT_REQUEST_TIMEOUT, RequestError, TransportError, boxed_transport};

/// Which API server to use and how.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The kubeconfig; unset: `$KUBECONFIG`, `~/.kube/config`, or inside a pod its service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; unset: its current one.
    pub context: Option<String>,
    /// Such as `windlass/0.1.0`.
    pub user_agent: String,
    /// How long a request may take.
    pub request_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            user_agent: concat!("windlass/", env!("CARGO_PKG_VERSION")).to_owned(),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
        }
    }
}

/// Why there is no usable API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The named kubeconfig is missing or wrong.
    #[error("cannot use kubeconfig {path}: {source}; check the file or name another with --kubeconfig")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// No kubeconfig was named and none was found.
    #[error("no cluster configured: {0}; pass --kubeconfig, set KUBECONFIG, or run inside a cluster")]
    NoConfig(String),
    /// The configuration does not make a client.
    #[error(
        "cannot set up a client for {address}: {detail}; check the certificates and credentials in the kubeconfig"
    )]
    Client {
        /// The server.
        address: String,
        /// What is wrong.
        detail: String,
    },
    /// Nothing listens there.
    #[error(
        "cannot reach the API server at {address}: {detail}; check that it runs and that the address is right"
    )]
    Unreachable {
        /// The server.
        address: String,
        /// The reason.
        detail: String,
    },
    /// It is reached, but not trusted, or it does not speak TLS.
    #[error(
        "no TLS connection to the API server at {address}: {detail}; \
         check certificate-authority and the scheme of server in the kubeconfig"
    )]
    Tls {
        /// The server.
        address: String,
        /// The reason.
        detail: String,
    },
    /// It does not accept the credentials.
    #[error(
        "the API server at {address} refused the credentials (HTTP {code}): {detail}; \
         check the user of the kubeconfig's context"
    )]
    Credentials {
        /// The server.
        address: String,
        /// HTTP status.
        code: u16,
        /// Its message.
        detail: String,
    },
    /// It answers with something else.
    #[error("the API server at {address} does not answer as one: {detail}; check the address")]
    Unexpected {
        /// The server.
        address: String,
        /// What came.
        detail: String,
    },
}

/// What `/version` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerVersion {
    /// Such as `v1.36.1`.
    pub git_version: String,
}

impl ApiClient {
    /// Reads the configuration and makes a client. Nothing is sent before the first request.
    ///
    /// # Errors
    /// When there is no usable configuration.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let config = load(options.kubeconfig.as_deref(), options.context.as_deref()).await?;
        Self::from_config(&config, options)
    }

    /// A client from kube's configuration.
    ///
    /// # Errors
    /// When its certificates or credentials cannot be used.
    pub fn from_config(config: &kube::Config, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let wrong = |error: kube::Error| ConnectError::Client {
            address: config.cluster_url.to_string(),
            detail: error.to_string(),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(config.connect_timeout);
        let connector = config
            .rustls_https_connector_with_connector(connector)
            .map_err(wrong)?;
        let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        let extra_headers = config.extra_headers_layer().map_err(wrong)?;
        let service = ServiceBuilder::new()
            .layer(extra_headers)
            .map_err(BoxError::from)
            .service(pool);
        let transport = match config.auth_layer().map_err(wrong)? {
            Some(auth) => boxed_transport(auth.layer(service)),
            None => boxed_transport(service),
        };
        Ok(Self::new(
            transport,
            config.cluster_url.clone(),
            &options.user_agent,
            options.request_timeout,
        ))
    }

    /// Asks the server for its version, to tell early and in plain words why it cannot be used.
    ///
    /// # Errors
    /// When it cannot be reached, trusted or understood, or does not accept the credentials.
    pub async fn check(&self) -> Result<ServerVersion, ConnectError> {
        let address = self.address();
        let request = http::Request::get("/version")
            .body(Bytes::new())
            .map_err(|error| RequestError::Transport(TransportError::Request(error)));
        let answer = match request {
            Ok(request) => self.exchange(request).await.map(|(_code, body)| body),
            Err(error) => Err(error),
        };
        match answer {
            Ok(body) => serde_json::from_slice(&body).map_err(|error| ConnectError::Unexpected {
                address,
                detail: format!("/version: {error}"),
            }),
            Err(RequestError::Transport(TransportError::Tls { cause, .. })) => Err(ConnectError::Tls {
                address,
                detail: cause,
            }),
            Err(RequestError::Transport(TransportError::Unreachable { cause, .. })) => {
                Err(ConnectError::Unreachable {
                    address,
                    detail: cause,
                })
            }
            Err(RequestError::Transport(error)) => Err(ConnectError::Unreachable {
                address,
                detail: error.to_string(),
            }),
            Err(RequestError::Refused(error)) if error.kind == ApiErrorKind::Forbidden => {
                Err(ConnectError::Credentials {
                    address,
                    code: error.code,
                    detail: error.message,
                })
            }
            Err(RequestError::Refused(error)) => Err(ConnectError::Unexpected {
                address,
                detail: error.message,
            }),
        }
    }
}

/// The named kubeconfig, or what the environment offers.
async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<kube::Config, ConnectError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = kubeconfig {
        let wrong = |source| ConnectError::Kubeconfig {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let file = Kubeconfig::read_from(path).map_err(wrong)?;
        return kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(wrong);
    }
    match kube::Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        Err(outside) if context.is_some() => Err(ConnectError::NoConfig(outside.to_string())),
        Err(outside) => kube::Config::incluster().map_err(|_| ConnectError::NoConfig(outside.to_string())),
    }
}
