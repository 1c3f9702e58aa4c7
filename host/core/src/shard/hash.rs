//! A hash that every replica of every version computes alike: FNV-1a with a finisher.
//!
//! Not for tables that strangers fill: whoever can name objects can choose slots, which
//! makes one replica busier than another and nothing worse.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of some byte strings in this order; where one ends matters.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = OFFSET;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        // No part of a Kubernetes name holds this byte.
        hash = (hash ^ 0xff).wrapping_mul(PRIME);
    }
    finish(hash)
}

/// How well two things go together: the order by this is a random one for each `item`.
#[must_use]
pub fn score(item: &str, member: &str) -> u64 {
    hash(&[item.as_bytes(), member.as_bytes()])
}

/// Spreads the differences of the low bits over all of them (the finisher of MurmurHash3).
fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
