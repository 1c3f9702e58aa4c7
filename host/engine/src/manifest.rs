//! Turns what a guest says about itself into a manifest that the host can act on.
//!
//! Everything that can be wrong is refused here, by name, so that nobody after this has
//! to ask what a manifest might hold.

use smol_str::SmolStr;
use windlass_core::key::Resource;
use windlass_core::manifest::{
    EnqueueRule, EventKinds, IndexSpec, Manifest, OrphanRule, View, WatchSpec, WatchTarget,
};
use windlass_core::permission::PermissionRule;

use crate::bindings::windlass::controller::manifest as wit;
use crate::load::OptionalExports;

/// Most syncs that one instance may have in flight.
pub const MAX_WORKERS: u32 = 1_000;
/// Most watches of one guest.
pub const MAX_WATCHES: usize = 256;

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ManifestError {
    /// Such as `watches[1].indexes[0].path`.
    pub place: String,
    /// For people.
    pub problem: String,
}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> ManifestError {
    ManifestError {
        place: place.into(),
        problem: problem.into(),
    }
}

/// Converts and checks.
pub(crate) fn from_guest(
    manifest: wit::Manifest,
    exports: OptionalExports,
) -> Result<Manifest, ManifestError> {
    check_name(&manifest.name)?;
    if !(1..=MAX_WORKERS).contains(&manifest.workers) {
        return Err(wrong(
            "workers",
            format!("{} is not between 1 and {MAX_WORKERS}", manifest.workers),
        ));
    }
    if manifest.watches.len() > MAX_WATCHES {
        return Err(wrong(
            "watches",
            format!(
                "{} watches, at most {MAX_WATCHES} are possible",
                manifest.watches.len()
            ),
        ));
    }
    let watches: Vec<WatchSpec> = manifest.watches.into_iter().map(watch).collect();
    for (position, watch) in watches.iter().enumerate() {
        WatchCheck {
            place: format!("watches[{position}]"),
            watch,
            exports,
            first: watches.first(),
        }
        .run()?;
    }
    let permissions: Vec<PermissionRule> = manifest.permissions.into_iter().map(permission).collect();
    for (position, rule) in permissions.iter().enumerate() {
        check_permission(&format!("permissions[{position}]"), rule)?;
    }
    Ok(Manifest {
        name: manifest.name.into(),
        version: manifest.version.into(),
        watches,
        // One that blocks takes one key at a time, so others need not be under way to it.
        workers: if exports.blocking { 1 } else { manifest.workers },
        permissions,
        api_qps: manifest.api_qps,
        api_burst: manifest.api_burst,
    })
}

fn check_name(name: &str) -> Result<(), ManifestError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = name.as_bytes();
    if bytes.len() <= 63 && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
    {
        return Ok(());
    }
    let rule = "use at most 63 lower-case letters, digits and dashes, with no dash at either end";
    Err(wrong(
        "name",
        format!("{name:?} is not a controller name: {rule}"),
    ))
}

fn check_permission(place: &str, rule: &PermissionRule) -> Result<(), ManifestError> {
    for (field, list) in [
        ("groups", &rule.api_groups),
        ("resources", &rule.resources),
        ("verbs", &rule.verbs),
    ] {
        if list.is_empty() {
            return Err(wrong(
                format!("{place}.{field}"),
                "is empty, so the rule allows nothing",
            ));
        }
    }
    Ok(())
}

struct WatchCheck<'a> {
    place: String,
    watch: &'a WatchSpec,
    exports: OptionalExports,
    first: Option<&'a WatchSpec>,
}

impl WatchCheck<'_> {
    fn run(&self) -> Result<(), ManifestError> {
        match &self.watch.target {
            WatchTarget::One(resource) => self.resource(resource)?,
            WatchTarget::Discovered { except } => self.discovered(except)?,
        }
        self.enqueue()?;
        if self.watch.observe && !self.exports.observer {
            return Err(self.wrong("observe", "is set, but the component does not export `observer`"));
        }
        self.view()?;
        self.indexes()
    }

    fn wrong(&self, field: &str, problem: impl Into<String>) -> ManifestError {
        wrong(format!("{}.{field}", self.place), problem)
    }

    fn resource(&self, resource: &Resource) -> Result<(), ManifestError> {
        if resource.version.is_empty() || resource.plural.is_empty() {
            return Err(self.wrong("target", "a resource needs a version and a plural name"));
        }
        Ok(())
    }

    fn discovered(&self, except: &[SmolStr]) -> Result<(), ManifestError> {
        if let Some(entry) = except.iter().find(|entry| !entry.contains('/')) {
            return Err(self.wrong("target", format!("{entry:?} is not of the form `group/plural`")));
        }
        if self.watch.view != View::Metadata {
            return Err(self.wrong("view", "must be `metadata` for discovered resources"));
        }
        if self.watch.enqueue != EnqueueRule::None {
            return Err(self.wrong("enqueue", "must be `none` for discovered resources"));
        }
        if !self.watch.indexes.is_empty() {
            return Err(self.wrong(
                "indexes",
                "must be empty for discovered resources: the lister cannot read them",
            ));
        }
        Ok(())
    }

    fn enqueue(&self) -> Result<(), ManifestError> {
        let on = self.watch.on;
        if self.watch.enqueue != EnqueueRule::None && !(on.added || on.updated || on.deleted) {
            return Err(self.wrong("on", "names no event, so the enqueue rule never applies"));
        }
        match &self.watch.enqueue {
            EnqueueRule::None | EnqueueRule::SelfKey => Ok(()),
            EnqueueRule::Mapper if self.exports.mapper => Ok(()),
            EnqueueRule::Mapper => Err(self.wrong(
                "enqueue",
                "is `mapper`, but the component does not export `mapper`",
            )),
            EnqueueRule::Owner { kind, .. } if kind.is_empty() => {
                Err(self.wrong("enqueue", "an owner rule needs a kind"))
            }
            EnqueueRule::Owner {
                orphans: OrphanRule::Ignore,
                ..
            } => Ok(()),
            EnqueueRule::Owner {
                orphans: OrphanRule::MatchingSelectors,
                ..
            } => match self.first {
                Some(WatchSpec {
                    target: WatchTarget::One(_),
                    ..
                }) => Ok(()),
                _ => Err(self.wrong("enqueue", "`matching-selectors` needs one resource as watch 0")),
            },
        }
    }

    fn view(&self) -> Result<(), ManifestError> {
        let View::Fields(paths) = &self.watch.view else {
            return Ok(());
        };
        match paths.iter().find(|path| !is_path(path)) {
            Some(path) => Err(self.wrong("view", not_a_path(path))),
            None => Ok(()),
        }
    }

    fn indexes(&self) -> Result<(), ManifestError> {
        for (position, index) in self.watch.indexes.iter().enumerate() {
            let field = |name: &str| format!("indexes[{position}].{name}");
            if index.name.is_empty() {
                return Err(self.wrong(&field("name"), "is empty"));
            }
            if self
                .watch
                .indexes
                .iter()
                .take(position)
                .any(|other| other.name == index.name)
            {
                return Err(self.wrong(&field("name"), format!("{:?} is declared twice", index.name)));
            }
            if !is_path(&index.path) {
                return Err(self.wrong(&field("path"), not_a_path(&index.path)));
            }
        }
        Ok(())
    }
}

fn is_path(path: &str) -> bool {
    path.split('.').all(|segment| !segment.is_empty())
}

fn not_a_path(path: &str) -> String {
    format!("{path:?} is not a path such as `spec.nodeName`")
}

fn small(list: Vec<String>) -> Vec<SmolStr> {
    list.into_iter().map(SmolStr::from).collect()
}

fn permission(rule: wit::Permission) -> PermissionRule {
    PermissionRule {
        api_groups: small(rule.groups),
        resources: small(rule.resources),
        verbs: small(rule.verbs),
        ..PermissionRule::default()
    }
}

fn watch(watch: wit::Watch) -> WatchSpec {
    WatchSpec {
        target: match watch.target {
            wit::WatchTarget::One(resource) => WatchTarget::One(Resource::new(
                &resource.group,
                &resource.version,
                &resource.plural,
            )),
            wit::WatchTarget::Discovered(except) => WatchTarget::Discovered {
                except: small(except),
            },
        },
        label_selector: watch.label_selector,
        view: match watch.view {
            wit::View::Full => View::Full,
            wit::View::Fields(paths) => View::Fields(small(paths)),
            wit::View::Metadata => View::Metadata,
        },
        enqueue: enqueue_rule(watch.enqueue),
        on: EventKinds {
            added: watch.on.contains(wit::EventKinds::ADDED),
            updated: watch.on.contains(wit::EventKinds::UPDATED),
            deleted: watch.on.contains(wit::EventKinds::DELETED),
        },
        observe: watch.observe,
        old_bodies: watch.old_bodies,
        indexes: watch
            .indexes
            .into_iter()
            .map(|index| IndexSpec {
                name: index.name.into(),
                path: index.path.into(),
            })
            .collect(),
    }
}

fn enqueue_rule(rule: wit::EnqueueRule) -> EnqueueRule {
    match rule {
        wit::EnqueueRule::None => EnqueueRule::None,
        wit::EnqueueRule::Itself => EnqueueRule::SelfKey,
        wit::EnqueueRule::Mapper => EnqueueRule::Mapper,
        wit::EnqueueRule::Owner(owner) => EnqueueRule::Owner {
            group: owner.group.into(),
            kind: owner.kind.into(),
            orphans: match owner.orphans {
                wit::OrphanRule::Ignore => OrphanRule::Ignore,
                wit::OrphanRule::MatchingSelectors => OrphanRule::MatchingSelectors,
            },
        },
    }
}

#[cfg(test)]
mod tests;
