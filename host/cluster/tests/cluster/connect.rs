//! From a kubeconfig to a client, over real sockets.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::{ConnectError, ConnectOptions};

fn kubeconfig(folder: &Path, server: &str) -> PathBuf {
    let path = folder.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{ name: k, cluster: {{ server: \"{server}\" }} }}]\n\
         users: [{{ name: u, user: {{ token: secret }} }}]\n\
         contexts: [{{ name: c, context: {{ cluster: k, user: u }} }}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn options(kubeconfig: PathBuf) -> ConnectOptions {
    ConnectOptions {
        kubeconfig: Some(kubeconfig),
        ..ConnectOptions::default()
    }
}

/// Answers each connection once with these bytes; gives the address and what was asked.
async fn answering(response: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let length = socket.read(&mut buffer).await.unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
            let _ = socket.write_all(response.as_bytes()).await;
        }
    });
    (address, receiver)
}

async fn check(server: &str) -> Result<String, ConnectError> {
    let folder = tempfile::tempdir().unwrap();
    let client = ApiClient::connect(&options(kubeconfig(folder.path(), server))).await?;
    client.check().await.map(|version| version.git_version)
}

#[tokio::test]
async fn a_server_that_works_says_its_version_and_gets_credentials() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"gitVersion\":\"v1.36.0\"}";
    let (address, mut requests) = answering(body).await;
    assert_eq!(check(&format!("http://{address}/base")).await.unwrap(), "v1.36.0");
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("get /base/version http/1.1"), "{request}");
    assert!(request.contains("authorization: bearer secret"));
    assert!(request.contains("accept-encoding: identity"));
    assert!(request.contains("user-agent: windlass/"));
}

#[tokio::test]
async fn an_address_where_nothing_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = check(&format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot reach the API server at http://{address}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_from_one_that_is_away() {
    let (address, _requests) = answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let error = check(&format!("https://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn refused_credentials_and_strange_answers_are_told_apart() {
    let (address, _requests) = answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(
        check(&format!("http://{address}")).await,
        Err(ConnectError::Credentials { code: 401, .. })
    ));
    let (address, _requests) = answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    assert!(matches!(
        check(&format!("http://{address}")).await,
        Err(ConnectError::Unexpected { .. })
    ));
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = ApiClient::connect(&options(missing.clone())).await.err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot use kubeconfig {}: ", missing.display())),
        "{error}"
    );
    let path = kubeconfig(folder.path(), "http://127.0.0.1:1");
    let options = ConnectOptions {
        context: Some("other".into()),
        ..options(path)
    };
    assert!(matches!(
        ApiClient::connect(&options).await,
        Err(ConnectError::Kubeconfig { .. })
    ));
}
