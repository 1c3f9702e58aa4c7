//! Request bodies in Kubernetes' protobuf form, turned into the JSON that the same client
//! would have sent (`apimachinery/pkg/runtime/serializer/protobuf`).
//!
//! Only reading: answers are JSON, which every client that sends protobuf accepts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::meta;
use crate::schema::{Field, Kind, MessageId, Shape, schema};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper nesting than any type has.
const MAX_DEPTH: usize = 32;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("the body does not begin with the prefix of Kubernetes objects")]
    Prefix,
    #[error("the body ends early")]
    Truncated,
    #[error("a field has a wire type that its kind cannot have")]
    WireType,
    #[error("a text is not valid UTF-8, or embedded JSON is not JSON")]
    Content,
    #[error("messages are nested too deeply")]
    Depth,
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    Unknown { api_version: String, kind: String },
}

type Result<T> = std::result::Result<T, ProtobufError>;

/// Decodes a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let (mut api_version, mut kind, mut raw): (&str, &str, &[u8]) = ("", "", &[]);
    for entry in entries(envelope) {
        match entry? {
            (1, Wire::Bytes(type_meta)) => {
                for entry in entries(type_meta) {
                    match entry? {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let unknown = || ProtobufError::Unknown {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    };
    let id = schema().root(api_version, kind).ok_or_else(unknown)?;
    let mut members = Map::new();
    read_message(&mut members, id, raw, 0)?;
    members.insert("apiVersion".to_owned(), api_version.into());
    members.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(members))
}

/// A value as the wire has it.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers.
fn entries(mut rest: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = read_entry(&mut rest);
        if entry.is_err() {
            rest = &[];
        }
        Some(entry)
    })
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Result<(u64, Wire<'a>)> {
    let tag = varint(rest)?;
    let wire = match tag & 7 {
        0 => Wire::Number(varint(rest)?),
        1 => Wire::Number(u64::from_le_bytes(fixed(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| ProtobufError::Truncated)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
            *rest = after;
            Wire::Bytes(bytes)
        }
        5 => Wire::Number(u32::from_le_bytes(fixed(rest)?).into()),
        _ => return Err(ProtobufError::WireType),
    };
    Ok((tag >> 3, wire))
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>().ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(*bytes)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(ProtobufError::Truncated)?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ProtobufError::WireType)
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| ProtobufError::Content)
}

fn read_message(members: &mut Map<String, Value>, id: MessageId, bytes: &[u8], depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Depth);
    }
    for entry in entries(bytes) {
        let (number, wire) = entry?;
        // A field that this version does not know is skipped, as typed decoders do.
        let Some(field) = schema().message(id).by_number(number) else {
            continue;
        };
        match (field.inline, field.kind, wire) {
            (true, Kind::Message(inner), Wire::Bytes(bytes)) => {
                read_message(members, inner, bytes, depth + 1)?
            }
            _ => read_field(members, field, wire, depth)?,
        }
    }
    Ok(())
}

fn read_field(members: &mut Map<String, Value>, field: &Field, wire: Wire<'_>, depth: usize) -> Result<()> {
    match field.shape {
        Shape::One => {
            let value =
                read_value(field.kind, wire, depth)?.filter(|value| field.keep_zero || !is_zero(value));
            if let Some(value) = value {
                members.insert(field.name.to_owned(), value);
            }
        }
        Shape::List => {
            let list = members
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let (Some(list), Some(value)) = (list.as_array_mut(), read_value(field.kind, wire, depth)?) {
                list.push(value);
            }
        }
        Shape::Map => {
            let Wire::Bytes(bytes) = wire else {
                return Err(ProtobufError::WireType);
            };
            let (key, value) = read_pair(field.kind, bytes, depth)?;
            let map = members
                .entry(field.name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Scalars only: an empty message says that it is there.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn read_pair(kind: Kind, bytes: &[u8], depth: usize) -> Result<(String, Value)> {
    let (mut key, mut value) = (String::new(), None);
    for entry in entries(bytes) {
        match entry? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?.to_owned(),
            (2, wire) => value = read_value(kind, wire, depth)?,
            _ => {}
        }
    }
    let empty = || {
        if matches!(kind, Kind::Text | Kind::Bytes) {
            Value::from("")
        } else {
            Value::Null
        }
    };
    Ok((key, value.unwrap_or_else(empty)))
}

fn read_value(kind: Kind, wire: Wire<'_>, depth: usize) -> Result<Option<Value>> {
    let bytes = match (kind, wire) {
        (Kind::Integer, Wire::Number(number)) => return Ok(Some(number.cast_signed().into())),
        (Kind::Boolean, Wire::Number(number)) => return Ok(Some((number != 0).into())),
        (Kind::Double, Wire::Number(number)) => return Ok(Some(f64::from_bits(number).into())),
        (Kind::Integer | Kind::Boolean | Kind::Double, _) | (_, Wire::Number(_)) => {
            return Err(ProtobufError::WireType);
        }
        (_, Wire::Bytes(bytes)) => bytes,
    };
    Ok(match kind {
        Kind::Text => Some(text(bytes)?.into()),
        Kind::Bytes => Some(STANDARD.encode(bytes).into()),
        Kind::Time => read_time(bytes)?.map(|time| meta::rfc3339(time).into()),
        Kind::MicroTime => read_time(bytes)?.map(|time| format!("{time:.6}").into()),
        Kind::Quantity => first_bytes(bytes)?
            .map(|bytes| text(bytes).map(Value::from))
            .transpose()?,
        Kind::IntOrString => Some(read_int_or_string(bytes)?),
        Kind::Raw | Kind::FieldSet => first_bytes(bytes)?
            .filter(|json| !json.is_empty())
            .map(json)
            .transpose()?,
        Kind::Items => Some(read_items(bytes)?),
        Kind::Message(id) => {
            let mut members = Map::new();
            read_message(&mut members, id, bytes, depth + 1)?;
            Some(Value::Object(members))
        }
        Kind::Integer | Kind::Boolean | Kind::Double => None,
    })
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|_| ProtobufError::Content)
}

/// The content of messages that wrap a single text or byte field.
fn first_bytes(message: &[u8]) -> Result<Option<&[u8]>> {
    for entry in entries(message) {
        if let (1, Wire::Bytes(bytes)) = entry? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The zero time stands for no time.
fn read_time(message: &[u8]) -> Result<Option<Timestamp>> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for entry in entries(message) {
        match entry? {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanoseconds = i32::try_from(number).unwrap_or_default(),
            _ => {}
        }
    }
    if (seconds, nanoseconds) == (0, 0) {
        return Ok(None);
    }
    Timestamp::new(seconds, nanoseconds)
        .map(Some)
        .map_err(|_| ProtobufError::Content)
}

fn read_int_or_string(message: &[u8]) -> Result<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, "");
    for entry in entries(message) {
        match entry? {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { number.into() })
}

fn read_items(message: &[u8]) -> Result<Value> {
    let items = entries(message).map(|entry| match entry? {
        (1, Wire::Bytes(bytes)) => text(bytes).map(Value::from),
        _ => Err(ProtobufError::WireType),
    });
    items.collect::<Result<Vec<_>>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A length-delimited field, with a tag of two bytes where it takes them.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let tag = u16::from(number) << 3 | 2;
        let low = u8::try_from(tag & 0x7f).unwrap();
        let mut out = if tag < 0x80 {
            vec![low]
        } else {
            vec![low | 0x80, u8::try_from(tag >> 7).unwrap()]
        };
        out.push(u8::try_from(content.len()).unwrap());
        out.extend_from_slice(content);
        out
    }

    fn number(field: u8, value: u8) -> Vec<u8> {
        vec![field << 3, value]
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_deployment_keeps_explicit_zeros_and_loses_empty_texts() {
        let label = bytes(11, &[bytes(1, b"a"), bytes(2, b"b")].concat());
        let metadata = bytes(
            1,
            &[
                bytes(1, b"web"),
                bytes(2, b""),
                label,
                bytes(8, &[0x08, 0, 0x10, 0]),
            ]
            .concat(),
        );
        let surge = bytes(2, &[number(1, 1), number(2, 0), bytes(3, b"25%")].concat());
        let strategy = bytes(4, &bytes(2, &surge));
        let spec = bytes(2, &[number(1, 0), number(5, 0), strategy].concat());
        let decoded = decode(&body("apps/v1", "Deployment", &[metadata, spec].concat())).unwrap();
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": "25%"}}},
        });
        assert_eq!(decoded, expected);
    }

    #[test]
    fn inlined_sources_and_secrets_take_their_json_form() {
        let source = bytes(2, &bytes(19, &bytes(1, &bytes(1, b"settings"))));
        let volume = bytes(1, &[bytes(1, b"v"), source].concat());
        let pod = decode(&body("v1", "Pod", &bytes(2, &volume))).unwrap();
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{"name": "v", "configMap": {"name": "settings"}}])
        );
        let data = bytes(2, &[bytes(1, b"k"), bytes(2, b"\x00\xff")].concat());
        assert_eq!(
            decode(&body("v1", "Secret", &data)).unwrap()["data"],
            json!({"k": "AP8="})
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(decode(b"{}"), Err(ProtobufError::Prefix));
        let unknown = ProtobufError::Unknown {
            api_version: "example.com/v1".to_owned(),
            kind: "W".to_owned(),
        };
        assert_eq!(decode(&body("example.com/v1", "W", &[])), Err(unknown));
        let whole = body("v1", "Pod", &bytes(1, &bytes(1, b"name")));
        let decoded = decode(&whole).unwrap();
        for end in 0..whole.len() {
            assert_ne!(
                decode(&whole[..end]).ok().as_ref(),
                Some(&decoded),
                "cut at {end}"
            );
        }
    }
}
