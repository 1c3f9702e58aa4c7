//! Messages of the built-in types: from the wire, with the table of `schema`, to the JSON
//! that Go's encoder writes for the same object.
//!
//! Go puts scalars on the wire even where they are zero, and leaves them out of JSON unless
//! the table says that their zero means something. Fields that the table does not have are
//! skipped, as typed decoders do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::wire::{Fault, Result, Wire, entries, packed};
use crate::meta;
use crate::schema::{Field, Kind, MessageId, Shape, schema};

/// Nesting that no stored object has: JSON is not read any deeper, either.
const MAX_DEPTH: usize = 64;

/// A fault and the members that lead to it, innermost first.
#[derive(Debug)]
pub(super) struct Misplaced {
    members: Vec<&'static str>,
    pub(super) fault: Fault,
}

impl From<Fault> for Misplaced {
    fn from(fault: Fault) -> Self {
        Self {
            members: Vec::new(),
            fault,
        }
    }
}

impl Misplaced {
    /// The path of the fault within an object of this kind.
    pub(super) fn place(&self, kind: &str) -> String {
        let members = self.members.iter().rev().copied();
        std::iter::once(kind).chain(members).collect::<Vec<_>>().join(".")
    }
}

type Placed<T> = std::result::Result<T, Misplaced>;

/// Reads a message that is not part of another one.
pub(super) fn read(id: MessageId, bytes: &[u8]) -> Placed<Map<String, Value>> {
    message(id, bytes, 0)
}

fn message(id: MessageId, bytes: &[u8], depth: usize) -> Placed<Map<String, Value>> {
    let mut members = Map::new();
    read_into(&mut members, id, bytes, depth)?;
    Ok(members)
}

fn read_into(members: &mut Map<String, Value>, id: MessageId, bytes: &[u8], depth: usize) -> Placed<()> {
    if depth > MAX_DEPTH {
        return Err(Fault::Depth.into());
    }
    for entry in entries(bytes) {
        let (number, wire) = entry?;
        let Some(field) = schema().message(id).by_number(number) else {
            continue;
        };
        match field.kind {
            Kind::Message(inner) if field.inline => read_into(members, inner, wire.bytes()?, depth + 1)?,
            _ => read_field(members, field, wire, depth).map_err(|mut misplaced| {
                misplaced.members.push(field.name);
                misplaced
            })?,
        }
    }
    Ok(())
}

fn read_field(members: &mut Map<String, Value>, field: &Field, wire: Wire<'_>, depth: usize) -> Placed<()> {
    match field.shape {
        Shape::One => {
            let value = value(field.kind, wire, depth)?;
            match value.filter(|value| field.keep_zero || !is_zero(field.kind, value)) {
                Some(value) => members.insert(field.name.to_owned(), value),
                None => members.remove(field.name),
            };
        }
        Shape::List => {
            let list = members
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                read_items(list, field.kind, wire, depth)?;
            }
        }
        Shape::Map => {
            let (key, value) = pair(field.kind, wire.bytes()?, depth)?;
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

/// Numbers may come one by one or packed.
fn read_items(list: &mut Vec<Value>, kind: Kind, wire: Wire<'_>, depth: usize) -> Placed<()> {
    if let (Kind::Integer, Wire::Bytes(bytes)) = (kind, wire) {
        for number in packed(bytes) {
            list.push(number?.cast_signed().into());
        }
    } else {
        list.extend(value(kind, wire, depth)?);
    }
    Ok(())
}

/// Only Go's own scalars have a zero that is left out: an empty message, a number that might
/// have been a text and any embedded JSON say that they are there.
fn is_zero(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Boolean => value == &Value::Bool(false),
        Kind::Integer | Kind::Double => value.as_f64() == Some(0.0),
        Kind::Text | Kind::Bytes => value == "",
        _ => false,
    }
}

/// An entry of a map.
fn pair(kind: Kind, bytes: &[u8], depth: usize) -> Placed<(String, Value)> {
    let (mut key, mut content) = (String::new(), None);
    for entry in entries(bytes) {
        match entry? {
            (1, wire) => key = wire.text()?.to_owned(),
            (2, wire) => content = value(kind, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, content.unwrap_or_else(|| empty(kind))))
}

/// What a map has under a key that came without a value.
fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Bytes => "".into(),
        Kind::Quantity => "0".into(),
        Kind::Items => Value::Array(Vec::new()),
        Kind::Message(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

fn value(kind: Kind, wire: Wire<'_>, depth: usize) -> Placed<Option<Value>> {
    Ok(match kind {
        Kind::Text => Some(wire.text()?.into()),
        Kind::Integer => Some(wire.number()?.cast_signed().into()),
        Kind::Boolean => Some((wire.number()? != 0).into()),
        Kind::Double => Some(double(f64::from_bits(wire.number()?))),
        Kind::Bytes => Some(STANDARD.encode(wire.bytes()?).into()),
        Kind::Time => time(wire.bytes()?)?.map(|time| meta::rfc3339(time).into()),
        Kind::MicroTime => time(wire.bytes()?)?.map(|time| format!("{time:.6}").into()),
        Kind::Quantity => only_field(wire.bytes()?)?
            .map(|wire| wire.text().map(Value::from))
            .transpose()?,
        Kind::IntOrString => Some(int_or_string(wire.bytes()?)?),
        Kind::Raw | Kind::FieldSet => json(wire.bytes()?)?,
        Kind::Items => Some(items(wire.bytes()?)?),
        Kind::Message(id) => Some(Value::Object(message(id, wire.bytes()?, depth + 1)?)),
        Kind::Choice(id) => choice(id, message(id, wire.bytes()?, depth + 1)?),
    })
}

/// Whole numbers have no fraction in Go's JSON.
fn double(number: f64) -> Value {
    number.to_string().parse().map_or(Value::Null, Value::Number)
}

/// The content of messages that wrap a single field.
fn only_field(message: &[u8]) -> Result<Option<Wire<'_>>> {
    for entry in entries(message) {
        if let (1, wire) = entry? {
            return Ok(Some(wire));
        }
    }
    Ok(None)
}

fn json(message: &[u8]) -> Result<Option<Value>> {
    let Some(wire) = only_field(message)? else {
        return Ok(None);
    };
    match wire.bytes()? {
        [] => Ok(None),
        text => serde_json::from_slice(text).map(Some).map_err(|_| Fault::Json),
    }
}

/// The zero time stands for no time.
fn time(message: &[u8]) -> Result<Option<Timestamp>> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for entry in entries(message) {
        match entry? {
            (1, wire) => seconds = wire.number()?.cast_signed(),
            (2, wire) => nanoseconds = i32::try_from(wire.number()?).map_err(|_| Fault::Time)?,
            _ => {}
        }
    }
    if (seconds, nanoseconds) == (0, 0) {
        return Ok(None);
    }
    Timestamp::new(seconds, nanoseconds)
        .map(Some)
        .map_err(|_| Fault::Time)
}

fn int_or_string(message: &[u8]) -> Result<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, "");
    for entry in entries(message) {
        match entry? {
            (1, wire) => is_text = wire.number()? == 1,
            (2, wire) => number = wire.number()?.cast_signed(),
            (3, wire) => string = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { number.into() })
}

fn items(message: &[u8]) -> Result<Value> {
    let mut items = Vec::new();
    for entry in entries(message) {
        if let (1, wire) = entry? {
            items.push(wire.text()?.into());
        }
    }
    Ok(Value::Array(items))
}

fn choice(id: MessageId, mut members: Map<String, Value>) -> Option<Value> {
    let fields = schema().message(id).fields();
    fields.iter().find_map(|field| members.remove(field.name))
}
