//! NodePorts: keeps two pods from claiming the same host port.

use crate::model::node::Node;
use crate::model::template::{HostPort, Shape};

/// Why a node is out.
pub(crate) const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

const EVERY_ADDRESS: &str = "0.0.0.0";

/// Whether no claim of the pod meets one on the node.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    !overlap(&shape.host_ports, &node.ports)
}

/// Whether two sets of claims meet.
pub(crate) fn overlap(wanted: &[HostPort], used: &[HostPort]) -> bool {
    wanted
        .iter()
        .any(|port| used.iter().any(|other| conflicts(port, other)))
}

fn conflicts(a: &HostPort, b: &HostPort) -> bool {
    a.port == b.port
        && a.protocol == b.protocol
        && (a.ip == b.ip || a.ip.as_ref() == EVERY_ADDRESS || b.ip.as_ref() == EVERY_ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, protocol: &str, port: u16) -> HostPort {
        HostPort {
            ip: ip.into(),
            protocol: protocol.into(),
            port,
        }
    }

    #[test]
    fn claims_meet_on_protocol_port_and_address() {
        let any = port("0.0.0.0", "TCP", 80);
        let one = port("10.0.0.1", "TCP", 80);
        assert!(conflicts(&any, &one) && conflicts(&one, &any) && conflicts(&one, &one));
        assert!(!conflicts(&one, &port("10.0.0.2", "TCP", 80)));
        assert!(!conflicts(&any, &port("0.0.0.0", "UDP", 80)));
        assert!(!conflicts(&any, &port("0.0.0.0", "TCP", 81)));
    }
}
