//! The short run: what is known, and a fixed number of mutations of it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::Target;
use crate::mutate::Mutator;

/// Runs a target on its seeds, its regressions and its mutations.
///
/// # Panics
/// When a promise is broken. The input that broke it is kept in a file, which is named.
pub fn run(target: Target) {
    let seeds = files(&target.corpus());
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let regressions = files(&target.regressions());
    for input in seeds.iter().chain(&regressions) {
        check(target, input);
    }
    let words = words(&target.dictionary());
    let mutator = Mutator {
        seeds: &seeds,
        words: &words,
    };
    let mut random = SmallRng::seed_from_u64(hash(target.name));
    for _ in 0..target.mutations {
        check(target, &mutator.next(&mut random));
    }
}

fn check(target: Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let path = keep(target, input);
        eprintln!(
            "the input is in {}; when this is fixed, move it to {}",
            path.display(),
            target.regressions().display()
        );
        resume_unwind(panic);
    }
}

fn keep(target: Target, input: &[u8]) -> PathBuf {
    let folder = crate::folder("findings").join(target.name);
    let path = folder.join(format!("{:016x}", hash(input)));
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    kept.unwrap_or_else(|error| eprintln!("{}: {error}", path.display()));
    path
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The files of a folder, in the order of their names; a missing folder has none.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// The words of a dictionary in libFuzzer's form: one in quotes per line, with `\\`, `\"`
/// and `\xAB` for what cannot be written.
fn words(path: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let quoted = |line: &str| Some(unescape(line.strip_prefix('"')?.strip_suffix('"')?));
    text.lines().filter_map(quoted).collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut word = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, taken) = match tail {
            [b'x', digits @ ..] if *first == b'\\' => (hex(digits), 3),
            [escaped, ..] if *first == b'\\' => (*escaped, 1),
            _ => (*first, 0),
        };
        word.push(byte);
        rest = tail.get(taken..).unwrap_or_default();
    }
    word
}

fn hex(digits: &[u8]) -> u8 {
    let digits = digits
        .get(..2)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}
