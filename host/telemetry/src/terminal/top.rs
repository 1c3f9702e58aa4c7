//! `windlass top`: the modules and what they do right now, sorted by what one looks for.

use std::cmp::Ordering;
use std::io;
use std::time::{Duration, Instant};

use super::overview::{count, heading, state};
use super::screen::Screen;
use super::table::{Align, Cell, Column, Tone, column, lines};
use super::text::{bytes, clip, clock, duration, harmless, three};
use crate::client::{FetchError, fetch_status};
use crate::samples::{ModuleSample, Sample, Sampler};
use crate::status::{HostStatus, ModuleStatus};

const HELP: &str = "q quits; sort by (n)ame (d)epth (s)yncs (e)rrors (l)atency (a)pi calls (c)pu (m)emory";

const COLUMNS: [Column; 11] = [
    column("MODULE", Align::Left, 0),
    column("STATE", Align::Left, 0),
    column("QUEUE", Align::Right, 1),
    column("BUSY", Align::Right, 4),
    column("SYNCS/S", Align::Right, 1),
    column("ERRORS/S", Align::Right, 2),
    column("P50", Align::Right, 4),
    column("P99", Align::Right, 2),
    column("API/S", Align::Right, 3),
    column("CPU", Align::Right, 2),
    column("MEMORY", Align::Right, 3),
];

/// By what modules are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Name, first letter first. Everything else: most first.
    Name,
    /// Keys waiting.
    Depth,
    /// Syncs per second.
    #[default]
    Syncs,
    /// Errors per second, then all errors.
    Errors,
    /// p99.
    Latency,
    /// API calls per second.
    Calls,
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sort by this.
    Sort(SortKey),
    /// End.
    Quit,
}

impl Action {
    /// The action of a key, if it has one.
    #[must_use]
    pub fn of(key: u8) -> Option<Self> {
        let action = match key.to_ascii_lowercase() {
            b'n' => Self::Sort(SortKey::Name),
            b'd' => Self::Sort(SortKey::Depth),
            b's' => Self::Sort(SortKey::Syncs),
            b'e' => Self::Sort(SortKey::Errors),
            b'l' => Self::Sort(SortKey::Latency),
            b'a' => Self::Sort(SortKey::Calls),
            b'c' => Self::Sort(SortKey::Cpu),
            b'm' => Self::Sort(SortKey::Memory),
            // Ctrl-C, Ctrl-D.
            b'q' | 3 | 4 => Self::Quit,
            _ => return None,
        };
        Some(action)
    }
}

/// Why the live view ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// There is no host.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is no terminal.
    #[error("cannot use the terminal: {0}; `windlass status` prints the same once")]
    Terminal(#[from] io::Error),
}

/// The live view, without a terminal: looks in, frames out.
#[derive(Debug, Default)]
pub struct Top {
    /// By what modules are sorted.
    pub sort: SortKey,
    sampler: Sampler,
    status: HostStatus,
    sample: Option<Sample>,
    trouble: Option<String>,
}

impl Top {
    /// Takes a look into account.
    pub fn observe(&mut self, now: Instant, status: HostStatus) {
        self.sample = self.sampler.observe(now, &status);
        self.status = status;
        self.trouble = None;
    }

    /// Takes note that the host does not answer; what was last known stays.
    pub fn lost(&mut self, error: &FetchError) {
        self.trouble = Some(harmless(&error.to_string()));
    }

    /// The lines of a screen of this many columns and rows, never more.
    #[must_use]
    pub fn frame(&self, width: usize, height: usize) -> Vec<String> {
        let status = &self.status;
        let mut frame = vec![format!("windlass top   {}", clock(status.at))];
        if let Some(trouble) = &self.trouble {
            frame.push(trouble.clone());
        }
        frame.extend(heading(status, false));
        frame = frame.iter().map(|line| clip(line, width)).collect();
        frame.push(String::new());
        let rows: Vec<Vec<Cell>> = self.sorted().into_iter().map(row).collect();
        frame.extend(lines(&COLUMNS, &rows, Some(width), true));
        frame.truncate(height.saturating_sub(1));
        frame.resize(height.saturating_sub(1), String::new());
        frame.push(Tone::Quiet.paint(&clip(HELP, width), true));
        frame
    }

    fn sorted(&self) -> Vec<(&ModuleStatus, ModuleSample)> {
        let sampled = self.sample.iter().flat_map(|sample| &sample.modules);
        let sample_of = |name: &str| sampled.clone().find(|sample| sample.name == name).cloned();
        let modules = self.status.modules.iter();
        let mut modules: Vec<_> = modules
            .map(|module| (module, sample_of(&module.name).unwrap_or_default()))
            .collect();
        modules.sort_by(|a, b| compare(self.sort, a, b).then_with(|| a.0.name.cmp(&b.0.name)));
        modules
    }
}

fn compare(sort: SortKey, a: &(&ModuleStatus, ModuleSample), b: &(&ModuleStatus, ModuleSample)) -> Ordering {
    let by = |value: fn(&ModuleStatus, &ModuleSample) -> f64| value(b.0, &b.1).total_cmp(&value(a.0, &a.1));
    match sort {
        SortKey::Name => a.0.name.cmp(&b.0.name),
        SortKey::Depth => by(|module, _| module.queue.depth as f64),
        SortKey::Syncs => by(|_, sample| sample.syncs),
        SortKey::Errors => {
            by(|_, sample| sample.errors).then_with(|| by(|module, _| module.syncs.error_total() as f64))
        }
        SortKey::Latency => by(|_, sample| sample.p99.unwrap_or_default()),
        SortKey::Calls => by(|_, sample| sample.calls),
        SortKey::Cpu => by(|_, sample| sample.cpu),
        SortKey::Memory => by(|module, _| module.usage.memory_bytes as f64),
    }
}

fn row((module, sample): (&ModuleStatus, ModuleSample)) -> Vec<Cell> {
    let errors = Cell(three(sample.errors), count(sample.errors.ceil() as u64).1);
    vec![
        harmless(&module.name).into(),
        state(module),
        module.queue.depth.to_string().into(),
        format!("{}/{}", module.workers.active, module.workers.limit).into(),
        three(sample.syncs).into(),
        errors,
        duration(sample.p50).into(),
        duration(sample.p99).into(),
        three(sample.calls).into(),
        format!("{}%", three(sample.cpu * 100.0)).into(),
        bytes(module.usage.memory_bytes).into(),
    ]
}

/// Shows the host at `address` until a key ends it, with a look every `period`.
///
/// # Errors
/// When there is no terminal, or nobody answers the first time. A host that goes later is
/// waited for.
pub async fn run_top(address: &str, period: Duration, sort: SortKey) -> Result<(), TopError> {
    let mut top = Top {
        sort,
        ..Top::default()
    };
    top.observe(Instant::now(), fetch_status(address).await?);
    let mut screen = Screen::enter()?;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    loop {
        let (width, height) = screen.size();
        screen.draw(&top.frame(width, height))?;
        tokio::select! {
            key = screen.key() => match key.map(Action::of) {
                Some(Some(Action::Sort(sort))) => top.sort = sort,
                Some(None) => {}
                Some(Some(Action::Quit)) | None => return Ok(()),
            },
            _ = ticks.tick() => match fetch_status(address).await {
                Ok(status) => top.observe(Instant::now(), status),
                Err(error) => top.lost(&error),
            },
        }
    }
}
