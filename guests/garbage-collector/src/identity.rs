//! What the graph calls objects, in as few bytes as possible: a cluster has a hundred
//! thousand of them, in few kinds and few namespaces.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use windlass_sdk::{ObjectKey, OwnerReference};

/// A text that many objects share, kept once for the life of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Symbol(u32);

#[derive(Default)]
struct Symbols {
    texts: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
}

thread_local! {
    static SYMBOLS: RefCell<Symbols> = RefCell::default();
}

impl Symbol {
    pub(crate) fn new(text: &str) -> Self {
        SYMBOLS.with_borrow_mut(|symbols| {
            if let Some(number) = symbols.numbers.get(text) {
                return Self(*number);
            }
            let number =
                u32::try_from(symbols.texts.len()).expect("there are fewer names than bytes of memory");
            let text: &'static str = Box::leak(text.into());
            symbols.texts.push(text);
            symbols.numbers.insert(text, number);
            Self(number)
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        let text = |symbols: &Symbols| symbols.texts.get(self.0 as usize).copied();
        SYMBOLS.with_borrow(text).unwrap_or_default()
    }

    pub(crate) fn is_empty(self) -> bool {
        self.as_str().is_empty()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A UID: 16 bytes where it is a UUID as servers write it, its text otherwise.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Uid {
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Uid {
    pub(crate) fn new(text: &str) -> Self {
        parse_uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    let mut digits = text.bytes().enumerate();
    let mut digit = || -> Option<u8> {
        let (mut position, mut byte) = digits.next()?;
        if matches!(position, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            (position, byte) = digits.next()?;
        }
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
        .filter(|_| position < 36)
    };
    for byte in &mut uuid {
        *byte = digit()? << 4 | digit()?;
    }
    (text.len() == 36).then_some(uuid)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Uuid(bytes) => {
                for (position, byte) in bytes.iter().enumerate() {
                    if matches!(position, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an object is found: everything of an [`Identity`] but the UID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coordinates {
    pub(crate) api_version: Symbol,
    pub(crate) kind: Symbol,
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: Symbol,
    pub(crate) name: Box<str>,
}

impl Coordinates {
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_str(), &*self.name)
    }

    /// Group and version.
    pub(crate) fn group_version(&self) -> (&'static str, &'static str) {
        group_version(self.api_version.as_str())
    }

    /// The order in which identities of one UID are tried.
    fn order(&self, other: &Self) -> Ordering {
        let key = |of: &Self| (of.kind.as_str(), of.api_version.as_str(), of.namespace.as_str());
        key(self)
            .cmp(&key(other))
            .then_with(|| self.name.cmp(&other.name))
    }
}

/// Splits `apps/v1` into group and version; the core group is empty.
pub(crate) fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// One object, existing or claimed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) at: Coordinates,
    pub(crate) uid: Uid,
}

impl Identity {
    /// Whether this comes after the other when a UID's possible identities are tried in turn.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        self.at.order(&other.at) == Ordering::Greater
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coordinates {
            api_version,
            kind,
            namespace,
            name,
        } = &self.at;
        write!(
            f,
            "[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {}]",
            self.uid
        )
    }
}

/// An owner reference, as the graph keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerRef {
    pub(crate) uid: Uid,
    pub(crate) api_version: Symbol,
    pub(crate) kind: Symbol,
    pub(crate) name: Box<str>,
    pub(crate) controller: Option<bool>,
    pub(crate) block_owner_deletion: Option<bool>,
}

impl OwnerRef {
    pub(crate) fn blocks(&self) -> bool {
        self.block_owner_deletion == Some(true)
    }

    /// Whether it names this kind and this name.
    pub(crate) fn matches(&self, at: &Coordinates) -> bool {
        self.api_version == at.api_version && self.kind == at.kind && self.name == at.name
    }

    /// The identity it implies when it stands on an object of this namespace.
    pub(crate) fn identity(&self, namespace: Symbol) -> Identity {
        Identity {
            at: Coordinates {
                api_version: self.api_version,
                kind: self.kind,
                namespace,
                name: self.name.clone(),
            },
            uid: self.uid.clone(),
        }
    }

    pub(crate) fn to_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.as_str().to_owned(),
            kind: self.kind.as_str().to_owned(),
            name: self.name.to_string(),
            uid: self.uid.to_string(),
            controller: self.controller,
            block_owner_deletion: self.block_owner_deletion,
        }
    }
}

impl From<&OwnerReference> for OwnerRef {
    fn from(reference: &OwnerReference) -> Self {
        Self {
            uid: Uid::new(&reference.uid),
            api_version: Symbol::new(&reference.api_version),
            kind: Symbol::new(&reference.kind),
            name: reference.name.as_str().into(),
            controller: reference.controller,
            block_owner_deletion: reference.block_owner_deletion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_read_back_as_they_were_written() {
        let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert!(matches!(Uid::new(uuid), Uid::Uuid(_)));
        for text in [
            uuid,
            "uid-7",
            "",
            "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9",
            &uuid[1..],
            &format!("{uuid}0"),
        ] {
            assert_eq!(Uid::new(text).to_string(), text);
        }
    }

    #[test]
    fn symbols_are_equal_as_their_texts_are() {
        assert_eq!(Symbol::new("apps/v1"), Symbol::new("apps/v1"));
        assert_ne!(Symbol::new("apps/v1"), Symbol::new("v1"));
        assert_eq!(
            (Symbol::new("v1").as_str(), Symbol::new("").is_empty()),
            ("v1", true)
        );
    }
}
