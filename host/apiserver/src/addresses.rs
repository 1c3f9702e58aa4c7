//! Cluster IPs of services, out of 10.96.0.0/12.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// The first address of the range, and how many there are without network and broadcast.
const BASE: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const SIZE: u32 = (1 << 20) - 2;

/// Which addresses are taken.
#[derive(Debug, Default)]
pub(crate) struct ServiceAddresses(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    offsets: BTreeSet<u32>,
    next: u32,
}

/// Why a service got no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AddressError {
    #[error("failed to allocate IP {0}: provided IP is already allocated")]
    Taken(String),
    #[error(
        "failed to allocate IP {0}: the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12"
    )]
    OutOfRange(String),
    #[error("failed to allocate a serviceIP: range is full")]
    Full,
}

impl ServiceAddresses {
    /// Gives a new service its cluster IP, unless it wants none.
    pub(crate) fn assign(&self, service: &mut Value) -> Result<(), AddressError> {
        let text = |key: &str| {
            service
                .pointer(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if text("/spec/type") == "ExternalName" {
            return Ok(());
        }
        let wanted = text("/spec/clusterIP");
        let address = match wanted.as_str() {
            "None" => wanted,
            "" => self.take_any()?.to_string(),
            _ => self.take(&wanted)?.to_string(),
        };
        if let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("clusterIP".to_owned(), address.as_str().into());
            spec.insert("clusterIPs".to_owned(), json!([address]));
            spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
            spec.entry("ipFamilyPolicy")
                .or_insert_with(|| "SingleStack".into());
        }
        Ok(())
    }

    /// Gives an address back when its service is gone or was never stored.
    pub(crate) fn release(&self, service: &Value) {
        let address = service
            .pointer("/spec/clusterIP")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Ok(offset) = offset(address) {
            self.0.lock().offsets.remove(&offset);
        }
    }

    fn take_any(&self) -> Result<Ipv4Addr, AddressError> {
        let mut taken = self.0.lock();
        for _ in 0..SIZE {
            taken.next = taken.next % SIZE + 1;
            let offset = taken.next;
            if taken.offsets.insert(offset) {
                return Ok(Ipv4Addr::from(BASE + offset));
            }
        }
        Err(AddressError::Full)
    }

    fn take(&self, wanted: &str) -> Result<Ipv4Addr, AddressError> {
        let offset = offset(wanted)?;
        if self.0.lock().offsets.insert(offset) {
            Ok(Ipv4Addr::from(BASE + offset))
        } else {
            Err(AddressError::Taken(wanted.to_owned()))
        }
    }
}

fn offset(address: &str) -> Result<u32, AddressError> {
    let out_of_range = || AddressError::OutOfRange(address.to_owned());
    let number = u32::from(address.parse::<Ipv4Addr>().map_err(|_| out_of_range())?);
    number
        .checked_sub(BASE)
        .filter(|offset| (1..=SIZE).contains(offset))
        .ok_or_else(out_of_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_given_once_until_released() {
        let addresses = ServiceAddresses::default();
        let mut wanted = json!({"spec": {"clusterIP": "10.96.0.10"}});
        addresses.assign(&mut wanted).unwrap();
        assert_eq!(
            addresses.assign(&mut wanted.clone()),
            Err(AddressError::Taken("10.96.0.10".to_owned()))
        );
        addresses.release(&wanted);
        assert_eq!(addresses.assign(&mut wanted), Ok(()));

        let mut any = json!({"spec": {}});
        addresses.assign(&mut any).unwrap();
        assert_eq!(any["spec"]["clusterIPs"][0], "10.96.0.1");
        let mut foreign = json!({"spec": {"clusterIP": "192.168.0.1"}});
        assert!(matches!(
            addresses.assign(&mut foreign),
            Err(AddressError::OutOfRange(_))
        ));
    }

    #[test]
    fn headless_services_stay_so() {
        let mut headless = json!({"spec": {"clusterIP": "None"}});
        ServiceAddresses::default().assign(&mut headless).unwrap();
        assert_eq!(headless["spec"]["clusterIP"], "None");
    }
}
