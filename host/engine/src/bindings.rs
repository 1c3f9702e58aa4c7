//! Types and traits generated from the contract.
//!
//! Only the interfaces whose calls carry whole objects are bound by hand instead
//! ([`imports::lister`](crate::imports::lister), [`exports`](crate::exports)): there the
//! generated types would copy each body once more.

#![expect(
    missing_docs,
    reason = "what is generated of flags has none, and fuzzers reach it"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "observing-mapping-controller",
    imports: {
        "windlass:controller/logging.log": trappable | store,
        default: trappable,
    },
});
