//! One version of a module at work: its client, its subscription, its instances.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_cluster::footprint::Footprint;
use windlass_cluster::lister::Lister;
use windlass_cluster::module_client::{
    CallObserver, CallTrace, ModuleClient, ModuleClientConfig, ModuleClientError, SentCall,
};
use windlass_cluster::subscription::Subscription;
use windlass_cluster::tenants::CrowdedOut;
use windlass_core::gate::{CacheProgress, Presence, Write};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::outcome::GuestFailure;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::seams::{ApiRequest, DeltaBatch, EventSink, Guest, Services, SyncId};
use windlass_engine::ambient::SystemAmbient;
use windlass_telemetry::api_calls::ApiCall;
use windlass_telemetry::otlp::ModuleTracer;

use crate::calls::Calls;
use crate::controller::Controller;
use crate::events::PermittedEvents;
use crate::grace::Grace;
use crate::host::Surroundings;
use crate::instances::Instances;
use crate::mandate::Authority;
use crate::module::Module;
use crate::permissions;
use crate::record;
use crate::record::log::Log;
use crate::record::recorder::Session;
use crate::record::shadow::{self, LiveSession};
use crate::run::{Caches, DeltaSource, Engagement, LoopEnd, Orders, Timing};
use crate::traces;

/// A module with everything its instances need.
pub(crate) struct Version {
    pub(crate) module: Arc<Module>,
    controller: Arc<Controller>,
    surroundings: Surroundings,
    client: ModuleClient,
    calls: Calls,
    authority: Authority,
    events: Arc<dyn EventSink>,
    writes: Arc<Writes>,
}

/// How a run ended. The subscription is kept until the next one exists, so that shared
/// informers go on in between.
pub(crate) struct Ended {
    pub(crate) end: LoopEnd,
    pub(crate) subscription: Option<Subscription>,
}

impl Version {
    pub(crate) fn new(
        module: Arc<Module>,
        controller: Arc<Controller>,
        surroundings: &Surroundings,
        authority: Authority,
    ) -> Result<Self, ModuleClientError> {
        let writes = Arc::new(Writes {
            controller: Arc::clone(&controller),
            lister: ArcSwapOption::empty(),
            tracer: traces::of(&surroundings.tracer, &module, &surroundings.client.address()),
        });
        let config = ModuleClientConfig {
            module: module.name.clone(),
            field_manager: module.field_manager.clone(),
            event_source: module.event_source.clone(),
            grants: module.grants.clone(),
            qps: module.api_rate.qps,
            burst: module.api_rate.burst,
            seat: surroundings.seat.clone(),
            max_in_flight: module.api_in_flight,
            impersonate: module.impersonate.clone(),
            tenure: authority.tenure().cloned(),
        };
        let observer: Arc<dyn CallObserver> = writes.clone();
        let client = ModuleClient::new(surroundings.client.clone(), config, Some(observer))?;
        let calls = Calls::new(
            module.name.clone(),
            Arc::new(client.clone()),
            surroundings.tap.clone(),
            Arc::clone(&controller.outstanding),
        );
        Ok(Self {
            events: Arc::new(PermittedEvents {
                permits: Arc::clone(client.permits()),
                sink: surroundings.events.of(&module.event_source),
            }),
            surroundings: surroundings.clone(),
            module,
            controller,
            client,
            calls,
            authority,
            writes,
        })
    }

    /// What it reads and could not under these grants.
    pub(crate) fn unreadable_under(&self, grants: &Grants) -> Vec<PermissionRule> {
        permissions::no_longer_readable(
            &self.module.guest.manifest,
            &self.client.permits().grants(),
            grants,
        )
    }

    /// Changes what it may do, from its next call on. What it reads of the caches stays as
    /// it was when it started.
    pub(crate) fn set_grants(&self, grants: Grants) {
        self.client.permits().set_grants(grants);
    }

    /// Runs one guest to its end, `kill` being the sudden one, and puts the keys it
    /// leaves behind back. `started` is called when the instance could serve.
    pub(crate) async fn run(
        self: Arc<Self>,
        orders: Orders,
        kill: CancellationToken,
        grace: Grace,
        started: impl FnOnce(),
    ) -> Ended {
        let without_subscription = |end| Ended {
            end,
            subscription: None,
        };
        if self.module.entry.shadow {
            return without_subscription(tokio::select! {
                end = self.run_shadow(&orders, started) => end,
                () = kill.cancelled() => LoopEnd::Failed(GuestFailure::Stopped),
            });
        }
        let mut subscription = match self.subscribe() {
            Ok(subscription) => subscription,
            Err(failure) => return without_subscription(LoopEnd::Failed(failure)),
        };
        let no_room = self.no_room(&subscription);
        let id = self.controller.next_run();
        let mut drivers = JoinSet::new();
        let end = tokio::select! {
            end = self.run_guest(id, &mut subscription, &mut drivers, &orders, &grace, started) => end,
            () = kill.cancelled() => LoopEnd::Failed(GuestFailure::Stopped),
            failure = no_room => LoopEnd::Failed(failure),
        };
        // No instance makes another call from here on.
        drivers.shutdown().await;
        // In this order: an answer that comes late belongs to a key that is still in flight.
        self.controller.outstanding.settled().await;
        if let LoopEnd::Failed(failure) = &end {
            self.controller.blame(id, failure);
        }
        self.controller.requeue_in_flight(id);
        let is_final = matches!(&end, LoopEnd::Failed(failure) if failure.is_final());
        Ended {
            end,
            subscription: (!is_final).then_some(subscription),
        }
    }

    fn subscribe(&self) -> Result<Subscription, GuestFailure> {
        let watches = &self.module.guest.manifest.watches;
        let grants = self.client.permits().grants();
        let informers = &self.surroundings.informers;
        informers
            .subscribe_within(&self.module.name, watches, &grants)
            .map_err(|error| GuestFailure::Start(error.to_string()))
    }

    /// Waits until a subscription needs more of the caches than it may, or has to go because
    /// all caches together hold too much.
    fn no_room(&self, subscription: &Subscription) -> impl Future<Output = GuestFailure> + use<> {
        let footprint = subscription.footprint();
        let crowded_out = subscription.crowded_out();
        let limit_bytes = self.module.cached_bytes;
        async move {
            tokio::select! {
                failure = past_cache_limit(&footprint, limit_bytes) => failure,
                crowded = crowded_out => caches_full(crowded),
            }
        }
    }

    /// Records the instance that is about to begin, if somebody wants it.
    fn session(&self) -> Option<Session> {
        let Surroundings {
            recorder, shadows, ..
        } = &self.surroundings;
        let mut sinks = shadows.begin(&self.module);
        if let Some(file) = recorder
            .as_ref()
            .and_then(|recorder| recorder.begin(&self.module))
        {
            sinks.push(Box::new(file));
        }
        (!sinks.is_empty()).then(|| Session::new(Log::new(sinks)))
    }

    /// Follows the instances that serve beside this module.
    async fn run_shadow(&self, orders: &Orders, started: impl FnOnce()) -> LoopEnd {
        started();
        tokio::select! {
            () = orders.drain.cancelled() => LoopEnd::Stopped,
            failure = self.follow(orders) => LoopEnd::Failed(failure),
        }
    }

    /// Ends with the first that has no room.
    async fn follow(&self, orders: &Orders) -> GuestFailure {
        orders.go.cancelled().await;
        let mut sessions = self.surroundings.shadows.follow(&self.module);
        // Side by side, because what serves may have several instances.
        let mut followed = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(session) = sessions.recv() => followed.push(self.run_beside(session)),
                Some(ended) = followed.next() => {
                    if let Err(failure) = ended {
                        return failure;
                    }
                }
                // Nobody is left who could begin one.
                else => std::future::pending().await,
            }
        }
    }

    /// Follows one instance. Where none serves there is nothing to follow, and no cache is
    /// needed.
    async fn run_beside(&self, session: LiveSession) -> Result<(), GuestFailure> {
        let mut subscription = self.subscribe()?;
        let no_room = self.no_room(&subscription);
        let services = self.services(subscription.lister());
        let (filled, wait) = oneshot::channel();
        let follow = async {
            // What it asks beyond the log is answered by caches that have to be there.
            let _ = wait.await;
            shadow::run(&self.surroundings.shadows, &self.module, services, session).await;
        };
        tokio::select! {
            () = follow => Ok(()),
            failure = no_room => Err(failure),
            never = keep_filled(&mut subscription, filled) => match never {},
        }
    }

    /// What an instance is given.
    fn services(&self, lister: Arc<Lister>) -> Services {
        Services {
            reader: lister,
            writer: Arc::new(self.calls.clone()),
            events: Arc::clone(&self.events),
            queue: self.controller.clone(),
            discovery: Arc::clone(&self.surroundings.discovery),
            ambient: Arc::new(SystemAmbient),
            config: self.module.config.clone(),
        }
    }

    /// An instance, recorded if somebody wants it.
    async fn instantiate(
        &self,
        services: Services,
    ) -> Result<(Box<dyn Guest>, BoxFuture<'static, GuestFailure>), GuestFailure> {
        let session = self.session();
        let services = match &session {
            Some(session) => session.services(services),
            None => services,
        };
        let limits = self.module.limits.clone();
        let usage = Arc::clone(&self.controller.usage);
        let (instance, driver) = self.module.guest.instantiate(services, limits, usage).await?;
        Ok(record::attach(session, instance, driver))
    }

    /// As many instances as the module has, called as one, and what polls them. Several run
    /// beside each other, in tasks of `drivers`; one is polled by whoever calls it, so that
    /// a call costs no switch of threads.
    async fn guest(
        &self,
        services: Services,
        drivers: &mut JoinSet<GuestFailure>,
    ) -> Result<(Box<dyn Guest>, BoxFuture<'static, GuestFailure>), GuestFailure> {
        let count = self.module.concurrency.instances;
        if count == 1 {
            return self.instantiate(services).await;
        }
        let mut guests = Vec::new();
        for _ in 0..count {
            let (guest, driver) = self.instantiate(services.clone()).await?;
            guests.push(guest);
            drivers.spawn(driver);
        }
        let guests = Instances::new(guests);
        let closed = guests.closed();
        Ok((Box::new(guests), closed))
    }

    async fn run_guest(
        &self,
        id: u64,
        subscription: &mut Subscription,
        drivers: &mut JoinSet<GuestFailure>,
        orders: &Orders,
        grace: &Grace,
        started: impl FnOnce(),
    ) -> LoopEnd {
        let lister = subscription.lister();
        self.writes.lister.store(Some(Arc::clone(&lister)));
        let services = self.services(Arc::clone(&lister));
        let (guest, driver) = match self.guest(services, drivers).await {
            Ok(guest) => guest,
            Err(failure) => return LoopEnd::Failed(failure),
        };
        let caches = Caches {
            reader: lister.clone(),
            progress: lister,
            progressed: subscription.progressed(),
        };
        let job = Engagement {
            id,
            controller: &self.controller,
            guest: &*guest,
            manifest: &self.module.guest.manifest,
            caches: &caches,
            authority: &self.authority,
            concurrency: self.module.concurrency,
            timing: Timing {
                start_timeout: self.module.start_timeout(),
                grace: grace.clone(),
            },
            tracer: self.writes.tracer.as_ref(),
        };
        tokio::select! {
            biased;
            end = job.run(subscription, started, orders) => end,
            failure = driver => LoopEnd::Failed(failure),
        }
    }
}

/// Takes all changes and forgets them, so that the caches stay filled; says when they are.
async fn keep_filled(subscription: &mut Subscription, filled: oneshot::Sender<()>) -> Infallible {
    let mut filled = Some(filled);
    loop {
        if subscription.has_synced()
            && let Some(filled) = filled.take()
        {
            // Who does not wait for it any more is about to go.
            let _ = filled.send(());
        }
        DeltaSource::next(subscription).await;
    }
}

/// Waits until the watches need more of the caches than they may.
async fn past_cache_limit(footprint: &Footprint, limit_bytes: Option<usize>) -> GuestFailure {
    let Some(limit_bytes) = limit_bytes else {
        return std::future::pending().await;
    };
    GuestFailure::CachedBytes {
        cached_bytes: footprint.exceeds(limit_bytes).await,
        limit_bytes,
    }
}

/// How an instance ends whose subscription has to go.
pub(crate) fn caches_full(crowded: CrowdedOut) -> GuestFailure {
    GuestFailure::CachesFull {
        cached_bytes: crowded.cached_bytes,
        limit_bytes: crowded.limit_bytes,
        share_bytes: crowded.share_bytes,
    }
}

impl DeltaSource for Subscription {
    async fn next(&mut self) -> Vec<DeltaBatch> {
        Self::next(self).await
    }

    fn has_synced(&self) -> bool {
        Self::has_synced(self)
    }

    fn waiting(&self) -> usize {
        Self::waiting(self)
    }
}

/// Joins a module's calls to the syncs that made them, and counts them.
struct Writes {
    controller: Arc<Controller>,
    /// Of the latest instance.
    lister: ArcSwapOption<Lister>,
    tracer: Option<ModuleTracer>,
}

impl CallObserver for Writes {
    fn trace(&self, sync: SyncId, request: &ApiRequest) -> Option<Box<dyn CallTrace>> {
        traces::call(self.tracer.as_ref()?, &self.controller, sync, request)
    }

    fn called(&self, call: SentCall<'_>) {
        self.controller.calls.record(ApiCall {
            verb: call.request.verb.name(),
            resource: &call.request.resource,
            subresource: &call.request.subresource,
            code: call.code,
            duration: call.duration,
            throttled: call.throttled,
            budget_wait: call.budget_wait,
        });
    }

    fn shown_revision(&self, resource: &Resource, key: &ObjectKey) -> u64 {
        let lister = self.lister.load();
        match lister.as_ref().map(|lister| lister.shows(resource, key, "")) {
            Some(Presence::Present { revision, .. }) => revision,
            Some(Presence::Absent) | None => 0,
        }
    }

    fn wrote(&self, sync: SyncId, write: Write) {
        if let Some(key) = self.controller.key_of(sync) {
            self.controller.gate.record(&key, write, Instant::now());
        }
    }
}
