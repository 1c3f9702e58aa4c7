//! What of each node components can see, to tell news from a node that only says again what
//! it said, as every node does all the time.

use std::borrow::Cow;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use serde::Deserialize;

use crate::hash::FastHasher;
use crate::model::json::Str;

/// By slot, a number that stands for the node's body but for its version.
#[derive(Default)]
pub(crate) struct SeenNodes(Vec<Option<u64>>);

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Versioned<'a> {
    metadata: Version<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Version<'a> {
    #[serde(default)]
    resource_version: Str<'a>,
}

impl SeenNodes {
    /// Whether the node in a slot says something else than when this was last asked. It may
    /// say yes too often, never too rarely.
    pub(crate) fn is_news(&mut self, slot: u32, body: &[u8]) -> bool {
        let at = slot as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        let number = number(body);
        match self.0.get_mut(at) {
            Some(known) if known.is_some() && *known == number => false,
            Some(known) => {
                *known = number;
                true
            }
            None => true,
        }
    }

    /// The node in a slot is gone.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(known) = self.0.get_mut(slot as usize) {
            *known = None;
        }
    }
}

/// Stands for a body without its version; `None` if that cannot be found.
fn number(body: &[u8]) -> Option<u64> {
    let versioned: Versioned<'_> = serde_json::from_slice(body).ok()?;
    let Cow::Borrowed(version) = versioned.metadata.resource_version.0 else {
        return None;
    };
    // The text is part of the body.
    let start = (version.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let mut hasher = BuildHasherDefault::<FastHasher>::default().build_hasher();
    hasher.write(body.get(..start)?);
    hasher.write(body.get(start + version.len()..)?);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: &str, cost: &str) -> Vec<u8> {
        let metadata =
            serde_json::json!({"name": "n", "resourceVersion": version, "annotations": {"cost": cost}});
        serde_json::json!({"metadata": metadata}).to_string().into_bytes()
    }

    #[test]
    fn a_version_alone_is_no_news() {
        let mut seen = SeenNodes::default();
        assert!(seen.is_news(3, &node("1", "5")));
        assert!(!seen.is_news(3, &node("2", "5")));
        assert!(!seen.is_news(3, &node("10000", "5")));
        assert!(seen.is_news(3, &node("10000", "6")));
        assert!(seen.is_news(2, &node("10000", "6")), "another node");
        seen.forget(3);
        assert!(seen.is_news(3, &node("10000", "6")));
    }

    #[test]
    fn what_cannot_be_told_is_news() {
        let mut seen = SeenNodes::default();
        let bodies = [
            r#"{"metadata":{}}"#,
            r#"{"metadata":{"resourceVersion":"\u0031"}}"#,
            "x",
        ];
        for body in bodies.map(str::as_bytes) {
            assert!(seen.is_news(0, body));
            assert!(seen.is_news(0, body));
        }
    }
}
