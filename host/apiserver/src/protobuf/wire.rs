//! The protobuf encoding itself: tags, lengths and numbers, without any knowledge of types.
//!
//! Groups, the one wire type that Kubernetes never used, are refused.

/// What can be wrong with the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the message ends early")]
    Truncated,
    #[error("a field has the number 0")]
    Tag,
    #[error("a number is longer than 64 bits")]
    Number,
    #[error("a field has a wire type that its type cannot have")]
    WireType,
    #[error("a text is not valid UTF-8")]
    Text,
    #[error("embedded JSON is not valid JSON")]
    Json,
    #[error("a time is out of range")]
    Time,
    #[error("messages are nested too deeply")]
    Depth,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A value as the wire has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    pub(super) fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err(Fault::WireType),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Fault::WireType),
        }
    }

    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::Text)
    }
}

/// The fields of a message with their numbers, up to the first fault.
pub(super) fn entries(mut rest: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = entry(&mut rest);
        if entry.is_err() {
            rest = &[];
        }
        Some(entry)
    })
}

/// The numbers of a packed list.
pub(super) fn packed(mut rest: &[u8]) -> impl Iterator<Item = Result<u64>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let number = varint(&mut rest);
        if number.is_err() {
            rest = &[];
        }
        Some(number)
    })
}

fn entry<'a>(rest: &mut &'a [u8]) -> Result<(u64, Wire<'a>)> {
    let tag = varint(rest)?;
    let number = tag >> 3;
    if number == 0 {
        return Err(Fault::Tag);
    }
    let wire = match tag & 7 {
        0 => Wire::Number(varint(rest)?),
        1 => Wire::Number(u64::from_le_bytes(fixed(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| Fault::Truncated)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Fault::Truncated)?;
            *rest = after;
            Wire::Bytes(bytes)
        }
        5 => Wire::Number(u32::from_le_bytes(fixed(rest)?).into()),
        _ => return Err(Fault::WireType),
    };
    Ok((number, wire))
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>().ok_or(Fault::Truncated)?;
    *rest = after;
    Ok(*bytes)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Fault::Truncated)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::Number)
}
