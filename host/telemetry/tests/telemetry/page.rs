//! The status page in a real browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use windlass_telemetry::server::{self, ServerConfig, ServerHandle};
use windlass_telemetry::status::{HostStatus, StatusSource};

use crate::browser::Page;
use crate::fake::FakeHost;
use crate::is_missing;

const WIDE: u32 = 1280;
const MODULES: &str = "document.querySelectorAll('.module').length";

/// A quick server: samples come faster than in earnest.
async fn serve(source: Arc<dyn StatusSource>, port: u16) -> anyhow::Result<ServerHandle> {
    let config = ServerConfig {
        address: format!("127.0.0.1:{port}").parse()?,
        sample_period: Duration::from_millis(100),
        ..ServerConfig::default()
    };
    Ok(server::start(config, source).await?)
}

async fn open(width: u32) -> anyhow::Result<(ServerHandle, Page)> {
    let server = serve(Arc::new(FakeHost::default()), 0).await?;
    let mut page = Page::open(width).await?;
    page.go(&format!("http://{}/", server.address())).await?;
    page.until(&format!("{MODULES} === 4")).await?;
    page.until("document.querySelectorAll('.line').length >= 16")
        .await?;
    Ok((server, page))
}

async fn open_details(page: &mut Page) -> anyhow::Result<()> {
    page.value("document.querySelectorAll('.module-name').forEach((button) => button.click())")
        .await?;
    Ok(())
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn the_page_shows_the_host_live_and_asks_nobody_else() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (server, mut page) = open(WIDE).await?;
    let names = page
        .value("[...document.querySelectorAll('.module-name')].map((name) => name.textContent)")
        .await?;
    assert_eq!(
        strings(&names),
        ["deployment", "replicaset", "scheduler", "checkout-operator"]
    );
    assert_eq!(
        page.value("document.getElementById('ready').textContent").await?,
        "Not ready"
    );
    assert_eq!(page.value("document.title").await?, "Not ready · Windlass");
    for chart in ["depth", "latency", "syncs", "calls"] {
        let line = format!("document.querySelector('[data-chart={chart}] .line').getAttribute('d')");
        let before = page.value(&line).await?;
        page.until(&format!("{line} !== {before}")).await?;
    }
    let value = "document.querySelector('[data-chart=syncs] .chart-value').textContent";
    page.until(&format!("{value}.startsWith('now: ')")).await?;

    let own = format!("http://{}/", server.address());
    let foreign: Vec<&String> = page
        .requests
        .iter()
        .filter(|url| !url.starts_with(&own))
        .collect();
    assert_eq!(foreign, Vec::<&String>::new());
    assert_eq!(page.complaints, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_guests_say_is_text_and_nothing_else() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (_server, mut page) = open(WIDE).await?;
    open_details(&mut page).await?;
    let text = page.value("document.querySelector('main').textContent").await?;
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>"));
    // Characters that turn text around are shown by their number.
    assert!(text.contains("\\u202e") && !text.contains('\u{202e}'));
    assert_eq!(page.value("typeof window.pwned").await?, "undefined");
    assert_eq!(
        page.value("document.querySelectorAll('main img, main script').length")
            .await?,
        0
    );
    assert_eq!(page.complaints, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_keyboard_reaches_everything_and_focus_survives_updates() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (_server, mut page) = open(WIDE).await?;
    let wanted = "[...document.querySelectorAll('a, button, select, input, .plot')]";
    page.value(&format!(
        "{wanted}.forEach((node, index) => {{ node.dataset.stop = index; }})"
    ))
    .await?;
    let count = page.value(&format!("{wanted}.length")).await?;
    let count = count.as_u64().unwrap_or_default();
    assert!(count >= 18, "{count} things to reach");
    let mut reached = Vec::new();
    for _ in 0..count {
        page.press("Tab", 9).await?;
        let stop = page
            .value("({ stop: Number(document.activeElement.dataset.stop), outline: getComputedStyle(document.activeElement).outlineStyle })")
            .await?;
        assert_ne!(stop["outline"], "none", "focus is not visible at {stop}");
        reached.push(stop["stop"].as_u64());
    }
    assert_eq!(reached, (0..count).map(Some).collect::<Vec<_>>());

    page.value("document.querySelector('.module-name').focus()")
        .await?;
    page.press("Enter", 13).await?;
    let state = "document.activeElement.getAttribute('aria-expanded')";
    assert_eq!(page.value(state).await?, "true");
    let seen = "document.querySelector('.module .detail').textContent";
    let before = page.value(seen).await?;
    page.until(&format!("{seen} !== {before}")).await?;
    assert_eq!(
        page.value(state).await?,
        "true",
        "the focus was lost by an update"
    );

    page.value("document.querySelector('.plot').focus()").await?;
    page.press("ArrowLeft", 37).await?;
    page.until("document.querySelectorAll('.cursor').length === 4")
        .await?;
    let label = page
        .value("document.activeElement.getAttribute('aria-label')")
        .await?;
    assert!(
        label
            .as_str()
            .is_some_and(|label| label.starts_with("Queue depth, ") && label.contains(':')),
        "{label}"
    );
    page.press("Escape", 27).await?;
    page.until("document.querySelectorAll('.cursor').length === 0")
        .await?;
    Ok(())
}

/// Everything with text of its own whose contrast is too small, and every line.
const TOO_FAINT: &str = r"(() => {
  const parse = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let looked = 0;
  for (const node of document.querySelectorAll('body *')) {
    const style = getComputedStyle(node);
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const line = node.classList.contains('line');
    if ((!own && !line) || style.visibility === 'hidden' || node.getClientRects().length === 0) continue;
    looked += 1;
    const shown = ratio(parse(line ? style.stroke : style.color), behind(node));
    if (shown < (line ? 3 : 4.5)) faint.push(`${node.tagName}.${node.getAttribute('class')} ${shown.toFixed(2)}`);
  }
  return { faint: [...new Set(faint)], looked };
})()";

#[tokio::test]
async fn light_and_dark_have_enough_contrast() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (server, mut page) = open(WIDE).await?;
    open_details(&mut page).await?;
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        let result = page.value(TOO_FAINT).await?;
        assert_eq!(result["faint"], json!([]), "in {scheme}");
        assert!(
            result["looked"].as_u64().is_some_and(|looked| looked > 200),
            "{result}"
        );
        backgrounds.push(
            page.value("getComputedStyle(document.documentElement).backgroundColor")
                .await?,
        );
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
    // The button overrules what the system prefers, and is remembered.
    page.value("document.getElementById('theme').click()").await?;
    let background = "getComputedStyle(document.documentElement).backgroundColor";
    assert_eq!(page.value(background).await?, backgrounds[0]);
    page.go(&format!("http://{}/", server.address())).await?;
    page.until("document.getElementById('theme').textContent === 'Theme: light'")
        .await?;
    assert_eq!(page.value(background).await?, backgrounds[0]);
    Ok(())
}

#[tokio::test]
async fn narrow_screens_do_not_scroll_sideways() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (_server, mut page) = open(WIDE).await?;
    open_details(&mut page).await?;
    for width in [320, 375, 500, 720, 721, 1000, 1280] {
        page.resize(width).await?;
        page.until(&format!("innerWidth === {width}")).await?;
        let needed = page.value("document.documentElement.scrollWidth").await?;
        let beyond = page
            .value("[...document.querySelectorAll('main *')].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && node.getBoundingClientRect().left >= 0).map((node) => node.tagName + '.' + node.getAttribute('class')).slice(0, 8)")
            .await?;
        assert!(
            needed.as_u64().is_some_and(|needed| needed <= u64::from(width)),
            "{needed} of {width}: {beyond}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_host_is_said_and_found_again() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (server, mut page) = open(WIDE).await?;
    let port = server.address().port();
    server.shutdown().await;
    page.until("!document.getElementById('banner').hidden").await?;
    let said = page
        .value("document.getElementById('banner').textContent")
        .await?;
    assert!(
        said.as_str()
            .is_some_and(|said| said.starts_with("The host does not answer. What you see is from ")),
        "{said}"
    );
    let _server = serve(Arc::new(FakeHost::default()), port).await?;
    page.until("document.getElementById('banner').hidden").await?;
    Ok(())
}

#[tokio::test]
async fn syncs_can_be_filtered() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let (_server, mut page) = open(WIDE).await?;
    page.until("document.querySelectorAll('#sync-list tbody tr').length === 20")
        .await?;
    page.value("document.getElementById('sync-more').click()").await?;
    page.until("document.querySelectorAll('#sync-list tbody tr').length === 40")
        .await?;
    let choose = |name: &str, value: &str| {
        format!(
            "(() => {{ const field = document.querySelector('#sync-filter [name={name}]'); field.value = {value:?}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        )
    };
    page.value(&choose("what", "errors")).await?;
    page.until("[...document.querySelectorAll('#sync-list tbody .chip')].every(({ dataset }) => dataset.tone === 'bad')")
        .await?;
    page.value(&choose("module", "deployment")).await?;
    page.until("document.querySelector('#sync-list .empty')").await?;
    page.value(&choose("module", "checkout-operator")).await?;
    page.value(&choose("text", "PWNED")).await?;
    page.until("document.querySelectorAll('#sync-list tbody tr').length > 0")
        .await?;
    page.value(&choose("text", "nothing like it")).await?;
    page.until("document.querySelector('#sync-list .empty')").await?;
    Ok(())
}

#[tokio::test]
async fn a_host_without_anything_says_so() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    let server = serve(Arc::new(HostStatus::default), 0).await?;
    let mut page = Page::open(WIDE).await?;
    page.go(&format!("http://{}/", server.address())).await?;
    page.until("document.querySelectorAll('.empty').length >= 5")
        .await?;
    page.until("document.querySelector('[data-chart=depth] .chart-value').textContent.length > 0")
        .await?;
    assert_eq!(page.complaints, Vec::<String>::new());
    page.picture("empty.png").await
}

#[tokio::test]
async fn pictures_are_taken_for_people() -> anyhow::Result<()> {
    if is_missing("chromium") {
        return Ok(());
    }
    // A host whose clock runs fast, so that the charts are full at once.
    let (host, looks, start) = (FakeHost::default(), AtomicI64::new(0), Timestamp::now());
    let source = move || {
        let mut status = host.status();
        status.at = start + SignedDuration::from_secs(looks.fetch_add(1, Ordering::Relaxed));
        status
    };
    let config = ServerConfig {
        address: "127.0.0.1:0".parse()?,
        sample_period: Duration::from_millis(10),
        ..ServerConfig::default()
    };
    let server = server::start(config, Arc::new(source)).await?;
    let mut page = Page::open(WIDE).await?;
    page.go(&format!("http://{}/", server.address())).await?;
    page.until("(document.querySelector('[data-chart=syncs] .line')?.getAttribute('d').length ?? 0) > 1800")
        .await?;
    page.until("document.querySelectorAll('.module-name').length > 3")
        .await?;
    page.value("document.querySelectorAll('.module-name')[3].click()")
        .await?;
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 768)] {
        page.prefer(scheme).await?;
        page.resize(width).await?;
        page.until(&format!("innerWidth === {width}")).await?;
        page.picture(&format!("{scheme}-{width}.png")).await?;
    }
    Ok(())
}
