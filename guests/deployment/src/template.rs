//! Pod templates: when two are the same, and the hash that names a ReplicaSet.

use std::hash::Hasher as _;

use serde_json::Value;
use serde_json::value::RawValue;
use windlass_sdk::Error;
use windlass_sdk::json::{semantically_equal, stable_hash};

use crate::pass::malformed;

/// The label that tells the pods of a Deployment's ReplicaSets apart.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";

/// A template without the label that its ReplicaSet added.
pub(crate) fn parse(template: &RawValue) -> Result<Value, Error> {
    let mut template: Value = serde_json::from_slice(template.get().as_bytes()).map_err(malformed)?;
    if let Some(labels) = template
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove(HASH_LABEL);
    }
    Ok(template)
}

/// Whether a ReplicaSet's template is the one that was parsed.
pub(crate) fn matches(wanted: &Value, template: &RawValue) -> Result<bool, Error> {
    Ok(semantically_equal(wanted, &parse(template)?))
}

/// The name part for a template. After a collision with a ReplicaSet of another
/// template the count makes another hash.
pub(crate) fn hash(template: &Value, collision_count: Option<u32>) -> String {
    let mut hasher = stable_hash(template);
    if let Some(count) = collision_count {
        hasher.write(&u64::from(count).to_le_bytes());
    }
    hasher.finish32().to_string().bytes().map(safe_letter).collect()
}

/// Letters and digits that make no words.
fn safe_letter(byte: u8) -> char {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    ALPHABET
        .get(usize::from(byte) % ALPHABET.len())
        .copied()
        .map_or('b', char::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_label_does_not_make_a_difference() {
        let plain =
            serde_json::value::to_raw_value(&json!({"metadata": {"labels": {"app": "a"}}, "spec": {}}))
                .unwrap();
        let labelled = json!({"metadata": {"labels": {"app": "a", HASH_LABEL: "x"}}, "spec": {}});
        let labelled = serde_json::value::to_raw_value(&labelled).unwrap();
        assert!(matches(&parse(&plain).unwrap(), &labelled).unwrap());
    }

    #[test]
    fn a_collision_makes_another_hash_of_safe_letters() {
        let template = json!({"spec": {"containers": [{"name": "a", "image": "b"}]}});
        let hashes = [
            hash(&template, None),
            hash(&template, Some(0)),
            hash(&template, Some(1)),
        ];
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[1], hashes[2]);
        assert!(hashes.iter().all(|hash| {
            hash.bytes()
                .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
        }));
    }

    #[test]
    fn digits_become_letters_as_in_kubernetes() {
        let encoded: String = "0123456789".bytes().map(safe_letter).collect();
        assert_eq!(encoded, "456789bcdf");
    }
}
