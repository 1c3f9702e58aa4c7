//! Conditions in a status.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A condition, with the fields that the workload kinds have and those of `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, such as `Available`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the object that it was derived from; not all kinds have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When it was last looked at; not all kinds have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    /// When its status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// Why, in CamelCase.
    #[serde(default)]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Condition {
    /// A condition that has just come to hold, or not to; see [`Condition::set`].
    #[must_use]
    pub fn new(kind: &str, status: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            status,
            observed_generation: None,
            last_update_time: None,
            last_transition_time: Some(crate::time::now().truncated()),
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// Puts a condition in the place of the one of its type, whose transition time stays
    /// if the status does (`meta.SetStatusCondition` of apimachinery).
    pub fn set(conditions: &mut Vec<Self>, mut condition: Self) {
        match conditions
            .iter_mut()
            .find(|present| present.kind == condition.kind)
        {
            Some(present) => {
                if present.status == condition.status {
                    condition.last_transition_time = present.last_transition_time;
                }
                *present = condition;
            }
            None => conditions.push(condition),
        }
    }

    /// The condition of this type.
    #[must_use]
    pub fn find<'a>(conditions: &'a [Self], kind: &str) -> Option<&'a Self> {
        conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Removes the condition of this type.
    pub fn remove(conditions: &mut Vec<Self>, kind: &str) {
        conditions.retain(|condition| condition.kind != kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: ConditionStatus, reason: &str, at: i64) -> Condition {
        Condition {
            last_transition_time: Some(Timestamp::from_seconds(at)),
            observed_generation: Some(at),
            kind: "Ready".to_owned(),
            status,
            last_update_time: None,
            reason: reason.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn the_transition_time_changes_with_the_status_alone() {
        let mut conditions = Vec::new();
        Condition::set(&mut conditions, ready(ConditionStatus::False, "Progressing", 1));
        Condition::set(&mut conditions, ready(ConditionStatus::False, "NameTaken", 2));
        let [present] = &conditions[..] else {
            unreachable!("one of each type")
        };
        assert_eq!(
            (present.reason.as_str(), present.observed_generation),
            ("NameTaken", Some(2))
        );
        assert_eq!(present.last_transition_time, Some(Timestamp::from_seconds(1)));
        Condition::set(&mut conditions, ready(ConditionStatus::True, "AllReady", 3));
        assert_eq!(conditions, [ready(ConditionStatus::True, "AllReady", 3)]);
    }
}
