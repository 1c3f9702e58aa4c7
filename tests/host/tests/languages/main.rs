//! The same three controllers in every language, held to the same behaviour on the embedded
//! cluster. Built by `make guests` and `xtask languages`; one that is not there is skipped,
//! and named.

/// Makes a test of each case for each language.
macro_rules! in_every_language {
    ($module:ident: $($case:ident),+ $(,)?) => {
        in_every_language!(@ rust $module: $($case),+);
        in_every_language!(@ go $module: $($case),+);
        in_every_language!(@ python $module: $($case),+);
        in_every_language!(@ javascript $module: $($case),+);
        in_every_language!(@ c $module: $($case),+);
    };
    (@ $language:ident $module:ident: $($case:ident),+) => {
        mod $language {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() -> anyhow::Result<()> {
                    match super::super::guest::Guest::find(super::CONTROLLER, stringify!($language)) {
                        Some(guest) => super::$case(guest).await,
                        None => Ok(()),
                    }
                }
            )+
        }
    };
}

mod guest;
mod label_propagation;
mod new_version;
mod pod_summary;
mod ttl;
mod webapp;
