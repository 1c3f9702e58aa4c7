//! A short run of every target.

use windlass_fuzz::{TARGETS, Target, short};

fn run(name: &str) {
    short::run(Target::named(name).expect("a target of that name"));
}

/// A test per target, so that they run side by side and a failure says whose it is.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_has_a_short_run() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    configuration
    controller_module
    selectors
    component_inspect
    component_load
    manifest
    api_call
    events
    log
    queue
    list_and_watch
    answer
    discovery
    api_server
    registry
    recording
}
