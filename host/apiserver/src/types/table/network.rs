//! Columns of services, endpoints and ingresses.

use super::column::{AGE, Column, NAME, shown};
use super::human;
use crate::types::value::{list, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// The columns of a network type.
pub(super) fn columns(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Service") => SERVICE,
        ("", "Endpoints") => ENDPOINTS,
        ("discovery.k8s.io", "EndpointSlice") => ENDPOINT_SLICE,
        ("networking.k8s.io", "Ingress") => INGRESS,
        ("networking.k8s.io", "IngressClass") => INGRESS_CLASS,
        ("networking.k8s.io", "NetworkPolicy") => NETWORK_POLICY,
        _ => return None,
    })
}

const SERVICE: &[Column] = &[
    NAME,
    Column::text("Type", "/spec/type", ""),
    Column::with("Cluster-IP", |service, _| {
        let first = service
            .pointer("/spec/clusterIPs/0")
            .or_else(|| service.pointer("/spec/clusterIP"));
        shown(first, "<none>").into()
    }),
    Column::with("External-IP", |service, _| external_ip(service).into()),
    Column::with("Port(s)", |service, _| ports(service).into()),
    AGE,
    Column::labels("Selector", "/spec/selector").wide(),
];

const ENDPOINTS: &[Column] = &[
    NAME,
    Column::with("Endpoints", |object, _| endpoints(object).into()),
    AGE,
];

const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    Column::text("AddressType", "/addressType", ""),
    Column::with("Ports", |slice, _| slice_ports(slice).into()),
    Column::with("Endpoints", |slice, _| slice_endpoints(slice).into()),
    AGE,
];

const INGRESS: &[Column] = &[
    NAME,
    Column::text("Class", "/spec/ingressClassName", "<none>"),
    Column::with("Hosts", |ingress, _| hosts(ingress).into()),
    Column::with("Address", |ingress, _| balancer(ingress).into()),
    Column::with("Ports", |ingress, _| {
        if list(ingress, &["spec", "tls"]).is_empty() {
            "80"
        } else {
            "80, 443"
        }
        .into()
    }),
    AGE,
];

const INGRESS_CLASS: &[Column] = &[
    NAME,
    Column::text("Controller", "/spec/controller", ""),
    Column::with("Parameters", |class, _| {
        let part = |key| text(class, &["spec", "parameters", key]);
        match (part("kind"), part("apiGroup"), part("name")) {
            ("", ..) => "<none>".into(),
            (kind, "", name) => format!("{kind}/{name}").into(),
            (kind, group, name) => format!("{kind}.{group}/{name}").into(),
        }
    }),
    AGE,
];

const NETWORK_POLICY: &[Column] = &[NAME, Column::selector("Pod-Selector", "/spec/podSelector"), AGE];

fn strings(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(Value::as_str).collect()
}

/// The addresses of a load balancer, sorted.
fn balancer(object: &Value) -> String {
    let addresses: BTreeSet<&str> = list(object, &["status", "loadBalancer", "ingress"])
        .iter()
        .map(|ingress| match text(ingress, &["ip"]) {
            "" => text(ingress, &["hostname"]),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

fn external_ip(service: &Value) -> String {
    let external = strings(list(service, &["spec", "externalIPs"])).join(",");
    match text(service, &["spec", "type"]) {
        "ClusterIP" | "NodePort" => human::or_none(external),
        "LoadBalancer" => match (balancer(service), external) {
            (balancer, external) if balancer.is_empty() && external.is_empty() => "<pending>".to_owned(),
            (balancer, external) if balancer.is_empty() => external,
            (balancer, external) if external.is_empty() => balancer,
            (balancer, external) => format!("{balancer},{external}"),
        },
        "ExternalName" => text(service, &["spec", "externalName"]).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let ports: Vec<String> = list(service, &["spec", "ports"])
        .iter()
        .map(|port| {
            let number = |key: &str| port.get(key).and_then(Value::as_i64).unwrap_or_default();
            let protocol = text(port, &["protocol"]);
            match number("nodePort") {
                0 => format!("{}/{protocol}", number("port")),
                node => format!("{}:{node}/{protocol}", number("port")),
            }
        })
        .collect();
    human::or_none(ports.join(","))
}

fn endpoints(object: &Value) -> String {
    let mut shown = Vec::new();
    for subset in list(object, &["subsets"]) {
        let addresses = || {
            list(subset, &["addresses"])
                .iter()
                .map(|address| text(address, &["ip"]))
        };
        let ports = list(subset, &["ports"]);
        if ports.is_empty() {
            shown.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            let port = port.get("port").and_then(Value::as_i64).unwrap_or_default();
            shown.extend(addresses().map(|ip| {
                if ip.contains(':') {
                    format!("[{ip}]:{port}")
                } else {
                    format!("{ip}:{port}")
                }
            }));
        }
    }
    match list(object, &["subsets"]) {
        [] => "<none>".to_owned(),
        _ => human::first_three(&shown),
    }
}

fn slice_ports(slice: &Value) -> String {
    let ports: Vec<String> = list(slice, &["ports"])
        .iter()
        .map(|port| match port.get("port").and_then(Value::as_i64) {
            Some(number) => number.to_string(),
            None => shown(port.get("name"), "*"),
        })
        .collect();
    unset(human::first_three(&ports))
}

fn slice_endpoints(slice: &Value) -> String {
    let addresses: Vec<&str> = list(slice, &["endpoints"])
        .iter()
        .flat_map(|endpoint| strings(list(endpoint, &["addresses"])))
        .collect();
    unset(human::first_three(&addresses))
}

fn unset(text: String) -> String {
    if text.is_empty() {
        "<unset>".to_owned()
    } else {
        text
    }
}

fn hosts(ingress: &Value) -> String {
    let hosts: Vec<&str> = list(ingress, &["spec", "rules"])
        .iter()
        .map(|rule| text(rule, &["host"]))
        .filter(|host| !host.is_empty())
        .collect();
    match hosts.as_slice() {
        [] => "*".to_owned(),
        hosts => human::first_three(hosts),
    }
}
