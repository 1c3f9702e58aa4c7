//! `windlass status`: everything once, for people or for programs.

use jiff::Timestamp;

use super::table::{Align, Cell, Column, Tone, column, lines};
use super::text::{age, bytes, clock, duration, harmless, span};
use crate::status::{
    HostStatus, LeadershipStatus, ModulePhase, ModuleStatus, RecentSync, Role, ShareStatus, WatchState,
};

/// Errors shown at the end.
const ERRORS: usize = 5;

/// In which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Tables.
    #[default]
    Human,
    /// Tables with more columns and sections.
    Wide,
    /// The structure as JSON.
    Json,
    /// The structure as YAML.
    Yaml,
}

/// The structure could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the status: {0}")]
pub struct RenderError(String);

/// The status as text that ends with a line break. `width` is that of the terminal,
/// nothing if it goes elsewhere; `colours` are for tables alone.
///
/// # Errors
/// When a structure cannot be written, which only a failing formatter can cause.
pub fn render(
    status: &HostStatus,
    output: Output,
    width: Option<usize>,
    colours: bool,
) -> Result<String, RenderError> {
    match output {
        Output::Human | Output::Wide => Ok(tables(status, output == Output::Wide, width, colours)),
        Output::Json => serde_json::to_string_pretty(status)
            .map(|json| json + "\n")
            .map_err(|error| RenderError(error.to_string())),
        Output::Yaml => serde_saphyr::to_string(status).map_err(|error| RenderError(error.to_string())),
    }
}

fn tables(status: &HostStatus, wide: bool, width: Option<usize>, colours: bool) -> String {
    let mut text = heading(status, colours).join("\n");
    text.push('\n');
    let width = if wide { None } else { width };
    let mut section = |columns: &[Column], rows: &[Vec<Cell>]| {
        let lines = lines(columns, rows, width, colours);
        if !lines.is_empty() {
            text.push('\n');
            for line in lines {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    };
    section(&module_columns(wide), &module_rows(status, wide));
    section(&CACHES, &cache_rows(status));
    section(&LEASES, &lease_rows(status));
    if wide {
        section(&CALLS, &call_rows(status));
    }
    section(&ERROR_COLUMNS, &error_rows(status));
    if status.modules.is_empty() {
        text.push_str("\nNo modules are configured.\n");
    }
    text
}

/// Who, since when, and whether all is well.
pub(super) fn heading(status: &HostStatus, colours: bool) -> Vec<String> {
    let facts = [
        harmless(&status.identity),
        format!("version {}", harmless(&status.version)),
        format!("up {}", age(status.started, status.at)),
        harmless(&status.api_server),
    ];
    let mut lines = vec![facts.join("   ")];
    if status.is_ready() {
        lines.push(Tone::Good.paint("Ready", colours));
    } else {
        lines.push(Tone::Bad.paint("Not ready", colours));
        let reasons = status.reasons().into_iter();
        lines.extend(reasons.map(|reason| format!("  {}", harmless(&reason))));
    }
    let cached = &status.cache_use;
    if let Some(limit) = cached.limit_bytes {
        let tone = if cached.bytes > limit / 10 * 9 {
            Tone::Bad
        } else {
            Tone::Quiet
        };
        let text = format!("Caches hold {} of {}", bytes(cached.bytes), bytes(limit));
        lines.push(tone.paint(&text, colours));
    }
    lines
}

fn module_columns(wide: bool) -> Vec<Column> {
    use Align::{Left, Right};
    let mut columns = vec![
        column("MODULE", Left, 0),
        column("STATE", Left, 0),
        column("VERSION", Left, 5),
        column("QUEUE", Right, 1),
        column("SYNCS", Right, 2),
        column("ERRORS", Right, 1),
        column("P50", Right, 4),
        column("P99", Right, 2),
        column("MEMORY", Right, 3),
        column("RESTARTS", Right, 3),
        column("AGE", Right, 4),
    ];
    if wide {
        columns.extend([
            column("ROLE", Left, 6),
            column("WORKERS", Right, 6),
            column("CPU", Right, 6),
            column("DIGEST", Left, 6),
            column("ORIGIN", Left, 6),
            column("REASON", Left, 6),
        ]);
    }
    columns
}

fn module_rows(status: &HostStatus, wide: bool) -> Vec<Vec<Cell>> {
    let modules = status.modules.iter();
    modules
        .map(|module| {
            let mut row: Vec<Cell> = vec![
                harmless(&module.name).into(),
                state(module),
                harmless(&module.guest.version).into(),
                module.queue.depth.to_string().into(),
                module.syncs.total().to_string().into(),
                count(module.syncs.error_total()),
                duration(module.syncs.p50).into(),
                duration(module.syncs.p99).into(),
                bytes(module.usage.memory_bytes).into(),
                count(module.usage.restart_total()),
                age(module.state.since, status.at).into(),
            ];
            if wide {
                row.extend(more(module));
            }
            row
        })
        .collect()
}

fn more(module: &ModuleStatus) -> [Cell; 6] {
    let digest: String = harmless(&module.guest.digest).chars().take(19).collect();
    [
        role(module.leadership.as_ref()).into(),
        format!("{}/{}", module.workers.active, module.workers.limit).into(),
        duration(Some(module.usage.cpu_seconds)).into(),
        digest.into(),
        harmless(&module.guest.origin).into(),
        harmless(module.state.reason.as_deref().unwrap_or("-")).into(),
    ]
}

/// A module's part among the replicas.
fn role(leadership: Option<&LeadershipStatus>) -> String {
    let Some(LeadershipStatus { role, share, .. }) = leadership else {
        return "always".to_owned();
    };
    match (role, share) {
        (Role::Leader, Some(ShareStatus { slots, of })) => format!("share {slots}/{of}"),
        (Role::Leader, None) => "leader".to_owned(),
        (Role::Follower, _) => "follower".to_owned(),
    }
}

pub(super) fn state(module: &ModuleStatus) -> Cell {
    let phase = module.state.phase;
    let tone = match phase {
        ModulePhase::Running => Tone::Good,
        ModulePhase::BackOff | ModulePhase::Failed => Tone::Bad,
        _ => Tone::Quiet,
    };
    Cell(phase.name().to_owned(), tone)
}

/// A count that should be zero.
pub(super) fn count(value: u64) -> Cell {
    let tone = if value == 0 { Tone::Plain } else { Tone::Bad };
    Cell(value.to_string(), tone)
}

const CACHES: [Column; 8] = [
    column("CACHE", Align::Left, 0),
    column("VIEW", Align::Left, 2),
    column("WATCH", Align::Left, 1),
    column("OBJECTS", Align::Right, 1),
    column("SIZE", Align::Right, 1),
    column("READERS", Align::Right, 3),
    column("RELISTS", Align::Right, 3),
    column("NOTE", Align::Left, 4),
];

fn cache_rows(status: &HostStatus) -> Vec<Vec<Cell>> {
    let caches = status.caches.iter();
    caches
        .map(|cache| {
            let tone = match cache.watch {
                WatchState::Watching => Tone::Good,
                WatchState::BackOff => Tone::Bad,
                WatchState::Listing | WatchState::Stopped => Tone::Quiet,
            };
            vec![
                harmless(&cache.resource).into(),
                harmless(&cache.view).into(),
                Cell(cache.watch.name().to_owned(), tone),
                cache.objects.to_string().into(),
                bytes(cache.bytes).into(),
                cache.subscribers.to_string().into(),
                cache.relists.to_string().into(),
                harmless(cache.reason.as_deref().unwrap_or_default()).into(),
            ]
        })
        .collect()
}

const LEASES: [Column; 5] = [
    column("LEASE", Align::Left, 0),
    column("HOLDER", Align::Left, 0),
    column("RENEWED", Align::Right, 1),
    column("LASTS", Align::Right, 2),
    column("CHANGES", Align::Right, 2),
];

fn lease_rows(status: &HostStatus) -> Vec<Vec<Cell>> {
    let leases = status.leases.iter();
    leases
        .map(|lease| {
            let holder = match (lease.held, lease.holder.as_str()) {
                (true, _) => Cell("this process".to_owned(), Tone::Good),
                (false, "") => Cell("nobody".to_owned(), Tone::Bad),
                (false, holder) => harmless(holder).into(),
            };
            let renewed = lease.renewed.map(|renewed| age(renewed, status.at) + " ago");
            vec![
                harmless(&lease.name).into(),
                holder,
                renewed.unwrap_or_else(|| "-".to_owned()).into(),
                span(i64::try_from(lease.duration_seconds).unwrap_or(i64::MAX)).into(),
                lease.transitions.to_string().into(),
            ]
        })
        .collect()
}

const CALLS: [Column; 5] = [
    column("MODULE", Align::Left, 0),
    column("VERB", Align::Left, 0),
    column("RESOURCE", Align::Left, 0),
    column("CODE", Align::Left, 0),
    column("CALLS", Align::Right, 0),
];

fn call_rows(status: &HostStatus) -> Vec<Vec<Cell>> {
    let calls = status
        .modules
        .iter()
        .flat_map(|module| module.api.calls.iter().map(move |call| (module, call)));
    calls
        .map(|(module, call)| {
            vec![
                harmless(&module.name).into(),
                harmless(&call.verb).into(),
                harmless(&call.resource).into(),
                harmless(&call.code).into(),
                call.count.to_string().into(),
            ]
        })
        .collect()
}

const ERROR_COLUMNS: [Column; 4] = [
    column("LATEST ERRORS", Align::Left, 0),
    column("MODULE", Align::Left, 1),
    column("KEY", Align::Left, 0),
    column("ERROR", Align::Left, 0),
];

fn error_rows(status: &HostStatus) -> Vec<Vec<Cell>> {
    let modules = status.modules.iter();
    let mut errors: Vec<(Timestamp, &str, &RecentSync)> = modules
        .flat_map(|module| {
            let errors = module.syncs.errors.iter();
            errors.map(|sync| (sync.at, module.name.as_str(), sync))
        })
        .collect();
    errors.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    errors.truncate(ERRORS);
    errors
        .into_iter()
        .map(|(at, module, sync)| {
            let message = sync.error.as_deref().unwrap_or_else(|| sync.result.name());
            vec![
                clock(at).into(),
                harmless(module).into(),
                harmless(&sync.key).into(),
                harmless(message).into(),
            ]
        })
        .collect()
}
