//! Services.

use super::metadata::labels;
use super::names;
use super::pod::port_number;
use super::report::{Path, Report};
use crate::types::value::{at, int, list, text};
use serde_json::Value;

/// Checks a service, and its change if it has an older version.
pub(super) fn service(new: &Value, old: Option<&Value>, report: &mut Report) {
    let root = Path::root();
    let path = root.field("spec");
    let spec = new.get("spec").unwrap_or(&Value::Null);
    let kind = text(spec, &["type"]);
    let ports = list(spec, &["ports"]);
    let headless = text(spec, &["clusterIP"]) == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        report.required(&path.field("ports"), "");
    }
    report.supported(
        &path.field("type"),
        kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    report.supported(
        &path.field("sessionAffinity"),
        text(spec, &["sessionAffinity"]),
        &["ClientIP", "None"],
    );
    labels(&path.field("selector"), at(spec, &["selector"]), report);
    if kind == "ExternalName" {
        let name = text(spec, &["externalName"]);
        if name.is_empty() {
            report.required(&path.field("externalName"), "");
        } else {
            let relative = name.strip_suffix('.').unwrap_or(name);
            report.check(&path.field("externalName"), name, names::subdomain(relative));
        }
    }
    if headless && kind == "LoadBalancer" {
        let detail = "may not be set to 'None' for LoadBalancer services";
        report.invalid(&path.field("clusterIPs").index(0), "None", detail);
    }
    self::ports(&path.field("ports"), ports, report);
    if let Some(old) = old {
        fixed_address(&path, new, old, report);
    }
}

fn ports(path: &Path<'_>, ports: &[Value], report: &mut Report) {
    for (index, port) in ports.iter().enumerate() {
        let item = path.index(index);
        let earlier = ports.get(..index).unwrap_or_default();
        match text(port, &["name"]) {
            "" if ports.len() > 1 => report.required(&item.field("name"), ""),
            "" => {}
            name => {
                report.check(&item.field("name"), name, names::label(name));
                if earlier.iter().any(|port| text(port, &["name"]) == name) {
                    report.duplicate(&item.field("name"), name);
                }
            }
        }
        port_number(
            &item.field("port"),
            int(port, &["port"]).unwrap_or_default(),
            report,
        );
        let protocol = text(port, &["protocol"]);
        report.supported(&item.field("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        match port.get("targetPort") {
            Some(Value::String(name)) => {
                report.check(&item.field("targetPort"), name, names::port_name(name))
            }
            Some(Value::Number(number)) => {
                port_number(
                    &item.field("targetPort"),
                    number.as_i64().unwrap_or_default(),
                    report,
                );
            }
            _ => {}
        }
        let key = |port: &Value| (int(port, &["port"]), text(port, &["protocol"]).to_owned());
        if earlier.iter().any(|earlier| key(earlier) == key(port)) {
            report.duplicate(&item, port);
        }
    }
}

/// A cluster IP stays, unless the service becomes or was an external name.
fn fixed_address(path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    let external = |service| text(service, &["spec", "type"]) == "ExternalName";
    let (new_ip, old_ip) = (
        text(new, &["spec", "clusterIP"]),
        text(old, &["spec", "clusterIP"]),
    );
    if !external(new) && !external(old) && !old_ip.is_empty() && new_ip != old_ip {
        let given = at(new, &["spec", "clusterIPs"])
            .cloned()
            .unwrap_or_else(|| Value::from(vec![new_ip]));
        report.invalid(
            &path.field("clusterIPs").index(0),
            &given,
            "may not change once set",
        );
    }
}
