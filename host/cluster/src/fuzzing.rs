//! Ways for fuzzers to what takes bytes from a server. Not for anybody else.

use bytes::Bytes;
use smol_str::SmolStr;
use windlass_core::key::{Resource, ResourceInfo};
use windlass_core::manifest::View;
use windlass_core::object::ObjectMeta;

use crate::frame::{Frame, Lines, Page};
use crate::index::scalar_at;
use crate::pack::{Learning, Packer, unpack};
use crate::prune::{Projection, Pruner};

/// The objects of a list page; nothing if it is none.
#[must_use]
pub fn page(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    Page::parse(bytes).ok().map(|page| page.items)
}

/// The objects in a watch stream that arrives in such chunks; as far as its lines are frames.
#[must_use]
pub fn watch<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut lines = Lines::default();
    let mut objects = Vec::new();
    for chunk in chunks {
        if lines.push(chunk).is_err() {
            break;
        }
        while let Some(line) = lines.next() {
            if let Ok(Frame::Stored(object) | Frame::Deleted(object)) = Frame::parse(&line) {
                objects.push(object.to_vec());
            }
        }
    }
    objects
}

/// What a cache keeps of an object, and what the host reads off it.
#[must_use]
pub fn prune(view: &View, index_paths: &[SmolStr], object: &[u8]) -> Option<(ObjectMeta, Vec<u8>)> {
    let source = ResourceInfo {
        resource: Resource::new("example.com", "v1", "widgets"),
        kind: "Widget".into(),
        namespaced: true,
    };
    let mut projection = Projection::METADATA;
    projection.include(view, index_paths.iter().map(SmolStr::as_str));
    let mut body = Vec::new();
    let meta = Pruner::new(&source, projection).prune(object, &mut body).ok()?;
    Some((meta, body))
}

/// What an index files a body under.
#[must_use]
pub fn index_value(body: &[u8], path: &str) -> Option<SmolStr> {
    scalar_at(body, path)
}

/// Packs all bodies with one dictionary, and then unpacks them.
#[must_use]
pub fn repack(bodies: &[&[u8]]) -> Vec<Option<Bytes>> {
    let mut packer = Packer::default();
    let mut scratch = Vec::new();
    let packed: Vec<Box<[u8]>> = bodies
        .iter()
        .map(|body| packer.pack(body, Learning::On, &mut scratch))
        .collect();
    packed
        .iter()
        .map(|packed| unpack(packed, packer.text()))
        .collect()
}
