//! Permission rules as an operator writes them: what can never match is refused, because
//! the operator meant something by it.

use smol_str::SmolStr;
use windlass_core::permission::{PermissionRule, VERBS};

use super::checks::{Checked, dns_label, dns_subdomain, ensure, refuse, short};
use super::hints;

pub(super) fn validate(at: &str, rule: &PermissionRule) -> Checked {
    let lists = [
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("verbs", &rule.verbs),
    ];
    for (key, list) in lists {
        ensure(
            !list.is_empty(),
            || format!("{at}.{key}"),
            || "is empty, so the rule allows nothing".to_owned(),
        )?;
    }
    each(at, "verbs", &rule.verbs, verb)?;
    each(at, "resources", &rule.resources, resource)?;
    each(at, "apiGroups", &rule.api_groups, |at, group| match group {
        "" | "*" => Ok(()),
        group => dns_subdomain(at, group),
    })?;
    each(at, "namespaces", &rule.namespaces, dns_label)?;
    each(at, "resourceNames", &rule.resource_names, |at, name| {
        ensure(
            !name.is_empty() && name != "*",
            || at.to_owned(),
            || "names one object; leave `resourceNames` out for all".to_owned(),
        )
    })?;
    secrets_by_accident(at, rule)
}

fn each(at: &str, key: &str, list: &[SmolStr], check: impl Fn(&str, &str) -> Checked) -> Checked {
    list.iter()
        .enumerate()
        .try_for_each(|(position, item)| check(&format!("{at}.{key}[{position}]"), item))
}

fn verb(at: &str, verb: &str) -> Checked {
    if verb == "*" || VERBS.contains(&verb) {
        return Ok(());
    }
    let meant = match hints::nearest(verb, VERBS.into_iter()) {
        Some(meant) => format!("did you mean {meant:?}? "),
        None => String::new(),
    };
    let problem = format!(
        "{:?} is not a verb; {meant}the verbs are {} and \"*\"",
        short(verb),
        VERBS.join(", ")
    );
    Err(refuse(at, problem))
}

fn resource(at: &str, resource: &str) -> Checked {
    let part = |part: &str| {
        part == "*"
            || part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
    };
    let parts: Vec<&str> = resource.split('/').collect();
    ensure(
        parts.len() <= 2 && parts.iter().all(|text| !text.is_empty() && part(text)),
        || at.to_owned(),
        || {
            format!(
                "{:?} is not a resource; write its plural in lower case, such as `pods` or `pods/status`",
                short(resource)
            )
        },
    )
}

/// `secrets` under the group `*` looks like a grant and is none.
fn secrets_by_accident(at: &str, rule: &PermissionRule) -> Checked {
    let names_secrets = rule.resources.iter().any(|resource| resource == "secrets");
    let groups = &rule.api_groups;
    let by_wildcard = groups.iter().any(|group| group == "*") && !groups.iter().any(SmolStr::is_empty);
    ensure(
        !(names_secrets && by_wildcard),
        || format!("{at}.apiGroups"),
        || "\"*\" does not cover Secrets; name the core group, \"\"".to_owned(),
    )
}
