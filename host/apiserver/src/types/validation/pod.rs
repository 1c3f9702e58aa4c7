//! Pod specs, wherever they occur.

use super::metadata::labels;
use super::names;
use super::report::{Path, Report};
use super::resources;
use crate::types::value::{at, int, list, text};
use serde_json::Value;

/// Members of a volume that are no volume source.
const NO_SOURCE: &str = "name";

/// Checks a new pod.
pub(super) fn validate(pod: &Value, report: &mut Report) {
    let root = Path::root();
    let path = root.field("spec");
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    pod_spec(&path, spec, report);
    if !text(spec, &["nodeName"]).is_empty() && !list(spec, &["schedulingGates"]).is_empty() {
        report.forbidden(
            &path.field("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
}

/// Checks the spec of a pod or pod template.
pub(super) fn pod_spec(path: &Path<'_>, spec: &Value, report: &mut Report) {
    let volumes = volumes(&path.field("volumes"), list(spec, &["volumes"]), report);
    if list(spec, &["containers"]).is_empty() {
        report.required(&path.field("containers"), "");
    }
    containers(path, spec, &volumes, report);
    report.supported(
        &path.field("restartPolicy"),
        text(spec, &["restartPolicy"]),
        &["Always", "OnFailure", "Never"],
    );
    report.supported(
        &path.field("dnsPolicy"),
        text(spec, &["dnsPolicy"]),
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    );
    active_deadline(path, spec, report);
    labels(&path.field("nodeSelector"), at(spec, &["nodeSelector"]), report);
    for (field, check) in [
        ("nodeName", names::subdomain as fn(&str) -> names::Messages),
        ("serviceAccountName", names::subdomain),
        ("hostname", names::label),
        ("subdomain", names::label),
        ("priorityClassName", names::subdomain),
    ] {
        let value = text(spec, &[field]);
        if !value.is_empty() {
            report.check(&path.field(field), value, check(value));
        }
    }
    tolerations(&path.field("tolerations"), list(spec, &["tolerations"]), report);
    let gates = path.field("schedulingGates");
    let names = list(spec, &["schedulingGates"])
        .iter()
        .map(|gate| text(gate, &["name"]));
    unique(&gates, names, report, |path, name, report| {
        report.check(path, name, names::qualified_name(name))
    });
    spread(&path.field("topologySpreadConstraints"), spec, report);
}

/// Checks the deadline of a pod spec.
pub(super) fn active_deadline(path: &Path<'_>, spec: &Value, report: &mut Report) {
    if let Some(seconds) = int(spec, &["activeDeadlineSeconds"]) {
        if !(1..=i64::from(i32::MAX)).contains(&seconds) {
            report.invalid(
                &path.field("activeDeadlineSeconds"),
                seconds,
                "must be between 1 and 2147483647, inclusive",
            );
        }
    }
}

/// Refuses names that occur twice, and checks the others.
fn unique<'a>(
    list: &Path<'_>,
    names: impl Iterator<Item = &'a str>,
    report: &mut Report,
    check: impl Fn(&Path<'_>, &str, &mut Report),
) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, name) in names.enumerate() {
        let item = list.index(index);
        let path = item.field("name");
        if seen.contains(&name) {
            report.duplicate(&path, name);
        } else {
            check(&path, name, report);
            seen.push(name);
        }
    }
}

fn required_label(path: &Path<'_>, name: &str, report: &mut Report) {
    if name.is_empty() {
        report.required(path, "");
    } else {
        report.check(path, name, names::label(name));
    }
}

fn volumes<'a>(path: &Path<'_>, volumes: &'a [Value], report: &mut Report) -> Vec<&'a str> {
    let names = || volumes.iter().map(|volume| text(volume, &["name"]));
    unique(path, names(), report, required_label);
    for (index, volume) in volumes.iter().enumerate() {
        let members = volume.as_object().into_iter().flatten();
        match members
            .filter(|(key, value)| *key != NO_SOURCE && !value.is_null())
            .count()
        {
            0 => report.required(&path.index(index), "must specify a volume type"),
            1 => {}
            _ => report.forbidden(&path.index(index), "may not specify more than 1 volume type"),
        }
    }
    names().collect()
}

fn containers(path: &Path<'_>, spec: &Value, volumes: &[&str], report: &mut Report) {
    let claims: Vec<&str> = list(spec, &["resourceClaims"])
        .iter()
        .map(|claim| text(claim, &["name"]))
        .collect();
    let mut seen: Vec<&str> = Vec::new();
    let mut host_ports: Vec<(i64, &str, &str)> = Vec::new();
    for kind in ["initContainers", "containers"] {
        let path = path.field(kind);
        for (index, container) in list(spec, &[kind]).iter().enumerate() {
            let path = path.index(index);
            let name = text(container, &["name"]);
            required_label(&path.field("name"), name, report);
            if !name.is_empty() && seen.contains(&name) {
                report.duplicate(&path.field("name"), name);
            }
            seen.push(name);
            self::container(&path, container, volumes, report);
            ports(&path.field("ports"), container, &mut host_ports, report);
            let claims_path = path.field("resources");
            for claim in list(container, &["resources", "claims"])
                .iter()
                .map(|claim| text(claim, &["name"]))
            {
                if !claims.contains(&claim) {
                    report.not_found(&claims_path.field("claims"), claim);
                }
            }
        }
    }
}

fn container(path: &Path<'_>, container: &Value, volumes: &[&str], report: &mut Report) {
    match text(container, &["image"]) {
        "" => report.required(&path.field("image"), ""),
        image if image.trim() != image => {
            report.invalid(
                &path.field("image"),
                image,
                "must not have leading or trailing whitespace",
            );
        }
        _ => {}
    }
    report.supported(
        &path.field("imagePullPolicy"),
        text(container, &["imagePullPolicy"]),
        &["Always", "IfNotPresent", "Never"],
    );
    report.supported(
        &path.field("terminationMessagePolicy"),
        text(container, &["terminationMessagePolicy"]),
        &["FallbackToLogsOnError", "File"],
    );
    if let Some(resources) = at(container, &["resources"]) {
        resources::validate(&path.field("resources"), resources, report);
    }
    let env = path.field("env");
    for (index, variable) in list(container, &["env"]).iter().enumerate() {
        let name = text(variable, &["name"]);
        let variable = env.index(index);
        if name.is_empty() {
            report.required(&variable.field("name"), "");
        } else if name.contains('=') || !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let detail = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            report.invalid(&variable.field("name"), name, detail);
        }
    }
    mounts(&path.field("volumeMounts"), container, volumes, report);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = at(container, &[name]) {
            self::probe(&path.field(name), probe, name != "readinessProbe", report);
        }
    }
}

fn mounts(path: &Path<'_>, container: &Value, volumes: &[&str], report: &mut Report) {
    let mounts = list(container, &["volumeMounts"]);
    for (index, mount) in mounts.iter().enumerate() {
        let item = path.index(index);
        match text(mount, &["name"]) {
            "" => report.required(&item.field("name"), ""),
            name if !volumes.contains(&name) => report.not_found(&item.field("name"), name),
            _ => {}
        }
        let place = text(mount, &["mountPath"]);
        let earlier = mounts.get(..index).unwrap_or_default();
        if place.is_empty() {
            report.required(&item.field("mountPath"), "");
        } else if earlier.iter().any(|mount| text(mount, &["mountPath"]) == place) {
            report.invalid(&item.field("mountPath"), place, "must be unique");
        }
    }
}

fn probe(path: &Path<'_>, probe: &Value, once: bool, report: &mut Report) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"]
        .iter()
        .filter(|kind| at(probe, &[kind]).is_some())
        .count();
    match handlers {
        0 => report.required(path, "must specify a handler type"),
        1 => {}
        _ => report.forbidden(path, "may not specify more than 1 handler type"),
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        report.not_negative(&path.field(field), int(probe, &[field]));
    }
    if let Some(threshold) = int(probe, &["successThreshold"]).filter(|threshold| once && *threshold != 1) {
        report.invalid(&path.field("successThreshold"), threshold, "must be 1");
    }
}

/// Checks a port number.
pub(super) fn port_number(path: &Path<'_>, number: i64, report: &mut Report) {
    if !(1..=65_535).contains(&number) {
        report.invalid(path, number, "must be between 1 and 65535, inclusive");
    }
}

fn ports<'a>(
    path: &Path<'_>,
    container: &'a Value,
    host_ports: &mut Vec<(i64, &'a str, &'a str)>,
    report: &mut Report,
) {
    let ports = list(container, &["ports"]);
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, &["name"]);
        if !name.is_empty() {
            report.check(&path.field("name"), name, names::port_name(name));
            let earlier = ports.get(..index).unwrap_or_default();
            if earlier.iter().any(|port| text(port, &["name"]) == name) {
                report.duplicate(&path.field("name"), name);
            }
        }
        match int(port, &["containerPort"]).unwrap_or_default() {
            0 => report.required(&path.field("containerPort"), ""),
            number => port_number(&path.field("containerPort"), number, report),
        }
        let protocol = text(port, &["protocol"]);
        report.supported(&path.field("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        if let Some(number) = int(port, &["hostPort"]).filter(|number| *number != 0) {
            port_number(&path.field("hostPort"), number, report);
            let taken = (number, protocol, text(port, &["hostIP"]));
            if host_ports.contains(&taken) {
                let shown = format!("{}/{protocol}/{number}", taken.2);
                report.duplicate(&path.field("hostPort"), shown.as_str());
            }
            host_ports.push(taken);
        }
    }
}

/// Checks tolerations.
pub(super) fn tolerations(path: &Path<'_>, tolerations: &[Value], report: &mut Report) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let part = |key| text(toleration, &[key]);
        let operator = path.field("operator");
        if part("key").is_empty() {
            if part("operator") != "Exists" {
                let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
                report.invalid(&operator, part("operator"), detail);
            }
        } else {
            report.check(
                &path.field("key"),
                part("key"),
                names::qualified_name(part("key")),
            );
        }
        match part("operator") {
            "" | "Equal" => report.check(&operator, part("value"), names::label_value(part("value"))),
            "Exists" if !part("value").is_empty() => {
                report.invalid(
                    &operator,
                    toleration,
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            "Exists" => {}
            other => report.supported(&operator, other, &["Equal", "Exists"]),
        }
        if !part("effect").is_empty() {
            report.supported(
                &path.field("effect"),
                part("effect"),
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            );
        }
        if at(toleration, &["tolerationSeconds"]).is_some() && part("effect") != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(&path.field("effect"), part("effect"), detail);
        }
    }
}

fn spread(path: &Path<'_>, spec: &Value, report: &mut Report) {
    for (index, constraint) in list(spec, &["topologySpreadConstraints"]).iter().enumerate() {
        let path = path.index(index);
        let skew = int(constraint, &["maxSkew"]).unwrap_or_default();
        if skew <= 0 {
            report.invalid(&path.field("maxSkew"), skew, "must be greater than zero");
        }
        if text(constraint, &["topologyKey"]).is_empty() {
            report.required(&path.field("topologyKey"), "can not be empty");
        }
        report.supported(
            &path.field("whenUnsatisfiable"),
            text(constraint, &["whenUnsatisfiable"]),
            &["DoNotSchedule", "ScheduleAnyway"],
        );
        if let Some(selector) = at(constraint, &["labelSelector"]) {
            super::metadata::selector(&path.field("labelSelector"), selector, report);
        }
    }
}
