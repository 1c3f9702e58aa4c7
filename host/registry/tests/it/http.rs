//! A client without opinions, to put into a registry what the crate would not.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use windlass_registry::digest::Digest;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One request on a connection of its own. Answers in chunks are not understood.
pub(crate) async fn request(host: &str, method: &str, path: &str, media_type: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: {media_type}\r\nContent-Type: \
         {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: answer[end + 4..].to_vec(),
        head,
    }
}

/// Puts a blob into a repository.
pub(crate) async fn put_blob(host: &str, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let begun = request(host, "POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"").await;
    let location = begun.header("location").unwrap();
    let path = location
        .split_once("//")
        .map_or(location, |(_, rest)| &rest[rest.find('/').unwrap()..]);
    let put = request(
        host,
        "PUT",
        &format!("{path}&digest={digest}"),
        "application/octet-stream",
        content,
    )
    .await;
    assert_eq!(put.status, 201, "{}", String::from_utf8_lossy(&put.body));
    digest
}

/// Puts a manifest into a repository, under a tag or its digest.
pub(crate) async fn put_manifest(host: &str, repository: &str, name: &str, media_type: &str, content: &[u8]) {
    let path = format!("/v2/{repository}/manifests/{name}");
    let put = request(host, "PUT", &path, media_type, content).await;
    assert_eq!(put.status, 201, "{}", String::from_utf8_lossy(&put.body));
}

/// A manifest by tag or digest.
pub(crate) async fn get_manifest(host: &str, repository: &str, name: &str) -> Vec<u8> {
    let path = format!("/v2/{repository}/manifests/{name}");
    let answer = request(
        host,
        "GET",
        &path,
        "application/vnd.oci.image.manifest.v1+json",
        b"",
    )
    .await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.body
}
