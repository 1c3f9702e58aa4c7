//! From objects to modules: which run, with which entry, and which do not and why.
//!
//! Promises: an object that was refused keeps the last entry that was right, as long as
//! the host's configuration still lets it; another object of the same name begins anew; a
//! module of the file comes before an object of its name. Pure but for the memory of what
//! was right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::object::ControllerModule;
use crate::config::controller_modules::Refusal;
use crate::config::{HostConfiguration, ModuleEntry};

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Its module is as it says.
    Runs(Arc<ModuleEntry>),
    /// It was refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The last entry that was right, which goes on.
        last_good: Option<Arc<ModuleEntry>>,
    },
    /// It is on its way out, and its module with it.
    Ends,
}

/// An object and what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The object.
    pub object: Arc<ControllerModule>,
    /// What becomes of it.
    pub judgement: Judgement,
}

impl Judged {
    /// The module's entry, if it has a module.
    #[must_use]
    pub fn entry(&self) -> Option<&Arc<ModuleEntry>> {
        match &self.judgement {
            Judgement::Runs(entry) => Some(entry),
            Judgement::Refused { last_good, .. } => last_good.as_ref(),
            Judgement::Ends => None,
        }
    }
}

/// What was right, by object.
#[derive(Default)]
pub struct Roll {
    good: BTreeMap<SmolStr, Good>,
    /// What was refused last, and why, so that it is logged once.
    refused: BTreeMap<SmolStr, (i64, Refusal)>,
}

struct Good {
    uid: SmolStr,
    entry: Arc<ModuleEntry>,
}

impl Roll {
    /// Judges all objects there are, beside these modules of the file.
    pub fn call(
        &mut self,
        objects: &[Arc<ControllerModule>],
        file: &[ModuleEntry],
        configuration: &HostConfiguration,
    ) -> Vec<Judged> {
        let taken: BTreeSet<&SmolStr> = file.iter().map(|module| &module.name).collect();
        let present: BTreeMap<&SmolStr, &SmolStr> =
            objects.iter().map(|object| (&object.name, &object.uid)).collect();
        self.good
            .retain(|name, good| present.get(name).is_some_and(|uid| **uid == good.uid));
        self.refused.retain(|name, _| present.contains_key(name));
        let judged = objects.iter().map(|object| Judged {
            object: Arc::clone(object),
            judgement: self.judge(object, &taken, configuration),
        });
        judged.collect()
    }

    fn judge(
        &mut self,
        object: &ControllerModule,
        taken: &BTreeSet<&SmolStr>,
        configuration: &HostConfiguration,
    ) -> Judgement {
        if object.deleting {
            self.good.remove(&object.name);
            return Judgement::Ends;
        }
        let (settings, signatures) = (&configuration.controller_modules, &configuration.signatures);
        let asked = if taken.contains(&object.name) {
            Err(Refusal::NameTaken {
                name: object.name.clone(),
            })
        } else {
            settings.module(&object.name, &object.spec, signatures)
        };
        match asked {
            Ok(entry) => {
                self.refused.remove(&object.name);
                Judgement::Runs(self.remember(object, entry))
            }
            Err(refusal) => {
                let good = self.good.get(&object.name).map(|good| Arc::clone(&good.entry));
                let still = good
                    .filter(|_| !matches!(refusal, Refusal::NameTaken { .. }))
                    .and_then(|entry| settings.recheck(&entry, signatures).ok());
                let last_good = still.map(|entry| self.remember(object, entry));
                if last_good.is_none() {
                    self.good.remove(&object.name);
                }
                self.log(object, &refusal, last_good.is_some());
                Judgement::Refused { refusal, last_good }
            }
        }
    }

    /// The same entry stays the same allocation.
    fn remember(&mut self, object: &ControllerModule, entry: ModuleEntry) -> Arc<ModuleEntry> {
        let known = self.good.get(&object.name).map(|good| &good.entry);
        let entry = match known.filter(|known| ***known == entry) {
            Some(known) => Arc::clone(known),
            None => Arc::new(entry),
        };
        let good = Good {
            uid: object.uid.clone(),
            entry: Arc::clone(&entry),
        };
        self.good.insert(object.name.clone(), good);
        entry
    }

    fn log(&mut self, object: &ControllerModule, refusal: &Refusal, keeps: bool) {
        let now = (object.generation, refusal.clone());
        if self.refused.get(&object.name) == Some(&now) {
            return;
        }
        tracing::error!(
            controller = %object.name, generation = object.generation, reason = %refusal,
            "{}", if keeps { "ControllerModule rejected, its last good state goes on" } else { "ControllerModule rejected" }
        );
        self.refused.insert(object.name.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::SourceEntry;
    use crate::controller_modules::status::ControllerModuleStatus;

    fn object(name: &str, uid: &str, spec: Value) -> Arc<ControllerModule> {
        Arc::new(ControllerModule {
            name: name.into(),
            uid: uid.into(),
            generation: 1,
            resource_version: 1,
            deleting: false,
            spec,
            status: ControllerModuleStatus::default(),
        })
    }

    fn good(workers: u32) -> Value {
        json!({"source": {"stock": "deployment"}, "workers": workers})
    }

    fn bad() -> Value {
        good(0)
    }

    /// The workers of what runs, and the reason of a refusal.
    fn summary(judged: &[Judged]) -> Vec<(Option<u32>, Option<&'static str>)> {
        let reason = |judged: &Judged| match &judged.judgement {
            Judgement::Refused { refusal, .. } => Some(refusal.reason()),
            _ => None,
        };
        judged
            .iter()
            .map(|judged| (judged.entry().and_then(|entry| entry.workers), reason(judged)))
            .collect()
    }

    #[test]
    fn a_refused_change_leaves_what_was_right_and_a_right_one_takes_over() {
        let (mut roll, configuration) = (Roll::default(), HostConfiguration::default());
        let mut call = |spec| summary(&roll.call(&[object("a", "1", spec)], &[], &configuration));
        assert_eq!(call(bad()), [(None, Some("Invalid"))]);
        assert_eq!(call(good(1)), [(Some(1), None)]);
        assert_eq!(call(bad()), [(Some(1), Some("Invalid"))]);
        assert_eq!(call(good(2)), [(Some(2), None)]);
    }

    #[test]
    fn another_object_of_the_same_name_begins_anew() {
        let (mut roll, configuration) = (Roll::default(), HostConfiguration::default());
        let mut call = |objects: &[Arc<ControllerModule>]| summary(&roll.call(objects, &[], &configuration));
        call(&[object("a", "1", good(1))]);
        assert_eq!(call(&[object("a", "2", bad())]), [(None, Some("Invalid"))]);
        call(&[object("a", "2", good(1))]);
        call(&[]);
        assert_eq!(call(&[object("a", "2", bad())]), [(None, Some("Invalid"))]);
    }

    #[test]
    fn a_module_of_the_file_comes_before_an_object_of_its_name() {
        let (mut roll, configuration) = (Roll::default(), HostConfiguration::default());
        let objects = [object("a", "1", good(1)), object("b", "2", good(1))];
        roll.call(&objects, &[], &configuration);
        let file = [ModuleEntry::new("a", SourceEntry::stock("scheduler"))];
        assert_eq!(
            summary(&roll.call(&objects, &file, &configuration)),
            [(None, Some("NameTaken")), (Some(1), None)]
        );
        assert_eq!(
            summary(&roll.call(&objects, &[], &configuration)),
            [(Some(1), None), (Some(1), None)]
        );
    }

    #[test]
    fn what_was_right_ends_when_the_host_no_longer_lets_it() {
        let (mut roll, mut configuration) = (Roll::default(), HostConfiguration::default());
        let spec = json!({
            "source": {"stock": "deployment"}, "workers": 1,
            "permissions": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        });
        roll.call(&[object("a", "1", spec)], &[], &configuration);
        let broken = [object("a", "1", bad())];
        assert_eq!(
            summary(&roll.call(&broken, &[], &configuration)),
            [(Some(1), Some("Invalid"))]
        );
        configuration.controller_modules.max_permissions = Some(Vec::new());
        assert_eq!(
            summary(&roll.call(&broken, &[], &configuration)),
            [(None, Some("Invalid"))]
        );
    }

    #[test]
    fn an_object_that_is_being_deleted_has_no_module() {
        let (mut roll, configuration) = (Roll::default(), HostConfiguration::default());
        roll.call(&[object("a", "1", good(1))], &[], &configuration);
        let mut leaving = ControllerModule::clone(&object("a", "1", good(1)));
        leaving.deleting = true;
        let judged = roll.call(&[Arc::new(leaving)], &[], &configuration);
        assert_eq!(
            (judged[0].judgement.clone(), judged[0].entry()),
            (Judgement::Ends, None)
        );
    }
}
