//! Owners that are known not to exist, so that the second of a thousand dependents need
//! not ask. The least recently used give way.

use std::collections::HashMap;

use crate::identity::Identity;

const CAPACITY: usize = 500;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct AbsentOwners {
    entries: HashMap<Identity, u64>,
    uses: u64,
}

impl AbsentOwners {
    pub(crate) fn add(&mut self, identity: Identity) {
        self.uses += 1;
        self.entries.insert(identity, self.uses);
        if self.entries.len() > CAPACITY {
            let oldest = self.entries.iter().min_by_key(|(_, used)| **used);
            if let Some(oldest) = oldest.map(|(identity, _)| identity.clone()) {
                self.entries.remove(&oldest);
            }
        }
    }

    /// Whether it is known to be absent, which counts as a use.
    pub(crate) fn contains(&mut self, identity: &Identity) -> bool {
        self.uses += 1;
        let uses = self.uses;
        self.entries.get_mut(identity).is_some_and(|used| {
            *used = uses;
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Coordinates, Symbol, Uid};

    fn identity(name: &str) -> Identity {
        let at = Coordinates {
            api_version: Symbol::new("v1"),
            kind: Symbol::new("Pod"),
            namespace: Symbol::new("default"),
            name: name.into(),
        };
        Identity {
            at,
            uid: Uid::new(name),
        }
    }

    #[test]
    fn the_least_recently_used_owner_is_forgotten_first() {
        let mut absent = AbsentOwners::default();
        for number in 0..CAPACITY {
            absent.add(identity(&number.to_string()));
        }
        assert!(absent.contains(&identity("0")));
        absent.add(identity("one more"));
        assert!(absent.contains(&identity("0")));
        assert!(!absent.contains(&identity("1")));
    }
}
