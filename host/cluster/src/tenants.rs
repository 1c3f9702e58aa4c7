//! Who uses the shared caches, what each is charged for them, and who has to go when all
//! of them together hold more than they may.
//!
//! The bytes of a cache are charged in equal parts to the modules that watch its resource,
//! so that the shares of all modules add up to what the caches hold. Past the limit the
//! module with the largest share is told to leave, of those that still wait for a list if
//! there are any: what serves already is kept before what comes. Lists wait meanwhile, and
//! the next module is told only when the room of the one before has come free. A cache
//! that the host itself needs is charged to nobody, because nobody's leaving would free it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use smol_str::SmolStr;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_core::key::Resource;

use crate::budget::Budget;
use crate::informer::AttachmentId;
use crate::registry::Shared;

/// Between two looks at what nothing tells of.
const PERIOD: Duration = Duration::from_millis(100);

/// All caches hold more than they may, and this is whom it costs its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrowdedOut {
    /// What all caches hold.
    pub cached_bytes: usize,
    /// What they may.
    pub limit_bytes: usize,
    /// What of it is charged to the module.
    pub share_bytes: usize,
}

/// What all caches hold, and on whose account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Bytes of all cached objects.
    pub bytes: usize,
    /// What they may be; unset: anything.
    pub limit_bytes: Option<usize>,
    /// What of it is charged to each module.
    pub shares: BTreeMap<SmolStr, usize>,
}

/// A subscription, as long as it is there.
pub(crate) struct Tenant {
    /// Unset: the host itself.
    pub(crate) module: Option<SmolStr>,
    pub(crate) ones: Vec<(Resource, AttachmentId)>,
    pub(crate) discovered: Vec<u64>,
    told: watch::Sender<Option<CrowdedOut>>,
    left: CancellationToken,
}

/// All tenants.
#[derive(Default)]
pub(crate) struct Tenants {
    present: BTreeMap<u64, Tenant>,
    last_id: u64,
}

impl Tenants {
    /// Gives a tenant its number, and what it is told by.
    pub(crate) fn enter(
        &mut self,
        module: Option<SmolStr>,
        ones: Vec<(Resource, AttachmentId)>,
        discovered: Vec<u64>,
    ) -> (u64, watch::Receiver<Option<CrowdedOut>>) {
        let (told, receiver) = watch::channel(None);
        let tenant = Tenant {
            module,
            ones,
            discovered,
            told,
            left: CancellationToken::new(),
        };
        self.last_id += 1;
        self.present.insert(self.last_id, tenant);
        (self.last_id, receiver)
    }

    /// Everything that a tenant held has been let go.
    pub(crate) fn leave(&mut self, id: u64) {
        if let Some(tenant) = self.present.remove(&id) {
            tenant.left.cancel();
        }
    }

    fn tell(&mut self, ids: &[u64], crowded: CrowdedOut) -> Vec<CancellationToken> {
        let tell = |id: &u64| {
            let tenant = self.present.get(id)?;
            tenant.told.send_replace(Some(crowded));
            Some(tenant.left.clone())
        };
        ids.iter().filter_map(tell).collect()
    }
}

/// A tenant at one moment.
struct Seen {
    id: u64,
    module: Option<SmolStr>,
    attached: Vec<(Resource, AttachmentId)>,
    was_told: bool,
    /// Whether it waits for a list that is under way.
    waits: bool,
}

impl Shared {
    /// What all caches hold, and on whose account.
    pub(crate) fn cache_use(&self) -> CacheUse {
        CacheUse {
            bytes: self.budget.used(),
            limit_bytes: self.budget.limit(),
            shares: shares(&self.tenants_seen(), |resource| self.bytes_of(resource)),
        }
    }

    fn tenants_seen(&self) -> Vec<Seen> {
        let known: Vec<(Seen, Vec<u64>)> = {
            let tenants = self.tenants.lock();
            let seen = |(id, tenant): (&u64, &Tenant)| {
                let seen = Seen {
                    id: *id,
                    module: tenant.module.clone(),
                    attached: tenant.ones.clone(),
                    was_told: tenant.told.borrow().is_some(),
                    waits: false,
                };
                (seen, tenant.discovered.clone())
            };
            tenants.present.iter().map(seen).collect()
        };
        let complete = |(mut seen, discovered): (Seen, Vec<u64>)| {
            seen.attached.extend(self.followed_resources(&discovered));
            let mut attached = seen.attached.iter();
            seen.waits = attached.any(|(resource, id)| self.is_awaited_by(resource, *id));
            seen
        };
        known.into_iter().map(complete).collect()
    }

    /// Tells the module that has to go. Gives what is cancelled when it has let go;
    /// nothing when nobody's going would help.
    fn crowd_out(&self) -> Option<Vec<CancellationToken>> {
        let seen = self.tenants_seen();
        let shares = shares(&seen, |resource| self.bytes_of(resource));
        let (module, ids) = choose(&seen, &shares)?;
        let crowded = CrowdedOut {
            cached_bytes: self.budget.used(),
            limit_bytes: self.budget.limit()?,
            share_bytes: shares.get(&module).copied().unwrap_or_default(),
        };
        warn!(
            controller = %module,
            bytes = crowded.cached_bytes,
            limit = crowded.limit_bytes,
            share = crowded.share_bytes,
            "all caches together are past their limit; the module with the largest share goes"
        );
        Some(self.tenants.lock().tell(&ids, crowded))
    }
}

/// What of the caches is charged to each module.
fn shares(tenants: &[Seen], bytes_of: impl Fn(&Resource) -> usize) -> BTreeMap<SmolStr, usize> {
    let mut users: HashMap<&Resource, BTreeSet<Option<&SmolStr>>> = HashMap::new();
    for tenant in tenants {
        for (resource, _) in &tenant.attached {
            users.entry(resource).or_default().insert(tenant.module.as_ref());
        }
    }
    let mut shares: BTreeMap<SmolStr, usize> = BTreeMap::new();
    for (resource, users) in users {
        let share = if users.contains(&None) {
            0
        } else {
            bytes_of(resource) / users.len()
        };
        for module in users.into_iter().flatten() {
            *shares.entry(module.clone()).or_default() += share;
        }
    }
    shares
}

/// The module that has to go, and which of its subscriptions.
fn choose(tenants: &[Seen], shares: &BTreeMap<SmolStr, usize>) -> Option<(SmolStr, Vec<u64>)> {
    let present = || tenants.iter().filter(|tenant| !tenant.was_told);
    let someone_waits = present().any(|tenant| tenant.module.is_some() && tenant.waits);
    let candidates = || present().filter(|tenant| !someone_waits || tenant.waits);
    let share = |module: &SmolStr| shares.get(module).copied().unwrap_or_default();
    let module = candidates()
        .filter_map(|tenant| tenant.module.as_ref())
        // Nothing would come free by the end of one that is charged nothing.
        .filter(|module| someone_waits || share(module) > 0)
        .max_by_key(|module| (share(module), std::cmp::Reverse(*module)))?;
    let ids = candidates().filter(|tenant| tenant.module.as_ref() == Some(module));
    Some((module.clone(), ids.map(|tenant| tenant.id).collect()))
}

/// Sees to it that the caches hold no more than they may, until nobody uses them.
pub(crate) async fn enforce(shared: Weak<Shared>, budget: Arc<Budget>) {
    loop {
        budget.exceeds().await;
        let Some(present) = shared.upgrade() else { return };
        // In this order: what has gone meanwhile may have been enough.
        let leaving = if present.is_clearing() || !budget.is_exceeded() {
            None
        } else {
            present.crowd_out()
        };
        drop(present);
        match leaving {
            Some(leaving) => {
                for left in leaving {
                    left.cancelled().await;
                }
            }
            None => tokio::time::sleep(PERIOD).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(plural: &str) -> Resource {
        Resource::new("", "v1", plural)
    }

    fn tenant(id: u64, module: &str, resources: &[&str]) -> Seen {
        Seen {
            id,
            module: (!module.is_empty()).then(|| module.into()),
            attached: resources.iter().map(|plural| (resource(plural), 0)).collect(),
            was_told: false,
            waits: false,
        }
    }

    /// `pods` 900, `secrets` 200, `nodes` 50.
    fn bytes_of(resource: &Resource) -> usize {
        match resource.plural.as_str() {
            "pods" => 900,
            "secrets" => 200,
            "nodes" => 50,
            _ => 0,
        }
    }

    fn chosen(tenants: &[Seen]) -> Option<(SmolStr, Vec<u64>)> {
        choose(tenants, &shares(tenants, bytes_of))
    }

    #[test]
    fn a_cache_is_charged_in_equal_parts_to_the_modules_that_watch_it() {
        let tenants = [
            tenant(1, "a", &["pods", "secrets"]),
            tenant(2, "b", &["pods"]),
            // Two versions of one module are one module.
            tenant(3, "b", &["pods", "nodes"]),
            tenant(4, "c", &["pods", "services"]),
        ];
        let charged: Vec<(SmolStr, usize)> = shares(&tenants, bytes_of).into_iter().collect();
        assert_eq!(charged, [("a".into(), 500), ("b".into(), 350), ("c".into(), 300)]);
    }

    #[test]
    fn what_the_host_needs_itself_is_charged_to_nobody() {
        let tenants = [tenant(1, "", &["pods"]), tenant(2, "a", &["pods", "nodes"])];
        assert_eq!(shares(&tenants, bytes_of), BTreeMap::from([("a".into(), 50)]));
        assert_eq!(chosen(&tenants[..1]), None);
        let only_shared = [tenant(1, "", &["pods"]), tenant(2, "a", &["pods"])];
        assert_eq!(chosen(&only_shared), None, "its end would free nothing");
    }

    #[test]
    fn the_module_with_the_largest_share_goes_with_all_its_versions() {
        let mut tenants = vec![
            tenant(1, "a", &["pods"]),
            tenant(2, "b", &["pods"]),
            tenant(3, "b", &["pods"]),
            tenant(4, "c", &["secrets"]),
        ];
        assert_eq!(
            chosen(&tenants),
            Some(("a".into(), vec![1])),
            "of two alike the first by name"
        );
        tenants[0].was_told = true;
        assert_eq!(chosen(&tenants), Some(("b".into(), vec![2, 3])));
    }

    #[test]
    fn who_still_waits_for_a_list_goes_before_all_who_serve() {
        let mut tenants = vec![
            tenant(1, "large", &["pods", "secrets"]),
            tenant(2, "small", &["nodes"]),
            // The next version of one that serves, and of nothing yet.
            tenant(3, "large", &["pods", "services"]),
            tenant(4, "new", &["services"]),
        ];
        tenants[2].waits = true;
        assert_eq!(chosen(&tenants), Some(("large".into(), vec![3])));
        tenants[2].was_told = true;
        tenants[3].waits = true;
        assert_eq!(chosen(&tenants), Some(("new".into(), vec![4])));
    }
}
