//! What a type's registry strategy decides: which parts a request may change, and what counts as a new generation.

use serde_json::Value;

/// Prepares a new object: status cleared or initialised, generation 1.
pub fn prepare_for_create(_group: &str, _kind: &str, _object: &mut Value) {}

/// Prepares an update through the main endpoint: status kept from `old`, generation advanced if warranted.
pub fn prepare_for_update(_group: &str, _kind: &str, _new: &mut Value, _old: &Value) {}

/// Prepares an update through the status endpoint: everything but status (and some metadata) kept from `old`.
pub fn prepare_for_status_update(_group: &str, _kind: &str, _new: &mut Value, _old: &Value) {}

/// Whether the type has a status subresource.
#[must_use]
pub fn has_status(_group: &str, _kind: &str) -> bool {
    true
}

/// Whether an update may leave out the resource version.
#[must_use]
pub fn allow_unconditional_update(_group: &str, _kind: &str) -> bool {
    true
}

/// Whether an update of an object that does not exist creates it.
#[must_use]
pub fn allow_create_on_update(_group: &str, _kind: &str) -> bool {
    false
}

/// Whether deletion without a policy orphans the dependents.
#[must_use]
pub fn default_orphans(_group: &str, _kind: &str) -> bool {
    false
}
