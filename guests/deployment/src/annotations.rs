//! The annotations in which revisions and sizes are kept: `deployment_util.go`.

use windlass_sdk::{ObjectMeta, StringMap, warn};

use crate::types::Deployment;

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(crate) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(crate) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(crate) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
pub(crate) const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The history of one ReplicaSet's revisions is no longer than this.
const MAX_HISTORY: usize = 2000;

/// Whether an annotation belongs to its object alone, and is not copied between a
/// Deployment and its ReplicaSets.
pub(crate) fn stays(name: &str) -> bool {
    [
        LAST_APPLIED,
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        ROLLBACK_TO,
    ]
    .contains(&name)
}

/// An annotation that is a number.
pub(crate) fn number(meta: &ObjectMeta, name: &str) -> Option<i64> {
    meta.annotation(name)?.parse().ok()
}

/// An object's revision: 0 if it has none, nothing if it has nonsense.
pub(crate) fn revision(meta: &ObjectMeta) -> Option<i64> {
    meta.annotation(REVISION)
        .map_or(Some(0), |text| text.parse().ok())
}

/// The revision that somebody wants back; 0 for the last.
pub(crate) fn rollback_to(meta: &ObjectMeta) -> Option<i64> {
    number(meta, ROLLBACK_TO)
}

/// The annotations of a Deployment's new ReplicaSet, given those it has. Nothing that
/// was copied once is ever removed.
pub(crate) fn of_new_replica_set(deployment: &Deployment, current: &StringMap, revision: i64) -> StringMap {
    let mut wanted = current.clone();
    let copied = deployment
        .metadata
        .annotations
        .iter()
        .filter(|(name, _)| !stays(name));
    wanted.extend(copied.map(|(name, value)| (name.clone(), value.clone())));
    advance_revision(&mut wanted, revision);
    wanted
}

/// A ReplicaSet that becomes new again remembers the revisions it had.
fn advance_revision(annotations: &mut StringMap, revision: i64) {
    let before = annotations.get(REVISION).cloned();
    let number = match before.as_deref() {
        None | Some("") => 0,
        Some(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return warn!("a revision is not a number", revision = text),
        },
    };
    if number >= revision {
        return;
    }
    annotations.insert(REVISION.to_owned(), revision.to_string());
    if let Some(before) = before {
        let history = annotations.get(REVISION_HISTORY).map_or("", String::as_str);
        if let Some(history) = append_history(history, &before, MAX_HISTORY) {
            annotations.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
}

/// Drops the oldest until the new one fits; nothing if it never does.
fn append_history(history: &str, revision: &str, limit: usize) -> Option<String> {
    if history.is_empty() || history.starts_with(',') {
        return Some(revision.to_owned());
    }
    let mut rest = Some(history);
    while let Some(kept) = rest {
        if kept.len() + 1 + revision.len() <= limit {
            return Some(format!("{kept},{revision}"));
        }
        rest = kept.split_once(',').map(|(_, newer)| newer);
    }
    (revision.len() <= limit).then(|| revision.to_owned())
}

/// A ReplicaSet's annotations about sizes, as the Deployment wants them now.
pub(crate) fn sizes(desired: i64, max: i64) -> [(&'static str, String); 2] {
    [
        (DESIRED_REPLICAS, desired.to_string()),
        (MAX_REPLICAS, max.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advanced(revision: Option<&str>, history: Option<&str>, to: i64) -> (Option<String>, Option<String>) {
        let mut annotations = StringMap::new();
        annotations.extend(revision.map(|revision| (REVISION.to_owned(), revision.to_owned())));
        annotations.extend(history.map(|history| (REVISION_HISTORY.to_owned(), history.to_owned())));
        advance_revision(&mut annotations, to);
        (annotations.remove(REVISION), annotations.remove(REVISION_HISTORY))
    }

    fn texts(revision: &str, history: Option<&str>) -> (Option<String>, Option<String>) {
        (Some(revision.to_owned()), history.map(str::to_owned))
    }

    #[test]
    fn a_revision_only_grows_and_its_past_is_kept() {
        assert_eq!(advanced(None, None, 1), texts("1", None));
        assert_eq!(advanced(Some("1"), None, 3), texts("3", Some("1")));
        assert_eq!(advanced(Some("3"), Some("1"), 5), texts("5", Some("1,3")));
        assert_eq!(advanced(Some("5"), Some("1,3"), 5), texts("5", Some("1,3")));
        assert_eq!(advanced(Some("7"), None, 5), texts("7", None));
        assert_eq!(advanced(Some("x"), None, 5), texts("x", None));
    }

    #[test]
    fn a_history_loses_its_oldest_when_it_is_full() {
        assert_eq!(
            append_history("1,22,333", "4444", 13),
            Some("1,22,333,4444".to_owned())
        );
        assert_eq!(
            append_history("1,22,333", "4444", 12),
            Some("22,333,4444".to_owned())
        );
        assert_eq!(append_history("1,22,333", "4444", 9), Some("333,4444".to_owned()));
        assert_eq!(append_history("1,22,333", "4444", 4), Some("4444".to_owned()));
        assert_eq!(append_history("1,22,333", "4444", 3), None);
    }
}
