//! Waiting for states by asking again, with a limit and a last word on what was there.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a state may take to come about before a test gives up. Generous, because it
/// only decides how long a failing test takes.
pub const LIMIT: Duration = Duration::from_secs(180);

/// Asks until `holds`, every 20 ms.
///
/// # Errors
/// When [`LIMIT`] has passed, with the last answer; errors of single tries count as "not yet".
pub async fn until<T, F, Fut>(what: &str, ask: F, holds: impl Fn(&T) -> bool) -> Result<T>
where
    T: Debug,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + LIMIT;
    let mut last = String::from("nothing asked");
    while Instant::now() < deadline {
        match ask().await {
            Ok(answer) if holds(&answer) => return Ok(answer),
            Ok(answer) => last = format!("{answer:#?}"),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("waited {LIMIT:?} for: {what}; last seen: {last}")
}
