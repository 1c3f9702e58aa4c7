//! What all handlers share.

use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::addresses::ServiceAddresses;
use crate::authentication::Authenticator;
use crate::registry::Registry;
use crate::store::Store;

/// The server's state.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) authenticator: Authenticator,
    pub(crate) addresses: ServiceAddresses,
    /// Held shared while an object is created, exclusively while a namespace begins to
    /// terminate: so no object slips into a namespace that is already being emptied.
    pub(crate) namespace_gate: RwLock<()>,
    /// Something may have to be cleaned up: a namespace, or a custom resource definition.
    pub(crate) cleanup: Notify,
    /// The certificate that clients trust, published in every namespace.
    pub(crate) ca_pem: String,
    /// Cancelled when watches are to end.
    pub(crate) draining: CancellationToken,
}

impl Api {
    pub(crate) fn new(token: String, ca_pem: String) -> Self {
        let store = Store::default();
        Self {
            registry: Registry::new(&store),
            store,
            authenticator: Authenticator::new(token),
            addresses: ServiceAddresses::default(),
            namespace_gate: RwLock::new(()),
            cleanup: Notify::new(),
            ca_pem,
            draining: CancellationToken::new(),
        }
    }
}
