//! Whether `ControllerModule` objects of the cluster become modules, which, and how far
//! their authors may go; and the entry that one object comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::selector::Selector;

use super::checks::{Checked, ensure, refuse};
use super::signature::SignaturesEntry;
use super::source::SourceEntry;
use super::{ConfigError, ModuleEntry, hints, rules};
use crate::permissions;

/// Modules from `ControllerModule` objects of the cluster, besides those of this file. Who
/// may write such objects says what guests of this host may do; `maxPermissions`, `sources`
/// and `signatures` bound that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "ControllerModules")]
pub struct ControllerModulesEntry {
    /// Whether the objects are followed. `windlass config crd` prints their definition.
    pub enabled: bool,
    /// Only objects with these labels, a label selector such as `windlass.dev/host=blue`;
    /// empty: all. Hosts of one cluster need selectors that exclude each other.
    pub selector: String,
    /// The sources that objects may name.
    pub sources: Vec<ObjectSource>,
    /// The most that an object may grant to its guest; one that grants more is refused, and
    /// so is a guest that declares more. Null: no bound.
    pub max_permissions: Option<Vec<PermissionRule>>,
}

/// A source that an object may name. Files belong to one machine and to this file's folder,
/// so `file` and `directory` are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ObjectSource {
    /// A guest that ships with Windlass.
    Stock,
    /// A key of a ConfigMap. Components in ConfigMaps carry no signatures.
    ConfigMap,
    /// An artifact in an OCI registry.
    Oci,
}

/// Why an object does not become the module that it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its spec is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The host's configuration does not let objects ask for that.
    #[error("{0}")]
    NotAllowed(String),
    /// The file has a module of that name.
    #[error(
        "the host's configuration has a module {name:?} of its own, which comes first; rename one of them"
    )]
    NameTaken {
        /// The name.
        name: SmolStr,
    },
}

impl Refusal {
    /// A constant name, as the reason of a condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::NotAllowed(_) => "NotAllowed",
            Self::NameTaken { .. } => "NameTaken",
        }
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Invalid(match error {
            ConfigError::Value { at, problem } if at == "spec.name" => format!("metadata.name: {problem}"),
            other => other.to_string(),
        })
    }
}

impl Default for ControllerModulesEntry {
    fn default() -> Self {
        Self {
            enabled: false,
            selector: String::new(),
            sources: vec![ObjectSource::Stock, ObjectSource::ConfigMap, ObjectSource::Oci],
            max_permissions: None,
        }
    }
}

impl ObjectSource {
    /// The key under `source`.
    fn key(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::ConfigMap => "configMap",
            Self::Oci => "oci",
        }
    }
}

impl ControllerModulesEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        if let Err(error) = Selector::parse(&self.selector) {
            return Err(refuse(format!("{at}.selector"), error.to_string()));
        }
        ensure(
            !self.sources.is_empty(),
            || format!("{at}.sources"),
            || "is empty, so no object could be a module; use `enabled: false` for that".to_owned(),
        )?;
        for (position, rule) in self.max_permissions.iter().flatten().enumerate() {
            rules::validate(&format!("{at}.maxPermissions[{position}]"), rule)?;
        }
        Ok(())
    }

    /// The module that an object of this name and spec asks for, held to what a module of
    /// the file is held to, and to what objects may ask for.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn module(
        &self,
        name: &str,
        spec: &Value,
        signatures: &SignaturesEntry,
    ) -> Result<ModuleEntry, Refusal> {
        let mut entry = read(name, spec)?;
        self.allow_source(&entry.source)?;
        if entry
            .signature
            .as_ref()
            .is_some_and(|signature| signature.policy.is_none())
        {
            return Err(Refusal::NotAllowed(
                "spec.signature: an object brings no keys of its own; name a `policy` among the host's `signatures`"
                    .to_owned(),
            ));
        }
        if !entry.plugins.is_empty() {
            return Err(Refusal::NotAllowed(
                "spec.plugins: plugins are for modules of a host's own configuration".to_owned(),
            ));
        }
        entry.validate("spec", signatures)?;
        self.allow_permissions(&entry.permissions)?;
        entry.ceiling = self.max_permissions.clone().map(Grants);
        Ok(entry.with_defaults())
    }

    /// Whether an entry that was right before may still be asked for.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn recheck(&self, entry: &ModuleEntry, signatures: &SignaturesEntry) -> Result<ModuleEntry, Refusal> {
        self.allow_source(&entry.source)?;
        entry.validate("spec", signatures)?;
        self.allow_permissions(&entry.permissions)?;
        let ceiling = self.max_permissions.clone().map(Grants);
        Ok(ModuleEntry {
            ceiling,
            ..entry.clone()
        })
    }

    fn allow_source(&self, source: &SourceEntry) -> Result<(), Refusal> {
        for (key, given) in [
            ("file", source.file.is_some()),
            ("directory", source.directory.is_some()),
        ] {
            if given {
                return Err(Refusal::NotAllowed(format!(
                    "spec.source.{key}: the files of a host are for its own configuration; name {}",
                    self.choice()
                )));
            }
        }
        let kinds = [
            (ObjectSource::Stock, source.stock.is_some()),
            (ObjectSource::ConfigMap, source.config_map.is_some()),
            (ObjectSource::Oci, source.oci.is_some()),
        ];
        match kinds
            .iter()
            .find(|(kind, given)| *given && !self.sources.contains(kind))
        {
            None => Ok(()),
            Some((kind, _)) => Err(Refusal::NotAllowed(format!(
                "spec.source.{}: this host takes no such sources from objects (`controllerModules.sources`); name {}",
                kind.key(),
                self.choice()
            ))),
        }
    }

    fn choice(&self) -> String {
        let keys: Vec<String> = self
            .sources
            .iter()
            .map(|kind| format!("`{}`", kind.key()))
            .collect();
        keys.join(" or ")
    }

    fn allow_permissions(&self, rules: &[PermissionRule]) -> Result<(), Refusal> {
        let Some(most) = &self.max_permissions else {
            return Ok(());
        };
        let beyond = permissions::beyond(rules, &Grants(most.clone()));
        if beyond.is_empty() {
            return Ok(());
        }
        let beyond: Vec<String> = beyond.iter().map(ToString::to_string).collect();
        Err(Refusal::NotAllowed(format!(
            "spec.permissions: more than this host lets objects grant (`controllerModules.maxPermissions`): {}",
            beyond.join(", ")
        )))
    }
}

fn read(name: &str, spec: &Value) -> Result<ModuleEntry, Refusal> {
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else {
        return Err(Refusal::Invalid("spec: must be a mapping".to_owned()));
    };
    fields.insert("name".to_owned(), name.into());
    serde_json::from_value(spec)
        .map_err(|error| Refusal::Invalid(format!("spec: {}", hints::readable(&error.to_string()))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(settings: &ControllerModulesEntry, name: &str, spec: &Value) -> (String, String) {
        let refusal = settings
            .module(name, spec, &SignaturesEntry::default())
            .expect_err("must be refused");
        (refusal.reason().to_owned(), refusal.to_string())
    }

    #[track_caller]
    fn assert_refused(settings: &ControllerModulesEntry, spec: &Value, reason: &str, message: &str) {
        assert_eq!(
            refusal(settings, "mine", spec),
            (reason.to_owned(), message.to_owned())
        );
    }

    fn rule(resource: &str, verbs: &[&str], namespaces: &[&str]) -> PermissionRule {
        let namespaces = namespaces.iter().copied().map(SmolStr::new).collect();
        PermissionRule {
            namespaces,
            ..permissions::rule(&[""], &[resource], verbs)
        }
    }

    #[test]
    fn an_object_comes_to_what_the_same_text_in_the_file_comes_to() {
        let spec = json!({
            "source": {"configMap": {"namespace": "default", "name": "guests", "key": "a.wasm"}},
            "workers": 3, "config": {"a": 1}, "limits": {"memory": "32Mi", "cpuBudget": "250ms"},
            "permissions": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            "leadership": {"mode": "Sharded"}, "logLevel": "debug", "digest": null
        });
        let entry = ControllerModulesEntry::default()
            .module("mine", &spec, &SignaturesEntry::default())
            .expect("valid");
        let mut module = spec.clone();
        module["name"] = "mine".into();
        let file =
            json!({"apiVersion": super::super::API_VERSION, "kind": super::super::KIND, "modules": [module]});
        let file = super::super::HostConfiguration::parse(&file.to_string()).expect("valid");
        assert_eq!(file.modules, [entry]);
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_file() {
        let settings = ControllerModulesEntry::default();
        let stock = json!({"stock": "deployment"});
        for (spec, message) in [
            (json!([]), "spec: must be a mapping"),
            (
                json!({"source": stock, "wrokers": 1}),
                "spec: unknown field `wrokers`, did you mean `workers`?",
            ),
            (
                json!({"source": stock, "workers": 0}),
                "spec.workers: must be at least 1; use `enabled: false` to stop a module",
            ),
            (
                json!({"source": {}}),
                "spec.source: needs exactly one of `stock`, `file`, `directory`, `configMap` or `oci`, and has none",
            ),
            (
                json!({"source": stock, "limits": {"memory": "lots"}}),
                "spec: invalid value: string \"lots\", expected a number of bytes such as 64Mi",
            ),
            (
                json!({"source": stock, "permissions": [{"apiGroups": [], "resources": ["pods"], "verbs": ["get"]}]}),
                "spec.permissions[0].apiGroups: is empty, so the rule allows nothing",
            ),
            (
                json!({"source": {"oci": {"reference": "r.example.com/a:1"}}, "signature": {"policy": "ours"}}),
                "spec.signature.policy: there is no policy \"ours\"; there are none under `signatures.policies`",
            ),
        ] {
            let (reason, text) = refusal(&settings, "mine", &spec);
            assert_eq!(reason, "Invalid", "{text}");
            assert!(text.starts_with(message), "{text}");
        }
        let (_, text) = refusal(&settings, "not.a.label", &json!({"source": stock}));
        assert!(
            text.starts_with("metadata.name: \"not.a.label\" is not a DNS label"),
            "{text}"
        );
    }

    #[test]
    fn objects_reach_neither_files_nor_bring_keys_of_their_own() {
        let settings = ControllerModulesEntry::default();
        for key in ["file", "directory"] {
            assert_refused(
                &settings,
                &json!({"source": {key: "guest.wasm"}}),
                "NotAllowed",
                &format!(
                    "spec.source.{key}: the files of a host are for its own configuration; name `stock` or `configMap` or `oci`"
                ),
            );
        }
        assert_refused(
            &settings,
            &json!({"source": {"oci": {"reference": "r.example.com/a:1"}}, "signature": {"key": {"file": "a.pub"}}}),
            "NotAllowed",
            "spec.signature: an object brings no keys of its own; name a `policy` among the host's `signatures`",
        );
    }

    #[test]
    fn objects_bring_no_plugins() {
        assert_refused(
            &ControllerModulesEntry::default(),
            &json!({
                "source": {"stock": "scheduler"},
                "plugins": [{"name": "Cost", "source": {"oci": {"reference": "r.example.com/a:1"}}}]
            }),
            "NotAllowed",
            "spec.plugins: plugins are for modules of a host's own configuration",
        );
    }

    #[test]
    fn a_host_says_which_sources_objects_may_name() {
        let settings = ControllerModulesEntry {
            sources: vec![ObjectSource::Oci],
            ..ControllerModulesEntry::default()
        };
        assert_refused(
            &settings,
            &json!({"source": {"stock": "deployment"}}),
            "NotAllowed",
            "spec.source.stock: this host takes no such sources from objects (`controllerModules.sources`); name `oci`",
        );
    }

    #[test]
    fn what_an_object_grants_lies_within_what_the_host_lets_it_grant() {
        let settings = ControllerModulesEntry {
            max_permissions: Some(vec![
                rule("pods", &["get", "list"], &[]),
                rule("configmaps", &["*"], &["shop"]),
            ]),
            ..ControllerModulesEntry::default()
        };
        let spec = |rules: Vec<PermissionRule>| {
            let permissions = serde_json::to_value(rules).unwrap();
            json!({"source": {"stock": "deployment"}, "permissions": permissions})
        };
        let within = spec(vec![
            rule("pods", &["get"], &["bank"]),
            rule("configmaps", &["update"], &["shop"]),
        ]);
        let entry = settings
            .module("mine", &within, &SignaturesEntry::default())
            .expect("within");
        assert_eq!(entry.ceiling, settings.max_permissions.clone().map(Grants));
        assert_refused(
            &settings,
            &spec(vec![
                rule("pods", &["get", "delete"], &[]),
                rule("configmaps", &["get"], &["shop", "bank"]),
            ]),
            "NotAllowed",
            "spec.permissions: more than this host lets objects grant (`controllerModules.maxPermissions`): \
             {apiGroups: [\"\"], resources: [\"pods\"], verbs: [\"delete\"]}, \
             {apiGroups: [\"\"], resources: [\"configmaps\"], verbs: [\"get\"], namespaces: [\"bank\"]}",
        );
    }

    #[test]
    fn an_entry_that_was_right_is_held_to_what_counts_now() {
        let spec = json!({
            "source": {"stock": "deployment"},
            "permissions": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        });
        let signatures = SignaturesEntry::default();
        let entry = ControllerModulesEntry::default()
            .module("mine", &spec, &signatures)
            .expect("valid");
        let mut settings = ControllerModulesEntry {
            max_permissions: Some(vec![rule("pods", &["get"], &[])]),
            ..ControllerModulesEntry::default()
        };
        let kept = settings.recheck(&entry, &signatures).expect("within");
        assert_eq!(kept.ceiling, settings.max_permissions.clone().map(Grants));
        settings.max_permissions = Some(Vec::new());
        assert_eq!(
            settings
                .recheck(&entry, &signatures)
                .map_err(|refusal| refusal.reason()),
            Err("NotAllowed")
        );
    }
}
