//! A way to the API server that can be cut: what a network partition is to one process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A forwarder of TCP connections on loopback. Ends when dropped.
pub struct Link {
    /// Where it listens.
    pub address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Link {
    /// Forwards to this address.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, _) = watch::channel(true);
        let open = Arc::new(open);
        let gate = Arc::clone(&open);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, target, gate.subscribe()));
            }
        });
        Ok(Self { address, open, task })
    }

    /// Nothing gets through any more, in either direction; connections stay open and silent.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Everything gets through again; connections of before the cut are closed.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut near: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        _ = open.wait_for(|open| !*open) => {}
    }
    // Held silently until the cut is over, then dropped.
    let _ = open.wait_for(|open| *open).await;
}
