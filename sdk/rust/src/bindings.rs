//! The generated bindings of the contract, as three worlds that add up.
//!
//! A component's exports are declared by custom sections that the `export!` macros
//! below put into the *guest's* crate, and the encoder joins all it finds. So the
//! optional interfaces are worlds of their own here: a guest without an observer never
//! mentions one, and needs no cargo feature for it.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]

/// The imports and `handler`.
pub mod controller {
    wit_bindgen::generate!({
        path: "wit",
        world: "controller",
        additional_derives: [PartialEq, Eq, Hash, PartialOrd, Ord],
        // They hold floating-point numbers.
        additional_derives_ignore: ["metric", "metric-kind"],
        pub_export_macro: true,
        export_macro_name: "export_handler",
        generate_all,
    });
}

/// `observer`.
pub mod observer {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package windlass:sdk; world observing { export windlass:controller/observer@0.1.0; }",
        world: "windlass:sdk/observing",
        with: { "windlass:controller/types@0.1.0": super::controller::windlass::controller::types },
        pub_export_macro: true,
        export_macro_name: "export_observer",
    });
}

/// `mapper`.
pub mod mapper {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package windlass:sdk; world mapping { export windlass:controller/mapper@0.1.0; }",
        world: "windlass:sdk/mapping",
        with: { "windlass:controller/types@0.1.0": super::controller::windlass::controller::types },
        pub_export_macro: true,
        export_macro_name: "export_mapper",
    });
}

/// A plugin of the scheduler.
pub mod plugin {
    wit_bindgen::generate!({
        path: ["wit", "wit/scheduler"],
        inline: "package windlass:sdk; world plugin { export windlass:scheduler/plugin@0.1.0; }",
        world: "windlass:sdk/plugin",
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_plugin",
        generate_all,
    });
}
