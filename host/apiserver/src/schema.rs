//! The fields of the built-in types: their JSON names, kinds and protobuf numbers.
//!
//! Serves two readers: `protobuf`, which turns the binary form into JSON, and `fields`,
//! which drops what a typed server would not have decoded. Custom types have no entry.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Names a message within the table.
pub(crate) type MessageId = usize;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Boolean,
    Double,
    Bytes,
    /// Whole seconds.
    Time,
    MicroTime,
    /// A number or a text with a unit.
    Quantity,
    IntOrString,
    /// Any JSON.
    Raw,
    /// `managedFields`: JSON in bytes.
    FieldSet,
    /// A message that is nothing but a list of texts.
    Items,
    Message(MessageId),
    /// A message of which JSON shows only the content of the first field that is there.
    Choice(MessageId),
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
    Map,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    /// Its members appear among those of the message around it.
    pub(crate) inline: bool,
    /// Whether a zero says more than absence.
    pub(crate) keep_zero: bool,
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
}

/// One message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    fields: Vec<Field>,
    /// By JSON name, inlined messages included.
    members: HashMap<&'static str, (Shape, Kind)>,
}

impl Message {
    pub(crate) fn by_number(&self, number: u64) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// In the order of the table.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn member(&self, name: &str) -> Option<(Shape, Kind)> {
        self.members.get(name).copied()
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Schema {
    messages: Vec<Message>,
    /// By kind, then by `apiVersion`.
    roots: HashMap<&'static str, HashMap<&'static str, MessageId>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| parse(include_str!("schema/fields.txt")));

/// The built-in types.
pub(crate) fn schema() -> &'static Schema {
    &SCHEMA
}

impl Schema {
    /// The message of a kind, if it is built in. `DeleteOptions` belong to every version.
    pub(crate) fn root(&self, api_version: &str, kind: &str) -> Option<MessageId> {
        let versions = self.roots.get(kind)?;
        versions.get(api_version).or_else(|| versions.get("*")).copied()
    }

    pub(crate) fn message(&self, id: MessageId) -> &Message {
        self.messages.get(id).expect("message ids come from this table")
    }
}

fn parse(text: &'static str) -> Schema {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let names = lines()
        .filter(|line| !line.starts_with('='))
        .filter_map(|line| line.split(' ').next());
    let ids: HashMap<&str, MessageId> = names.enumerate().map(|(id, name)| (name, id)).collect();
    let mut roots: HashMap<&str, HashMap<&str, MessageId>> = HashMap::new();
    let mut messages = Vec::with_capacity(ids.len());
    for line in lines() {
        if let Some(root) = line.strip_prefix("= ") {
            let mut words = root.split(' ');
            if let (Some(api_version), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) {
                let id = *ids.get(name).expect("roots name messages of the table");
                roots.entry(kind).or_default().insert(api_version, id);
            }
        } else {
            let fields = line
                .split(' ')
                .skip(1)
                .map(|field| parse_field(field, &ids))
                .collect();
            messages.push(Message {
                fields,
                members: HashMap::new(),
            });
        }
    }
    for id in 0..messages.len() {
        let members = members(&messages, id).collect();
        if let Some(message) = messages.get_mut(id) {
            message.members = members;
        }
    }
    for id in roots.values().flat_map(HashMap::values) {
        if let Some(message) = messages.get_mut(*id) {
            message
                .members
                .extend(["apiVersion", "kind"].map(|name| (name, (Shape::One, Kind::Text))));
        }
    }
    Schema { messages, roots }
}

fn members(
    messages: &[Message],
    id: MessageId,
) -> Box<dyn Iterator<Item = (&'static str, (Shape, Kind))> + '_> {
    let fields = messages
        .get(id)
        .map(|message| message.fields.as_slice())
        .unwrap_or_default();
    Box::new(fields.iter().flat_map(move |field| match field.kind {
        Kind::Message(inner) if field.inline => members(messages, inner),
        kind => Box::new(std::iter::once((field.name, (field.shape, kind)))),
    }))
}

fn parse_field(text: &'static str, ids: &HashMap<&str, MessageId>) -> Field {
    let (left, kind) = text.split_once(':').expect("fields of the table have a type");
    let digits = left
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(left.len());
    let (number, name) = left.split_at(digits);
    let (shape, kind) = match kind.split_at_checked(1) {
        Some(("*", kind)) => (Shape::List, kind),
        Some(("%", kind)) => (Shape::Map, kind),
        _ => (Shape::One, kind),
    };
    Field {
        number: number.parse().expect("fields of the table have a number"),
        name: name.trim_start_matches(['!', '^']),
        inline: name.starts_with('^'),
        keep_zero: name.starts_with('!'),
        shape,
        kind: parse_kind(kind, ids),
    }
}

fn parse_kind(text: &str, ids: &HashMap<&str, MessageId>) -> Kind {
    let id = |name| *ids.get(name).expect("fields of the table refer to its messages");
    if let Some(name) = text.strip_prefix('|') {
        return Kind::Choice(id(name));
    }
    match text {
        "s" => Kind::Text,
        "i" => Kind::Integer,
        "b" => Kind::Boolean,
        "d" => Kind::Double,
        "y" => Kind::Bytes,
        "Time" => Kind::Time,
        "MicroTime" => Kind::MicroTime,
        "Quantity" => Kind::Quantity,
        "IntOrString" => Kind::IntOrString,
        "RawExtension" => Kind::Raw,
        "FieldsV1" => Kind::FieldSet,
        "Items" => Kind::Items,
        name => Kind::Message(id(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_kind_has_its_fields() {
        for row in crate::builtin::BUILT_IN {
            let spec = row.spec();
            let found = schema().root(&spec.api_version(), &spec.kind).is_some();
            assert!(found, "{} {}", spec.api_version(), spec.kind);
        }
    }

    #[test]
    fn inlined_members_belong_to_the_message_around_them() {
        let pod = schema().root("v1", "Pod").map(|id| schema().message(id)).unwrap();
        let Some((Shape::One, Kind::Message(spec))) = pod.member("spec") else {
            panic!("pods have a spec")
        };
        let Some((Shape::List, Kind::Message(volume))) = schema().message(spec).member("volumes") else {
            panic!()
        };
        assert!(schema().message(volume).member("configMap").is_some());
        assert!(schema().message(volume).member("volumeSource").is_none());
    }
}
