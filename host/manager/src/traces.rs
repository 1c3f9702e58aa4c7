//! Spans of a module's syncs and of the API calls inside them.
//!
//! A sync's span begins when the guest is called, and says how long its key waited before
//! that. It lives with the key in flight, in [`Controller`], because API calls find it
//! there by the number of their sync, and because whatever ends a sync ends that.
//! Without a collector there is no tracer, and nothing of this costs more than looking.

use std::time::Duration;

use windlass_cluster::module_client::CallTrace;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::seams::{ApiRequest, SyncId};
use windlass_telemetry::otlp::{ApiSpan, ModuleTracer, TracedModule, Tracer};

use crate::controller::Controller;
use crate::module::Module;

/// The tracer of one version of a module; nothing if nothing is traced.
pub(crate) fn of(tracer: &Tracer, module: &Module, api_server: &str) -> Option<ModuleTracer> {
    let manifest = &module.guest.manifest;
    tracer.of_module(TracedModule {
        module: &module.name,
        guest: &manifest.name,
        version: &manifest.version,
        digest: &module.guest.digest,
        api_server,
    })
}

/// Begins the span of an API call, inside that of its sync.
pub(crate) fn call(
    tracer: &ModuleTracer,
    controller: &Controller,
    sync: SyncId,
    request: &ApiRequest,
) -> Option<Box<dyn CallTrace>> {
    let span = tracer.api_call(controller.span_of(sync), request)?;
    Some(Box::new(CallSpan(span)))
}

struct CallSpan(ApiSpan);

impl CallTrace for CallSpan {
    fn traceparent(&self) -> Option<String> {
        self.0.traceparent()
    }

    fn sent(&mut self, path_and_query: &str, throttled: Duration) {
        self.0.sent(path_and_query, throttled);
    }

    fn ended(self: Box<Self>, end: Result<u16, &ApiError>) {
        match end {
            Ok(code) => self.0.answered(code, ""),
            Err(error) if error.code != 0 => self.0.answered(error.code, &error.reason),
            Err(error) => self.0.failed(cause(error.kind), &error.message),
        }
    }
}

/// Why there was no answer, in one of few words.
fn cause(kind: ApiErrorKind) -> &'static str {
    match kind {
        ApiErrorKind::NotPermitted => "not_permitted",
        ApiErrorKind::BadRequest => "bad_request",
        ApiErrorKind::Timeout => "timeout",
        ApiErrorKind::Unavailable => "unavailable",
        // What OpenTelemetry calls errors without a word for them.
        _ => "_OTHER",
    }
}
