//! The host in a terminal.

use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_telemetry::client::{FetchError, fetch_status};
use windlass_telemetry::status::{HostStatus, StatusSource};
use windlass_telemetry::terminal::{Action, Output, SortKey, Top, render};

use crate::fake::FakeHost;
use crate::http::serve;

fn status() -> HostStatus {
    let host = FakeHost::default();
    host.status();
    host.status()
}

/// What a terminal shows of a line: without colours.
fn seen(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    text + rest
}

#[tokio::test]
async fn a_running_host_is_asked_by_its_address() -> anyhow::Result<()> {
    let server = serve().await?;
    let address = server.address().to_string();
    assert_eq!(fetch_status(&address).await?.modules.len(), 4);
    assert_eq!(
        fetch_status(&format!("http://{address}/")).await?.modules.len(),
        4
    );
    server.shutdown().await;
    let error = fetch_status(&address).await.expect_err("nobody listens");
    assert!(matches!(error, FetchError::Request(_)));
    assert!(
        error
            .to_string()
            .starts_with(&format!("no host to ask: cannot connect to {address}: ")),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_look_is_printed_as_tables() -> anyhow::Result<()> {
    let text = render(&status(), Output::Human, None, false)?;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("windlass-0_5e1f   version 0.1.0   up 2h3m   https://127.0.0.1:6443"));
    assert_eq!(
        lines[1..4],
        [
            "Not ready",
            "  module/checkout-operator: the guest is backing off after a trap",
            "Caches hold 9.82Mi of 12Mi"
        ]
    );
    assert_eq!(
        lines[5].split_whitespace().collect::<Vec<_>>(),
        [
            "MODULE", "STATE", "VERSION", "QUEUE", "SYNCS", "ERRORS", "P50", "P99", "MEMORY", "RESTARTS",
            "AGE"
        ]
    );
    for wanted in [
        "deployment          Running   0.1.0",
        "CACHE",
        "backing off",
        "windlass-1_77aa",
        "LATEST ERRORS",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(
        render(&status(), Output::Wide, None, false)?.contains("ghcr.io/example/checkout-operator:1.4.2")
    );
    Ok(())
}

#[test]
fn a_module_s_part_among_the_replicas_is_shown() -> anyhow::Result<()> {
    let text = render(&status(), Output::Wide, None, false)?;
    let (head, rows) = text
        .split_once("\n\n")
        .and_then(|(_, modules)| modules.split_once('\n'))
        .unwrap_or_default();
    let at = head.find("ROLE").expect("a column of roles");
    let role = |row: &str| {
        let rest: String = row.chars().skip(at).collect();
        rest.split("   ").next().unwrap_or_default().to_owned()
    };
    let roles: Vec<String> = rows.lines().take(4).map(role).collect();
    assert_eq!(roles, ["leader", "share 86/256", "follower", "always"], "{text}");
    Ok(())
}

#[test]
fn what_guests_say_does_not_drive_the_terminal() -> anyhow::Result<()> {
    for output in [Output::Human, Output::Wide] {
        let text = render(&status(), output, None, false)?;
        assert!(text.contains("\\u202e\\u001b[31m second line"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }
    Ok(())
}

#[test]
fn programs_get_the_whole_structure() -> anyhow::Result<()> {
    let status = status();
    let json = render(&status, Output::Json, Some(40), true)?;
    let compact = serde_json::to_string(&status)?;
    assert_eq!(
        serde_json::from_str::<Value>(&json)?,
        serde_json::from_str::<Value>(&compact)?
    );
    let yaml = render(&status, Output::Yaml, Some(40), true)?;
    assert!(yaml.starts_with("apiVersion: status.windlass.dev/v1\n"), "{yaml}");
    Ok(())
}

#[test]
fn a_frame_fits_any_screen() {
    let (host, mut top, start) = (FakeHost::default(), Top::default(), Instant::now());
    top.observe(start, host.status());
    top.observe(start + Duration::from_secs(2), host.status());
    for (width, height) in [(200, 50), (80, 24), (40, 10), (20, 5), (5, 3), (1, 1)] {
        let frame = top.frame(width, height);
        assert_eq!(frame.len(), height);
        for line in &frame {
            assert!(seen(line).chars().count() <= width, "{width}: {line:?}");
        }
    }
}

#[test]
fn keys_sort_and_end() {
    let (host, mut top, start) = (FakeHost::default(), Top::default(), Instant::now());
    top.observe(start, host.status());
    top.observe(start + Duration::from_secs(2), host.status());
    assert_eq!(Action::of(b'q'), Some(Action::Quit));
    assert_eq!(Action::of(3), Some(Action::Quit));
    let mut first = |key| {
        let Some(Action::Sort(sort)) = Action::of(key) else {
            panic!("{key} does not sort")
        };
        top.sort = sort;
        let frame = top.frame(120, 40);
        let head = frame
            .iter()
            .position(|line| line.starts_with("MODULE"))
            .expect("a head");
        frame[head + 1].split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(first(b'n'), "checkout-operator");
    assert_eq!(first(b'd'), "checkout-operator");
    assert_eq!(first(b'e'), "checkout-operator");
    assert_eq!(Action::of(b'm'), Some(Action::Sort(SortKey::Memory)));
    assert_eq!(Action::of(b'?'), None);
}

#[test]
fn a_host_that_has_gone_is_said_and_its_last_state_kept() {
    let mut top = Top::default();
    top.observe(Instant::now(), status());
    top.lost(&FetchError::Refused {
        address: "127.0.0.1:1".to_owned(),
        code: http::StatusCode::NOT_FOUND,
    });
    let frame = top.frame(200, 40).join("\n");
    assert!(frame.contains("127.0.0.1:1 answered 404 Not Found"), "{frame}");
    assert!(frame.contains("checkout-operator"), "{frame}");
    assert!(frame.contains("windlass top"), "{frame}");
}
