//! What grows old: events live an hour, past revisions are forgotten, and what watches
//! are unlikely to resume from is packed.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Api;

const EVENT_LIFETIME: Duration = Duration::from_secs(60 * 60);
const PERIOD: Duration = Duration::from_secs(60);

/// Runs until the server drains.
pub(crate) async fn run(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = api.draining.cancelled() => return,
            () = api.store.pack() => continue,
            _ = ticks.tick() => {}
        }
        api.store.checkpoint(EVENT_LIFETIME);
        expire_events(&api);
    }
}

/// Removes events that were last written before their lifetime began.
fn expire_events(api: &Api) {
    let oldest = api.store.revision_before(EVENT_LIFETIME);
    let Some(events) = api.registry.known().events.collection().filter(|_| oldest > 0) else {
        return;
    };
    for event in events.list(None, &|event| event.revision() <= oldest).0 {
        // One that was written meanwhile begins a new life.
        let _ = events.remove(event.key(), event.revision());
    }
}
