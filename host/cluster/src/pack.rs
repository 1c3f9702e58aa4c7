//! Bodies as differences from text that objects of one resource have in common.
//!
//! Objects of a resource are alike: a pod shares most of its bytes with other pods. Each
//! cache therefore keeps a dictionary of up to 32 KB, made of bodies that the dictionary
//! so far could not express, and stores a body as copies from it and literals between
//! them. The dictionary only ever grows at its end, so what was packed against an earlier
//! one unpacks against a later one. Unpacking is a few dozen copies, well under 1 µs.

use std::sync::Arc;

use bytes::Bytes;

const MAX_TEXT: usize = 32 * 1024;
/// More than this of one body teaches little.
const MAX_SAMPLE: usize = 6 * 1024;
/// A copy costs about four bytes to write down.
const MIN_MATCH: usize = 8;
const TABLE_BITS: u32 = 14;

/// The dictionary of one cache, and the way from bodies to packed bodies.
#[derive(Default)]
pub(crate) struct Packer {
    text: Arc<[u8]>,
    /// From a hash of eight bytes to where in the text they are, plus one.
    table: Vec<u16>,
}

/// Whether a body may extend the dictionary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learning {
    On,
    Off,
}

impl Packer {
    /// The dictionary as it is now.
    pub(crate) fn text(&self) -> &Arc<[u8]> {
        &self.text
    }

    pub(crate) fn pack(&mut self, body: &[u8], learning: Learning, scratch: &mut Vec<u8>) -> Box<[u8]> {
        let literals = self.encode(body, scratch);
        let poor = literals * 5 > body.len() * 2;
        if learning == Learning::On && poor && self.learn(body) {
            self.encode(body, scratch);
        }
        scratch.as_slice().into()
    }

    /// Writes the packed form and returns how many bytes of it are literals.
    fn encode(&self, body: &[u8], out: &mut Vec<u8>) -> usize {
        out.clear();
        push_varint(out, body.len());
        let (mut at, mut unwritten, mut literals) = (0, 0, 0);
        while !self.table.is_empty() && at + MIN_MATCH <= body.len() {
            let Some(found) = self.find(body, at, unwritten) else {
                at += 1;
                continue;
            };
            let literal = body.get(unwritten..found.body).unwrap_or_default();
            literals += literal.len();
            push_varint(out, literal.len());
            out.extend_from_slice(literal);
            push_varint(out, found.length);
            push_varint(out, found.text);
            at = found.body + found.length;
            unwritten = at;
        }
        let literal = body.get(unwritten..).unwrap_or_default();
        push_varint(out, literal.len());
        out.extend_from_slice(literal);
        literals + literal.len()
    }

    /// The text that equals the body around `at`, reaching back to `from` at most.
    fn find(&self, body: &[u8], at: usize, from: usize) -> Option<Match> {
        let hash = hash(body.get(at..)?.first_chunk()?);
        let candidate = usize::from(*self.table.get(hash)?).checked_sub(1)?;
        let forward = common_prefix(body.get(at..)?, self.text.get(candidate..)?);
        if forward < MIN_MATCH {
            return None;
        }
        let backward = common_suffix(body.get(from..at)?, self.text.get(..candidate)?);
        Some(Match {
            body: at - backward,
            text: candidate - backward,
            length: forward + backward,
        })
    }

    fn learn(&mut self, body: &[u8]) -> bool {
        let room = MAX_TEXT - self.text.len();
        let sample = body.get(..body.len().min(MAX_SAMPLE)).unwrap_or_default();
        if sample.len() > room {
            return false;
        }
        let start = self.text.len().saturating_sub(MIN_MATCH);
        self.text = self.text.iter().chain(sample).copied().collect();
        self.table.resize(1 << TABLE_BITS, 0);
        for (offset, window) in self.text.get(start..).unwrap_or_default().windows(8).enumerate() {
            let window = window.first_chunk().expect("windows are eight bytes long");
            let position = u16::try_from(start + offset + 1).expect("the text is shorter than 64 KB");
            if let Some(slot) = self.table.get_mut(hash(window)) {
                *slot = position;
            }
        }
        true
    }
}

struct Match {
    body: usize,
    text: usize,
    length: usize,
}

/// Restores a body. `text` is the dictionary it was packed against, or a later one.
/// Nothing if it was not packed by [`Packer::pack`].
pub(crate) fn unpack(mut packed: &[u8], text: &[u8]) -> Option<Bytes> {
    let length = take_varint(&mut packed)?;
    let mut body = Vec::with_capacity(length);
    loop {
        let literals = take_varint(&mut packed)?;
        let (literal, rest) = packed.split_at_checked(literals)?;
        body.extend_from_slice(literal);
        packed = rest;
        if packed.is_empty() {
            return (body.len() == length).then(|| body.into());
        }
        let length = take_varint(&mut packed)?;
        let start = take_varint(&mut packed)?;
        body.extend_from_slice(text.get(start..start.checked_add(length)?)?);
    }
}

fn hash(window: &[u8; 8]) -> usize {
    let mixed = u64::from_le_bytes(*window).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - TABLE_BITS)) as usize
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(a), Some(b)) = (left.get(length..length + 8), right.get(length..length + 8)) {
        if a != b {
            break;
        }
        length += 8;
    }
    let tail = left.iter().skip(length).zip(right.iter().skip(length));
    length + tail.take_while(|(a, b)| a == b).count()
}

fn common_suffix(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .rev()
        .zip(right.iter().rev())
        .take_while(|(a, b)| a == b)
        .count()
}

fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(packed: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = packed.split_first()?;
        *packed = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn like_bodies_share_their_text() {
        let mut packer = Packer::default();
        let mut scratch = Vec::new();
        let body = |number: u32| {
            format!(
                "{{\"metadata\":{{\"name\":\"web-{number}\"}},\"spec\":{{{}}}}}",
                "\"field\":1,".repeat(100)
            )
        };
        packer.pack(body(1).as_bytes(), Learning::On, &mut scratch);
        let packed = packer.pack(body(2).as_bytes(), Learning::On, &mut scratch);
        assert!(packed.len() < 60, "{} bytes", packed.len());
        assert_eq!(unpack(&packed, packer.text()).unwrap(), body(2).as_bytes());
    }

    #[test]
    fn nothing_is_learnt_unless_asked_and_the_dictionary_is_bounded() {
        let mut packer = Packer::default();
        let mut scratch = Vec::new();
        packer.pack(&[7; 1000], Learning::Off, &mut scratch);
        assert!(packer.text().is_empty());
        for seed in 0..100u32 {
            let body: Vec<u8> = (0..3000u32)
                .map(|i| (i.wrapping_mul(2_654_435_761).rotate_left(seed) >> 7) as u8)
                .collect();
            packer.pack(&body, Learning::On, &mut scratch);
        }
        assert!(packer.text().len() <= MAX_TEXT);
    }

    #[test]
    fn damaged_bytes_do_not_unpack() {
        assert_eq!(unpack(&[], b""), None);
        assert_eq!(unpack(&[5, 1, b'a'], b""), None);
        assert_eq!(unpack(&[5, 0, 5, 0, 0], b"abc"), None);
        assert_eq!(unpack(&[0xff; 12], b"abc"), None);
    }

    proptest! {
        #[test]
        fn every_body_comes_back_under_every_later_dictionary(
            bodies in proptest::collection::vec("([a-c]{1,12}|abcabcabcabcabc){0,80}", 1..12)
        ) {
            let mut packer = Packer::default();
            let mut scratch = Vec::new();
            let packed: Vec<_> =
                bodies.iter().map(|body| packer.pack(body.as_bytes(), Learning::On, &mut scratch)).collect();
            for (body, packed) in bodies.iter().zip(&packed) {
                prop_assert_eq!(unpack(packed, packer.text()).unwrap(), body.as_bytes());
            }
        }
    }
}
