//! What whoever may write objects writes.

use bytes::Bytes;
use smol_str::SmolStr;
use windlass_core::object::Object;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_manager::config::HostConfiguration;
use windlass_manager::config::controller_modules::ControllerModulesEntry;
use windlass_manager::controller_modules::object::ControllerModule;
use windlass_manager::permissions;

use crate::Target;

/// An object that becomes a module is one that the file could have, reaches no file and
/// brings no key, and grants no more than the host lets it.
pub(crate) const MODULE: Target = Target {
    name: "controller_module",
    run: module,
    mutations: 3_000,
};

fn module(data: &[u8]) {
    let Ok(object) = Object::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    let Ok(object) = ControllerModule::of(&object) else {
        return;
    };
    let most = vec![
        rule("pods", &["get", "list", "watch"]),
        rule("configmaps", &["*"]),
    ];
    let settings = ControllerModulesEntry {
        max_permissions: Some(most.clone()),
        ..ControllerModulesEntry::default()
    };
    let configuration = HostConfiguration::default();
    let mut entry = match settings.module(&object.name, &object.spec, &configuration.signatures) {
        Ok(entry) => entry,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    assert_eq!(entry.name, object.name);
    assert!(entry.source.file.is_none() && entry.source.directory.is_none());
    assert!(
        entry
            .signature
            .as_ref()
            .is_none_or(|signature| signature.policy.is_some())
    );
    assert_eq!(permissions::beyond(&entry.permissions, &Grants(most)), []);
    assert_eq!(
        settings.recheck(&entry, &configuration.signatures).as_ref(),
        Ok(&entry)
    );
    entry.ceiling = None;
    let as_file = HostConfiguration {
        modules: vec![entry],
        ..configuration
    };
    let printed = as_file.to_yaml().expect("what was read can be written");
    let again = HostConfiguration::parse(&printed);
    let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again, as_file, "{printed}");
}

fn rule(resource: &str, verbs: &[&str]) -> PermissionRule {
    PermissionRule {
        api_groups: vec![SmolStr::default()],
        resources: vec![resource.into()],
        verbs: verbs.iter().copied().map(SmolStr::new).collect(),
        ..PermissionRule::default()
    }
}
