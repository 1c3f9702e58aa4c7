//! Whether a definition gets the names it asks for
//! (`apiextensions-apiserver/pkg/controller/status/naming_controller.go`).

use serde_json::{Value, json};

use super::{list, text, texts};
use crate::meta;
use crate::registry::Table;
use crate::resource::ResourceSpec;

/// What came of the names that a definition asks for.
pub(super) struct Names {
    accepted: Value,
    /// The reason and the message of the first that is taken.
    conflict: Option<(&'static str, String)>,
}

/// Compares names with those of the group's other resources.
pub(super) fn decide(table: &Table, definition: &Value) -> Names {
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let others: Vec<&ResourceSpec> = table
        .all()
        .map(|resource| &resource.spec)
        .filter(|other| other.group == group && other.plural != plural)
        .collect();
    // Plurals, singulars and short names are typed in one place; kinds and list kinds in another.
    let taken_name = |name: &str| {
        let mut others = others.iter();
        others.any(|other| {
            other.plural == name
                || other.singular == name
                || other.short_names.iter().any(|short| short == name)
        })
    };
    let taken_kind = |name: &str| {
        let mut others = others.iter();
        others.any(|other| other.kind == name || other.list_kind == name)
    };
    let mut accepted = definition.pointer("/spec/names").cloned().unwrap_or_default();
    let mut conflict = None;
    let mut refuse = |reason, name: &str| {
        conflict.get_or_insert_with(|| (reason, format!("{name:?} is already in use")));
    };
    let single = [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ];
    for (member, reason) in single {
        let name = text(definition, &format!("/spec/names/{member}")).to_owned();
        let is_kind = matches!(member, "kind" | "listKind");
        let is_taken = if is_kind {
            taken_kind(&name)
        } else {
            taken_name(&name)
        };
        if !name.is_empty() && is_taken {
            accepted[member] = text(definition, &format!("/status/acceptedNames/{member}")).into();
            refuse(reason, &name);
        }
    }
    for short in texts(definition, "/spec/names/shortNames") {
        if taken_name(&short) {
            accepted["shortNames"] = json!(texts(definition, "/status/acceptedNames/shortNames"));
            refuse("ShortNamesConflict", &short);
        }
    }
    Names { accepted, conflict }
}

/// Whether a definition's status says that it got its names.
pub(super) fn accepted(definition: &Value) -> bool {
    let mut conditions = list(definition, "/status/conditions").iter();
    conditions.any(|condition| condition["type"] == "NamesAccepted" && condition["status"] == "True")
}

impl Names {
    pub(super) fn are_accepted(&self) -> bool {
        self.conflict.is_none()
    }

    /// The definition with this in its status. What was established stays so.
    pub(super) fn report(&self, definition: &Value) -> Value {
        let mut new = definition.clone();
        let before = list(definition, "/status/conditions");
        let was_established = before
            .iter()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
        let named = match &self.conflict {
            None => ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            Some((reason, message)) => ("NamesAccepted", "False", *reason, message.as_str()),
        };
        let established = if self.conflict.is_none() || was_established {
            let message = "the initial names have been accepted";
            ("Established", "True", "InitialNamesAccepted", message)
        } else {
            (
                "Established",
                "False",
                "NotAccepted",
                "not all names are accepted",
            )
        };
        let conditions: Vec<Value> = [named, established]
            .iter()
            .map(|wanted| condition(wanted, before))
            .collect();
        let known = |kind: &Value| conditions.iter().any(|condition| condition["type"] == *kind);
        let kept = before.iter().filter(|other| !known(&other["type"])).cloned();
        let all: Vec<Value> = kept.chain(conditions.iter().cloned()).collect();
        new["status"]["conditions"] = all.into();
        new["status"]["acceptedNames"] = self.accepted.clone();
        new
    }
}

fn condition((kind, status, reason, message): &(&str, &str, &str, &str), before: &[Value]) -> Value {
    let same = |other: &&Value| other["type"] == *kind && other["status"] == *status;
    let time = before
        .iter()
        .find(same)
        .and_then(|other| other["lastTransitionTime"].as_str());
    let time = time.map_or_else(meta::now, str::to_owned);
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
}
