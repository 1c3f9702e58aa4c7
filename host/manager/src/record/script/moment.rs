//! What a guest may learn at one moment of a recording: the answers of the segment that
//! it is in, each given once and in order, and then what was known last.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use bytes::Bytes;
use windlass_core::key::ResourceInfo;
use windlass_core::seams::{LogLevel, ReadError};

use crate::record::entry::{Entry, Question};

/// What the caches answered.
pub(crate) type Objects = Result<Vec<Bytes>, ReadError>;

/// Answers to the same question over time.
struct Answers<K, V> {
    /// Of the present segment.
    present: HashMap<K, VecDeque<V>>,
    /// The last one given or passed.
    last: HashMap<K, V>,
}

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self {
            present: HashMap::new(),
            last: HashMap::new(),
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Answers<K, V> {
    fn load(&mut self, question: K, answer: V) {
        self.present.entry(question).or_default().push_back(answer);
    }

    fn take(&mut self, question: &K) -> Option<V> {
        match self.present.get_mut(question).and_then(VecDeque::pop_front) {
            Some(answer) => {
                self.last.insert(question.clone(), answer.clone());
                Some(answer)
            }
            None => self.last.get(question).cloned(),
        }
    }

    /// What was not asked for becomes the last that is known.
    fn pass(&mut self) {
        for (question, mut answers) in self.present.drain() {
            if let Some(last) = answers.pop_back() {
                self.last.insert(question, last);
            }
        }
    }

    fn forget(&mut self) {
        self.present.clear();
        self.last.clear();
    }
}

/// Whether answers of earlier moments are better than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// There is nobody else to ask.
    Everything,
    /// The caches can be asked.
    Moment,
}

/// See the module.
pub(crate) struct Moment {
    memory: Memory,
    reads: Answers<Question, Objects>,
    resolved: Answers<(String, String, String), Option<ResourceInfo>>,
    now: Answers<(), Duration>,
    monotonic: Answers<(), u64>,
    random: Answers<(), u64>,
    logs: Answers<u8, bool>,
    /// Numbers that had to be made up.
    invented: u64,
}

impl Moment {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            reads: Answers::default(),
            resolved: Answers::default(),
            now: Answers::default(),
            monotonic: Answers::default(),
            random: Answers::default(),
            logs: Answers::default(),
            invented: 0,
        }
    }

    /// A new segment begins.
    pub(crate) fn pass(&mut self) {
        match self.memory {
            Memory::Everything => self.reads.pass(),
            Memory::Moment => self.reads.forget(),
        }
        self.resolved.pass();
        self.now.pass();
        self.monotonic.pass();
        self.random.pass();
        self.logs.pass();
    }

    /// Takes an entry of the segment, if it is an answer.
    pub(crate) fn load(&mut self, entry: &Entry) {
        match entry {
            Entry::Read { question, answer } => self.reads.load(question.clone(), answer.clone()),
            Entry::Resolve {
                group,
                version,
                kind,
                answer,
            } => {
                let question = (group.clone(), version.clone(), kind.clone());
                self.resolved.load(question, answer.clone());
            }
            Entry::Now(time) => self.now.load((), *time),
            Entry::Monotonic(nanos) => self.monotonic.load((), *nanos),
            Entry::Random(number) => self.random.load((), *number),
            Entry::Logs(level, answer) => self.logs.load(*level as u8, *answer),
            _ => {}
        }
    }

    pub(crate) fn read(&mut self, question: &Question) -> Option<Objects> {
        self.reads.take(question)
    }

    pub(crate) fn resolve(&mut self, group: &str, version: &str, kind: &str) -> Option<Option<ResourceInfo>> {
        self.resolved
            .take(&(group.to_owned(), version.to_owned(), kind.to_owned()))
    }

    /// Stands still once the recorded guest looked at it no more.
    pub(crate) fn now(&mut self) -> Option<Duration> {
        self.now.take(&())
    }

    pub(crate) fn monotonic(&mut self) -> u64 {
        self.monotonic.take(&()).unwrap_or_default()
    }

    /// Goes on in a sequence of its own once the recorded numbers are used up, the same in
    /// every replay.
    pub(crate) fn random(&mut self) -> u64 {
        if let Some(number) = self.random.present.get_mut(&()).and_then(VecDeque::pop_front) {
            return number;
        }
        self.invented += 1;
        mix(self.invented)
    }

    pub(crate) fn logs(&mut self, level: LogLevel) -> bool {
        self.logs.take(&(level as u8)).unwrap_or(false)
    }
}

/// SplitMix64: spreads a counter over all numbers.
fn mix(counter: u64) -> u64 {
    let mut mixed = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
