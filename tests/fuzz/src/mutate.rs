//! Mutations without knowledge of coverage, for the short run.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// Longer inputs find nothing that shorter ones do not, and take their time.
const MAX_LENGTH: usize = 1 << 16;
/// Numbers at which something ends.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "64",
    "253",
    "254",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e400",
];

/// Makes inputs of seeds and words.
pub(crate) struct Mutator<'a> {
    pub(crate) seeds: &'a [Vec<u8>],
    pub(crate) words: &'a [Vec<u8>],
}

impl Mutator<'_> {
    /// A seed, changed in one to eight places.
    pub(crate) fn next(&self, random: &mut SmallRng) -> Vec<u8> {
        let mut input = self.seeds.choose(random).cloned().unwrap_or_default();
        for _ in 0..1 << random.random_range(0..4) {
            self.change(&mut input, random);
        }
        input.truncate(MAX_LENGTH);
        input
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut SmallRng) {
        let at = random.random_range(0..=input.len());
        let end = input.len().min(at + (1 << random.random_range(0..9)));
        let range = at..end;
        match random.random_range(0..10) {
            0 => _ = input.drain(range),
            1 => {
                let copy: Vec<u8> = input.get(range).unwrap_or_default().to_vec();
                let to = random.random_range(0..=input.len());
                input.splice(to..to, copy);
            }
            2 => {
                let count = 1 << random.random_range(0..10);
                let piece = input.get(at..end.min(at + 8)).unwrap_or_default().repeat(count);
                input.splice(at..at, piece);
            }
            3 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
            4 => {
                let bytes: [u8; 2] = random.random();
                input.splice(at..end.min(at + 2), bytes);
            }
            5 => {
                let other = self.seeds.choose(random).map_or(&[][..], Vec::as_slice);
                let from = random.random_range(0..=other.len());
                let piece = other.get(from..).unwrap_or_default().iter().copied();
                input.splice(at.., piece);
            }
            6 => self.change_number(input, at, random),
            7 => {
                let word = self.words.choose(random).cloned().unwrap_or_default();
                input.splice(range, word);
            }
            _ => {
                let word = self.words.choose(random).cloned().unwrap_or_default();
                input.splice(at..at, word);
            }
        }
    }

    /// Puts another number in the place of the next one.
    fn change_number(&self, input: &mut Vec<u8>, from: usize, random: &mut SmallRng) {
        let rest = input.get(from..).unwrap_or_default();
        let Some(start) = rest.iter().position(u8::is_ascii_digit) else {
            return;
        };
        let length = rest
            .iter()
            .skip(start)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = NUMBERS.choose(random).copied().unwrap_or_default();
        let start = from + start;
        input.splice(start..start + length, number.bytes());
    }
}
