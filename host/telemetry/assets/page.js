// Keeps the page up to date: a stream of samples for the charts, and the whole status every other second.

import { Charts, lineClass } from "./charts.js";
import { bytes, clock, count, element, fill, rate, say, span } from "./format.js";
import { Modules, cacheTable, checkTable, isError, leaseTable, shadowTable, syncTable } from "./views.js";

const POLL = 2000;
const TIMEOUT = 5000;
const STREAM_RETRY = 3000;
const SYNC_STEP = 20;

const at = (id) => document.getElementById(id);
const charts = new Charts(at("charts"));
const modules = new Modules(at("module-list"));
const tables = {
  syncs: syncTable(at("sync-list")),
  shadow: shadowTable(at("shadow-list")),
  caches: cacheTable(at("cache-list")),
  leases: leaseTable(at("lease-list")),
  checks: checkTable(at("check-list")),
};
let status = null;
let sample = null;
let syncsShown = SYNC_STEP;

// --- what the host says ---

async function poll() {
  try {
    const answer = await fetch("/api/v1/status", { signal: AbortSignal.timeout(TIMEOUT) });
    if (!answer.ok) throw new Error(`the host answered ${answer.status}`);
    status = await answer.json();
    connected();
    show();
  } catch {
    lost();
  }
  setTimeout(poll, POLL);
}

function listen() {
  const stream = new EventSource("/api/v1/events");
  stream.addEventListener("history", ({ data }) => {
    const samples = JSON.parse(data);
    sample = samples.at(-1) ?? sample;
    charts.history(samples);
  });
  stream.addEventListener("sample", ({ data }) => {
    sample = JSON.parse(data);
    charts.add(sample);
    showTiles();
  });
  stream.addEventListener("error", () => {
    // The browser tries again by itself, unless it was refused.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, STREAM_RETRY);
  });
}

function lost() {
  const banner = at("banner");
  const since = status ? ` What you see is from ${clock(status.at)}.` : "";
  say(banner, `The host does not answer.${since} Trying again…`);
  banner.hidden = false;
  document.body.classList.add("stale");
}

function connected() {
  at("banner").hidden = true;
  document.body.classList.remove("stale");
}

// --- showing it ---

function show() {
  const failing = status.checks.filter(({ passes }) => !passes);
  const up = span((Date.parse(status.at) - Date.parse(status.started)) / 1000);
  say(at("identity"), [status.identity, status.apiServer].filter(Boolean).join(" · "));
  say(at("ready"), failing.length === 0 ? "Ready" : "Not ready");
  at("ready").dataset.tone = failing.length === 0 ? "good" : "bad";
  document.title = failing.length === 0 ? "Windlass" : "Not ready · Windlass";
  at("reasons").hidden = failing.length === 0;
  fill(at("reasons"), failing.map(({ name, reason }) => element("li", {}, element("strong", {}, name), reason ? `: ${reason}` : "")));
  say(at("footer"), footer(up));
  modules.show(status);
  showChoices();
  showTiles();
  showSyncs();
  showShadows();
  tables.caches.show(status.caches, ({ resource, version, view }) => `${resource} ${version} ${view}`);
  tables.leases.show(status.leases.map((lease) => ({ lease, at: status.at })), ({ lease }) => lease.name);
  tables.checks.show(status.checks, ({ name }) => name);
}

function footer(up) {
  const parts = [`Version ${status.version}`, `up for ${up}`, `as of ${clock(status.at)}`];
  const exporter = status.tracing;
  if (exporter) {
    const dropped = Object.values(exporter.dropped).reduce((sum, value) => sum + value, 0);
    parts.push(`traces to ${exporter.endpoint}: ${count(exporter.exported)} spans sent, ${count(dropped)} lost`);
    if (exporter.lastError) parts.push(exporter.lastError);
  }
  return parts.join(" · ");
}

function showTiles() {
  if (!status) return;
  const sum = (read) => (sample?.modules ?? []).reduce((total, module) => total + read(module), 0);
  const running = status.modules.filter(({ state }) => state.phase === "running").length;
  const cached = status.caches.reduce((total, { bytes: size }) => total + size, 0);
  const limit = status.cacheUse?.limitBytes;
  const objects = status.caches.reduce((total, { objects: held }) => total + held, 0);
  const tiles = [
    ["Modules running", `${running} of ${status.modules.length}`],
    ["Keys waiting", count(status.modules.reduce((total, { queue }) => total + queue.depth, 0))],
    ["Syncs per second", rate(sum(({ syncs }) => syncs))],
    ["Errors per second", rate(sum(({ errors }) => errors))],
    ["API calls per second", rate(sum(({ calls }) => calls))],
    ["Guest memory", bytes(status.modules.reduce((total, { usage }) => total + usage.memoryBytes, 0))],
    ["Cached objects", count(objects)],
    ["Cache size", limit ? `${bytes(cached)} of ${bytes(limit)}` : bytes(cached)],
  ];
  const host = at("tiles");
  tiles.forEach(([title, value], index) => {
    let tile = host.children[index];
    if (!tile) host.append(tile = element("div", {}, element("dt", {}, title), element("dd")));
    say(tile.lastElementChild, value);
  });
}

/** The modules to choose from, in both selects and the legend. */
function showChoices() {
  const names = status.modules.map(({ name }) => name);
  for (const select of [at("chart-module"), at("sync-module")]) {
    const present = [...select.options].slice(1).map(({ value }) => value);
    if (present.join("\n") === names.join("\n")) continue;
    const chosen = select.value;
    select.replaceChildren(select.options[0], ...names.map((name) => element("option", { value: name }, name)));
    select.value = names.includes(chosen) ? chosen : "";
  }
  const legend = at("legend");
  if ([...legend.children].map(({ textContent }) => textContent).join("\n") !== names.join("\n")) {
    fill(legend, names.map((name, index) => element("li", {}, element("span", { class: `swatch ${lineClass(index)}`, "aria-hidden": "true" }), name)));
  }
}

function showSyncs() {
  const form = new FormData(at("sync-filter"));
  const text = form.get("text").trim().toLowerCase();
  const chosen = status.modules.filter(({ name }) => !form.get("module") || form.get("module") === name);
  const all = chosen.flatMap((module) => {
    const { recent, errors } = module.syncs;
    // Errors are remembered for longer than successes.
    const known = new Map([...errors, ...recent].map((sync) => [`${sync.id} ${sync.at}`, sync]));
    return [...known.values()].map((sync) => ({ module: module.name, sync }));
  });
  const matches = all.filter(({ sync }) => (form.get("what") !== "errors" || isError(sync))
    && (!text || sync.key.toLowerCase().includes(text) || (sync.error ?? "").toLowerCase().includes(text)));
  matches.sort((a, b) => Date.parse(b.sync.at) - Date.parse(a.sync.at) || b.sync.id - a.sync.id);
  const shown = matches.slice(0, syncsShown);
  at("sync-more").hidden = shown.length === matches.length;
  say(at("sync-count"), matches.length > shown.length ? `The latest ${shown.length} of ${matches.length} remembered.` : `${matches.length} remembered.`);
  tables.syncs.show(shown, ({ module, sync }) => `${module} ${sync.id} ${sync.at}`);
}

function showShadows() {
  const shadowed = status.modules.filter(({ shadow }) => shadow);
  at("shadow-section").hidden = shadowed.length === 0;
  const differences = shadowed.flatMap((module) => module.shadow.recent.map((difference) => ({ module: module.name, difference })));
  tables.shadow.show(differences, ({ module, difference }) => `${module} ${difference.key} ${difference.at}`);
}

// --- what people do ---

at("chart-module").addEventListener("change", ({ target }) => charts.select(target.value));
at("sync-filter").addEventListener("input", () => status && showSyncs());
at("sync-more").addEventListener("click", () => {
  syncsShown += SYNC_STEP;
  showSyncs();
});
at("sync-filter").addEventListener("submit", (event) => event.preventDefault());

const THEMES = ["system", "light", "dark"];

function wear(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(at("theme"), `Theme: ${theme}`);
}

/** Storage may be switched off; then the choice lasts as long as the page. */
function remember(theme) {
  try {
    localStorage.setItem("theme", theme);
  } catch {}
}

function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

let theme = THEMES.includes(remembered()) ? remembered() : "system";
wear(theme);
at("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  remember(theme);
  wear(theme);
});

listen();
poll();
