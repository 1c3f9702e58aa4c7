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
    inline: "
        package windlass:host;
        /// All that this host knows.
        world guest {
            include windlass:controller/observing-mapping-controller@0.1.0;
            include windlass:controller/blocking-controller@0.1.0;
        }
    ",
    world: "windlass:host/guest",
    imports: {
        "windlass:controller/logging.log": trappable | store,
        "windlass:controller/blocking-clientset": trappable | async,
        default: trappable,
    },
});

/// Plugins of the scheduler, from both sides.
pub(crate) mod scheduling {
    wasmtime::component::bindgen!({
        path: ["../../wit", "../../wit/scheduler"],
        world: "windlass:scheduler/plugin-caller",
        imports: { default: trappable | async },
        additional_derives: [PartialEq],
    });
}
