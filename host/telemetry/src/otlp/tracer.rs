//! Who begins spans: one tracer of the host, and one of each version of a module.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use windlass_core::key::ObjectKey;
use windlass_core::seams::{ApiRequest, ApiVerb};

use super::outbox::Outbox;
use super::span::{ApiSpan, Kind, Open, SpanContext, SyncSpan, Value};
use crate::api_calls::http_method;
use crate::status::ExporterStatus;

/// Makes spans, or none if the host has no collector. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Outbox>>);

impl Tracer {
    /// One that records nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    pub(super) fn to(outbox: &Arc<Outbox>) -> Self {
        Self(Some(Arc::clone(outbox)))
    }

    /// Makes the spans of one version of a module; nothing if nothing is recorded.
    #[must_use]
    pub fn of_module(&self, traced: TracedModule<'_>) -> Option<ModuleTracer> {
        let outbox = Arc::clone(self.0.as_ref()?);
        Some(ModuleTracer {
            outbox,
            module: traced.module.clone(),
            sync_name: format!("sync {}", traced.module),
            guest: traced.guest.clone(),
            version: traced.version.clone(),
            digest: smol_str::format_smolstr!("sha256:{}", traced.digest),
            server: Server::parse(traced.api_server),
        })
    }

    /// How the sending goes; nothing if nothing is recorded.
    #[must_use]
    pub fn status(&self) -> Option<ExporterStatus> {
        self.0.as_ref().map(|outbox| outbox.status())
    }
}

/// What every span of a module says of it.
#[derive(Clone, Copy, Debug)]
pub struct TracedModule<'a> {
    /// Its name.
    pub module: &'a SmolStr,
    /// What its guest calls itself.
    pub guest: &'a SmolStr,
    /// The version that the guest states.
    pub version: &'a SmolStr,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: &'a str,
    /// URL of the API server.
    pub api_server: &'a str,
}

/// A sync that begins.
#[derive(Clone, Copy, Debug)]
pub struct SyncStart<'a> {
    /// Its number within the module.
    pub id: u64,
    /// Its key.
    pub key: &'a ObjectKey,
    /// How long the key was ready before it was taken from the queue.
    pub queued: Duration,
    /// How long it was held back after that, for caches that do not show its writes yet.
    pub held: Duration,
}

/// What the span of an API call hangs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Nothing: it is made for no sync that is running.
    None,
    /// This one.
    Span(SpanContext),
    /// A sync that is not traced, and so is not what it calls.
    Untraced,
}

/// Makes the spans of one version of a module.
#[derive(Clone, Debug)]
pub struct ModuleTracer {
    outbox: Arc<Outbox>,
    module: SmolStr,
    sync_name: String,
    guest: SmolStr,
    version: SmolStr,
    digest: SmolStr,
    server: Server,
}

impl ModuleTracer {
    /// Begins the span of a sync, which is the first of a trace.
    #[must_use]
    pub fn sync(&self, start: SyncStart<'_>) -> SyncSpan {
        let Some(context) = self.root() else {
            return SyncSpan::default();
        };
        let mut open = self.open(context, 0, self.sync_name.clone(), Kind::Internal);
        open.set("windlass.guest.name", Value::Text(self.guest.clone()));
        open.set("windlass.guest.version", Value::Text(self.version.clone()));
        open.set("windlass.guest.digest", Value::Text(self.digest.clone()));
        open.set("windlass.sync.id", Value::Number(start.id));
        set_object(&mut open, "windlass.sync.key", start.key);
        open.set("windlass.sync.queued", Value::seconds(start.queued));
        open.set("windlass.sync.held", Value::seconds(start.held));
        SyncSpan::new(open)
    }

    /// Begins the span of an API call; nothing if the call is not traced.
    #[must_use]
    pub fn api_call(&self, parent: Parent, request: &ApiRequest) -> Option<ApiSpan> {
        let (context, parent) = match parent {
            Parent::None => (self.root()?, 0),
            Parent::Span(parent) => {
                let span = non_zero();
                (SpanContext { span, ..parent }, parent.span)
            }
            Parent::Untraced => return None,
        };
        let verb = request.verb.name();
        let method = http_method(verb);
        let mut open = self.open(context, parent, method.to_owned(), Kind::Client);
        open.set("http.request.method", Value::Text(SmolStr::new_static(method)));
        open.set("server.address", Value::Text(self.server.address.clone()));
        if let Some(port) = self.server.port {
            open.set("server.port", Value::Number(port.into()));
        }
        open.set("windlass.api.verb", Value::Text(SmolStr::new_static(verb)));
        open.set("windlass.api.resource", Value::text(&resource(request)));
        set_object(&mut open, "windlass.api.object", &request.key);
        Some(ApiSpan::new(open, self.server.url.clone(), template(request)))
    }

    fn open(&self, context: SpanContext, parent: u64, name: String, kind: Kind) -> Box<Open> {
        let mut open = Open::new(&self.outbox, context, parent, name, kind);
        open.set("windlass.module", Value::Text(self.module.clone()));
        open
    }

    /// A trace of its own, if it is among those that are recorded.
    fn root(&self) -> Option<SpanContext> {
        let trace = non_zero();
        let span = non_zero();
        self.outbox
            .sampler
            .records(trace)
            .then_some(SpanContext { trace, span })
    }
}

/// Chooses traces by their identifiers, so that whoever knows the ratio chooses the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    /// What the random part of an identifier has to reach.
    threshold: u64,
}

impl Sampler {
    /// The part of a trace's identifier that W3C's Trace Context wants random.
    const RANDOM: u64 = (1 << 56) - 1;

    pub(super) fn new(ratio: f64) -> Self {
        let left_out = (1.0 - ratio.clamp(0.0, 1.0)) * (Self::RANDOM + 1) as f64;
        Self {
            threshold: left_out as u64,
        }
    }

    fn records(self, trace: u128) -> bool {
        (trace as u64) & Self::RANDOM >= self.threshold
    }
}

/// An API server as spans name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    /// Without a slash at its end.
    url: SmolStr,
    address: SmolStr,
    port: Option<u16>,
}

impl Server {
    fn parse(url: &str) -> Self {
        let uri = url.parse::<http::Uri>().unwrap_or_default();
        let of_scheme = match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        };
        Self {
            url: url.trim_end_matches('/').into(),
            address: uri.host().unwrap_or(url).into(),
            port: uri.port_u16().or(of_scheme),
        }
    }
}

fn set_object(open: &mut Open, key: &'static str, object: &ObjectKey) {
    if !object.namespace.is_empty() {
        open.set("k8s.namespace.name", Value::text(&object.namespace));
    }
    open.set(key, Value::text(&object.to_string()));
}

/// Such as `deployments.apps/status`, as RBAC names it.
fn resource(request: &ApiRequest) -> String {
    let ApiRequest {
        resource,
        subresource,
        ..
    } = request;
    if subresource.is_empty() {
        resource.to_string()
    } else {
        format!("{resource}/{subresource}")
    }
}

/// The route of a request: its path with `{namespace}` and `{name}` where those stand.
fn template(request: &ApiRequest) -> String {
    let ApiRequest {
        resource,
        key,
        subresource,
        verb,
    } = request;
    let namespace = if key.namespace.is_empty() {
        ""
    } else {
        "{namespace}"
    };
    let mut path = resource.path(namespace);
    let is_collection = match verb {
        ApiVerb::List(_) => true,
        ApiVerb::Create(_) => subresource.is_empty(),
        _ => false,
    };
    if !is_collection {
        path.push_str("/{name}");
        if !subresource.is_empty() {
            path.push('/');
            path.push_str(subresource);
        }
    }
    path
}

/// A random identifier; all zeros would be none.
fn non_zero<T: Default + PartialEq>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    loop {
        let identifier = rand::random();
        if identifier != T::default() {
            return identifier;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use windlass_core::key::Resource;
    use windlass_core::seams::ListOptions;

    use super::*;

    fn request(verb: ApiVerb, subresource: &str) -> ApiRequest {
        ApiRequest {
            resource: Resource::new("apps", "v1", "deployments"),
            key: ObjectKey::new("team-a", "web"),
            subresource: subresource.into(),
            verb,
        }
    }

    #[test]
    fn a_route_names_no_object() {
        let route = |verb, subresource| template(&request(verb, subresource));
        let collection = "/apis/apps/v1/namespaces/{namespace}/deployments";
        assert_eq!(route(ApiVerb::List(ListOptions::default()), ""), collection);
        assert_eq!(route(ApiVerb::Create(Bytes::new()), ""), collection);
        let object = format!("{collection}/{{name}}");
        assert_eq!(route(ApiVerb::Get, ""), object);
        let status = format!("{object}/status");
        assert_eq!(route(ApiVerb::Update(Bytes::new()), "status"), status);
        let eviction = format!("{object}/eviction");
        assert_eq!(route(ApiVerb::Create(Bytes::new()), "eviction"), eviction);
        let mut everywhere = request(ApiVerb::List(ListOptions::default()), "");
        everywhere.key = ObjectKey::default();
        assert_eq!(template(&everywhere), "/apis/apps/v1/deployments");
    }

    #[test]
    fn a_server_is_known_by_its_url() {
        let server = Server::parse("https://10.0.0.1:6443/");
        assert_eq!((server.address.as_str(), server.port), ("10.0.0.1", Some(6443)));
        assert_eq!(server.url, "https://10.0.0.1:6443");
        assert_eq!(Server::parse("https://kubernetes").port, Some(443));
        assert_eq!(Server::parse("http://in-process").address, "in-process");
    }

    #[test]
    fn a_ratio_of_the_traces_is_recorded() {
        let traces: Vec<u128> = std::iter::repeat_with(non_zero).take(10_000).collect();
        let recorded = |ratio| {
            let sampler = Sampler::new(ratio);
            traces.iter().filter(|trace| sampler.records(**trace)).count()
        };
        assert_eq!((recorded(1.0), recorded(0.0)), (10_000, 0));
        // Some twenty standard deviations to either side.
        let quarter = recorded(0.25);
        assert!((1_600..3_400).contains(&quarter), "{quarter}");
        let less = Sampler::new(0.1);
        let more = Sampler::new(0.5);
        let recorded = traces.iter().filter(|trace| less.records(**trace));
        assert!(recorded.copied().all(|trace| more.records(trace)));
    }
}
