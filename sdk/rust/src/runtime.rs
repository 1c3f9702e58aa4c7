//! What turns a [`Controller`] into a component's exports. Authors meet only [`export!`](crate::export).

use std::any::Any;
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::panic::{PanicHookInfo, set_hook};

use crate::bindings::controller::exports::windlass::controller::handler;
use crate::bindings::controller::windlass::controller::manifest::Manifest;
use crate::bindings::{mapper, observer};
use crate::client::SyncContext;
use crate::controller::{Controller, Error, MappedEvent, Mapper, Observer, Outcome};
use crate::host;
use crate::log::Level;
use crate::manifest::milliseconds;
use crate::object::ObjectKey;

/// Exports a controller from a component; `observer` and `mapper` name the optional
/// interfaces that it implements too.
///
/// ```
/// # use windlass_sdk::*;
/// struct Nothing;
///
/// impl Controller for Nothing {
///     fn manifest() -> Manifest {
///         Manifest::new("nothing", env!("CARGO_PKG_VERSION"))
///     }
///     fn new() -> Self {
///         Self
///     }
///     async fn sync_handler(&self, _: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
///         info!("synced", key = key);
///         Ok(Outcome::Done)
///     }
/// }
///
/// windlass_sdk::export!(Nothing);
/// ```
#[macro_export]
macro_rules! export {
    ($controller:ty $(, $interface:ident)* $(,)?) => {
        // A native build has nothing to export to, and its linker trips over the names;
        // it only learns that the controller is used.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::Manifest = <$controller as $crate::Controller>::manifest;
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::runtime::Component<$controller>;
            $crate::bindings::controller::export_handler!(Exported with_types_in $crate::bindings::controller);
            $($crate::export!(@ $interface);)*
        };
    };
    (@ observer) => {
        $crate::bindings::observer::export_observer!(Exported with_types_in $crate::bindings::observer);
    };
    (@ mapper) => {
        $crate::bindings::mapper::export_mapper!(Exported with_types_in $crate::bindings::mapper);
    };
}

/// The exports of a component around `C`.
#[derive(Debug)]
pub struct Component<C>(PhantomData<fn() -> C>);

impl<C: Controller> handler::Guest for Component<C> {
    fn describe() -> Manifest {
        set_hook(Box::new(report_panic));
        C::manifest().0
    }

    async fn start() -> Result<(), String> {
        instance::<C>().start().await
    }

    async fn sync_handler(sync: u64, key: ObjectKey) -> Result<handler::Outcome, handler::SyncError> {
        match instance::<C>().sync_handler(&SyncContext::new(sync), key).await {
            Ok(Outcome::Done) => Ok(handler::Outcome::Done),
            Ok(Outcome::RequeueAfter(after)) => Ok(handler::Outcome::RequeueAfter(milliseconds(after))),
            Err(Error::Terminal(message)) => Err(handler::SyncError::Terminal(message)),
            Err(error) => Err(handler::SyncError::Retry(error.to_string())),
        }
    }
}

impl<C: Observer> observer::exports::windlass::controller::observer::Guest for Component<C> {
    fn observe(batches: Vec<crate::controller::Batch>) {
        instance::<C>().observe(batches);
    }
}

impl<C: Mapper> mapper::exports::windlass::controller::mapper::Guest for Component<C> {
    fn keys_for(watch: u32, key: ObjectKey, body: Vec<u8>, old: Option<Vec<u8>>) -> Vec<ObjectKey> {
        instance::<C>().keys_for(MappedEvent {
            watch,
            key,
            body,
            old,
        })
    }
}

/// The one controller of this component, which lives as long as its memory.
fn instance<C: Controller>() -> &'static C {
    thread_local! {
        static INSTANCE: OnceCell<&'static dyn Any> = const { OnceCell::new() };
    }
    INSTANCE
        .with(|cell| *cell.get_or_init(|| Box::leak(Box::new(C::new()))))
        .downcast_ref()
        .expect("a component exports one controller")
}

/// A trap by itself says nothing on this target.
pub(crate) fn report_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let fields = [
        ("panic".to_owned(), message.to_owned()),
        ("location".to_owned(), location),
    ];
    host::log(Level::Error, "the guest panicked", &fields);
}
