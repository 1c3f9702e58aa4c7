//! Request bodies in Kubernetes' protobuf form, turned into the JSON that the same client
//! would have sent (`apimachinery/pkg/runtime/serializer/protobuf`).
//!
//! This file owns the envelope around an object, `message` the object within, and `wire`
//! the encoding of both. Whatever the bytes are, the result is an object or an error that
//! says what is wrong where. How long a body may be is not decided here. Only reading:
//! answers are JSON, which every client that sends protobuf accepts.

mod message;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::Value;

use crate::schema::schema;
use wire::{Fault, entries};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("the body does not begin with the prefix of Kubernetes objects")]
    Prefix,
    #[error("in {place}: {fault}")]
    Malformed { place: String, fault: Fault },
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    Unknown { api_version: String, kind: String },
}

/// Decodes a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let Envelope {
        api_version,
        kind,
        raw,
    } = Envelope::read(envelope).map_err(|fault| ProtobufError::Malformed {
        place: "the envelope of the object".to_owned(),
        fault,
    })?;
    let unknown = || ProtobufError::Unknown {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    };
    let id = schema().root(api_version, kind).ok_or_else(unknown)?;
    let mut members = message::read(id, raw).map_err(|misplaced| ProtobufError::Malformed {
        place: misplaced.place(kind),
        fault: misplaced.fault,
    })?;
    members.insert("apiVersion".to_owned(), api_version.into());
    members.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(members))
}

/// What an object is, and its bytes.
#[derive(Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> wire::Result<Self> {
        let mut envelope = Self::default();
        for entry in entries(bytes) {
            match entry? {
                (1, wire) => envelope.read_type(wire.bytes()?)?,
                (2, wire) => envelope.raw = wire.bytes()?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, bytes: &'a [u8]) -> wire::Result<()> {
        for entry in entries(bytes) {
            match entry? {
                (1, wire) => self.api_version = wire.text()?,
                (2, wire) => self.kind = wire.text()?,
                _ => {}
            }
        }
        Ok(())
    }
}
