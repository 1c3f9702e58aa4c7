//! What an API server hands the host.

use std::collections::BTreeSet;

use bytes::Bytes;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::fuzzing::{index_value, page, prune, repack, watch};
use windlass_core::api_error::ApiError;
use windlass_core::manifest::View;
use windlass_core::object::Object;
use windlass_core::seams::Discovery as _;

use crate::Target;
use crate::input::records;
use crate::service::{FakeServer, runtime};

/// Objects on pages and in frames become bodies that read as the host read them, and that
/// unpack as they were packed, however the stream was cut.
pub(crate) const LIST_AND_WATCH: Target = Target {
    name: "list_and_watch",
    run: list_and_watch,
    mutations: 10_000,
};

/// Whatever a failed answer says, it becomes an error with a message.
pub(crate) const ANSWER: Target = Target {
    name: "answer",
    run: answer,
    mutations: 50_000,
};

/// Whatever discovery says, lookups are consistent with it.
pub(crate) const DISCOVERY: Target = Target {
    name: "discovery",
    run: discovery,
    mutations: 5_000,
};

/// Records of field paths, index paths and the size of chunks; bodies are pages or streams.
fn list_and_watch(data: &[u8]) {
    for record in records(data) {
        let whole = watch(std::iter::once(record.body));
        let size = usize::try_from(record.number(2)).unwrap_or(0).max(1);
        assert_eq!(watch(record.body.chunks(size)), whole);

        let listed = page(record.body).unwrap_or_default();
        let objects: Vec<&[u8]> = listed
            .into_iter()
            .chain(whole.iter().map(Vec::as_slice))
            .collect();
        let paths: Vec<_> = record.list(1).into_iter().map(Into::into).collect();
        let fields = View::Fields(record.list(0).into_iter().map(Into::into).collect());
        let mut bodies = Vec::new();
        for object in objects {
            for view in [&View::Full, &View::Metadata, &fields] {
                bodies.extend(pruned(view, &paths, object));
            }
        }
        let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        for (unpacked, body) in repack(&slices).into_iter().zip(slices) {
            assert_eq!(unpacked.as_deref(), Some(body));
        }
    }
}

fn pruned(view: &View, paths: &[smol_str::SmolStr], object: &[u8]) -> Option<Vec<u8>> {
    let (meta, body) = prune(view, paths, object)?;
    for path in paths {
        let _ = index_value(&body, path);
    }
    // Stricter than the cache: it minds keys given twice, and characters that are none.
    if let Ok(parsed) = Object::parse(Bytes::copy_from_slice(&body)) {
        assert_eq!(parsed.key(), &meta.key);
        assert_eq!(parsed.uid(), meta.uid);
        assert_eq!(parsed.resource_version(), meta.resource_version);
        let _ = parsed.labels().len();
    }
    let (again, body_again) = prune(view, paths, &body).expect("what was pruned can be pruned");
    assert_eq!(again.key, meta.key);
    assert_eq!(body_again, body, "pruning takes out everything at once");
    Some(body)
}

/// Records of an HTTP status and a `Retry-After`.
fn answer(data: &[u8]) {
    for record in records(data) {
        let code = u16::try_from(record.number(0)).unwrap_or(500);
        let after = Some(record.number(1)).filter(|seconds| *seconds > 0);
        let error = ApiError::from_response(code, record.body, after);
        assert!(!error.message.is_empty());
        assert_eq!(error.code, code);
    }
}

/// Records of a path and its document.
fn discovery(data: &[u8]) {
    let documents: Vec<(String, Bytes)> = records(data)
        .map(|record| (record.text(0), Bytes::copy_from_slice(record.body)))
        .collect();
    let server = FakeServer::new(move |uri| {
        let document = documents.iter().find(|(path, _)| path == uri.path());
        document.map_or((404, Bytes::new()), |(_, document)| (200, document.clone()))
    });
    let cache = DiscoveryCache::new(server.client());
    if runtime().block_on(cache.refresh()).is_err() {
        return;
    }
    let mut seen = BTreeSet::new();
    for info in cache.deletable() {
        let resource = &info.resource;
        let found = cache.lookup(resource).expect("what can be deleted is known");
        assert_eq!(found.resource, info.resource);
        let resolved = cache.resolve(&resource.group, &resource.version, &info.kind);
        assert!(resolved.is_some(), "{info:?}");
        assert!(
            seen.insert((resource.group.clone(), resource.plural.clone())),
            "{info:?} twice"
        );
    }
}
