// The tables of the page: what the host says, as rows that stay the same elements while their content changes.

import { ago, bytes, clock, count, duration, element, fill, say, short, span } from "./format.js";

const TONES = {
  running: "good", starting: "quiet", backOff: "bad", failed: "bad", standby: "quiet", disabled: "quiet", stopped: "quiet",
  watching: "good", listing: "quiet",
};
const WORDS = {
  backOff: "backing off", requeueAfter: "again later", retry: "error, retried", terminal: "error, not retried",
  failed: "failed", notStarted: "did not start",
};

const words = (name) => WORDS[name] ?? name;

export const chip = (text, tone) => element("span", { class: "chip", "data-tone": tone }, text);

const stateChip = (name) => chip(words(name), TONES[name] ?? "quiet");

/** A table whose rows are kept by key. Each column: a title, a cell, and perhaps `number` or `wide`. */
export class Table {
  #host;
  #columns;
  #empty;
  #label;
  #body = null;
  #rows = new Map();

  constructor(host, label, columns, empty) {
    this.#host = host;
    this.#label = label;
    this.#columns = columns;
    this.#empty = empty;
  }

  show(items, keyOf) {
    if (items.length === 0) {
      this.#rows.clear();
      this.#body = null;
      fill(this.#host, [element("p", { class: "empty" }, this.#empty)]);
      return;
    }
    if (!this.#body) this.#build();
    const rows = items.map((item) => this.#row(keyOf(item), item));
    const kept = new Set(items.map(keyOf));
    for (const key of this.#rows.keys()) if (!kept.has(key)) this.#rows.delete(key);
    place(this.#body, rows);
  }

  #build() {
    this.#body = element("tbody");
    const head = this.#columns.map(({ title, number }) => element("th", { scope: "col", class: number && "number" }, title));
    fill(this.#host, [element("table", { "aria-label": this.#label }, element("thead", {}, element("tr", {}, head)), this.#body)]);
  }

  #row(key, item) {
    let row = this.#rows.get(key);
    if (!row) {
      const cells = this.#columns.map(({ title, number, wide, head }) =>
        element(head ? "th" : "td", { scope: head && "row", "data-title": title, class: [number && "number", wide && "wide"].filter(Boolean).join(" ") || null }));
      row = { node: element("tr", {}, cells), cells, shown: [] };
      this.#rows.set(key, row);
    }
    this.#columns.forEach(({ cell }, index) => update(row, index, cell(item)));
    return row.node;
  }
}

/** Puts rows in order and leaves those alone that are where they belong, so that focus stays. */
function place(body, rows) {
  rows.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  while (body.children.length > rows.length) body.lastElementChild.remove();
}

/** Text is compared as text, elements as what they would look like. */
function update(row, index, content) {
  const cell = row.cells[index];
  const list = [content].flat(Infinity);
  const next = list.map((part) => (part instanceof Element ? part.outerHTML : String(part ?? ""))).join("\u0000");
  if (row.shown[index] === next) return;
  row.shown[index] = next;
  if (list.some((part) => part instanceof Element)) fill(cell, list);
  else say(cell, list.join(""));
}

const errorTotal = ({ results }) => (results.retry ?? 0) + (results.terminal ?? 0) + (results.failed ?? 0);
const total = (map) => Object.values(map).reduce((sum, value) => sum + value, 0);

/** The modules, each with a part that opens. */
export class Modules {
  #host;
  #entries = new Map();

  constructor(host) {
    this.#host = host;
  }

  show(status) {
    if (status.modules.length === 0) {
      this.#entries.clear();
      fill(this.#host, [element("p", { class: "empty" }, "No modules are configured. Add one to the host's configuration and it appears here.")]);
      return;
    }
    const nodes = status.modules.map((module) => {
      let entry = this.#entries.get(module.name);
      if (!entry) this.#entries.set(module.name, entry = new ModuleEntry(module.name));
      entry.show(module, status);
      return entry.node;
    });
    const names = new Set(status.modules.map(({ name }) => name));
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name);
    if (!this.#host.firstElementChild?.classList.contains("modules")) fill(this.#host, [element("div", { class: "modules" })]);
    place(this.#host.firstElementChild, nodes);
  }
}

let identifiers = 0;

class ModuleEntry {
  node;
  #button;
  #state = element("span", { class: "state" });
  #reason = element("p", { class: "reason" });
  #facts = element("dl", { class: "facts" });
  #detail;
  #shown = "";
  #latest = null;

  constructor(name) {
    const identifier = `module-${identifiers += 1}`;
    this.#detail = element("div", { class: "detail", id: identifier, hidden: true });
    this.#button = element("button", { type: "button", class: "module-name", "aria-expanded": "false", "aria-controls": identifier }, name);
    this.#button.addEventListener("click", () => this.#toggle());
    this.node = element("article", { class: "module", "data-module": name, "aria-label": `Module ${name}` },
      element("div", { class: "module-head" }, element("h3", {}, this.#button), this.#state, this.#facts), this.#reason, this.#detail);
  }

  #toggle() {
    const open = this.#detail.hidden;
    this.#detail.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
    if (open && this.#latest) this.#showDetail(...this.#latest);
  }

  show(module, status) {
    this.#latest = [module, status];
    const { phase, reason } = module.state;
    if (this.#state.textContent !== words(phase)) fill(this.#state, [stateChip(phase)]);
    say(this.#reason, reason ?? "");
    this.#reason.hidden = !reason;
    const errors = errorTotal(module.syncs);
    const facts = [
      ["Version", module.guest.version || "–"],
      ["Queue", count(module.queue.depth)],
      ["Syncs", count(total(module.syncs.results))],
      ["Errors", count(errors)],
      ["p50", duration(module.syncs.p50)],
      ["p99", duration(module.syncs.p99)],
      ["Memory", bytes(module.usage.memoryBytes)],
      ["Restarts", count(total(module.usage.restarts))],
    ];
    facts.forEach(([title, value], index) => {
      let fact = this.#facts.children[index];
      if (!fact) this.#facts.append(fact = element("div", {}, element("dt", {}, title), element("dd")));
      say(fact.lastElementChild, value);
    });
    if (!this.#detail.hidden) this.#showDetail(module, status);
  }

  #showDetail(module, status) {
    const parts = detail(module, status);
    const next = parts.map((part) => part.outerHTML).join("");
    if (next === this.#shown) return;
    this.#shown = next;
    this.#detail.replaceChildren(...parts);
  }
}

/** Letters that a value may have beside its name. */
const LONG = 24;

const pairs = (title, entries) => element("section", {}, element("h4", {}, title),
  element("dl", { class: "pairs" }, entries.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => element("div", { class: `${value.textContent ?? value}`.length > LONG && "long" }, element("dt", {}, name), element("dd", {}, value)))));

function role({ role: part, share }) {
  if (part !== "leader") return "stands by";
  return share ? `syncs ${count(share.slots)} of ${count(share.of)} slots of the keys` : "leads";
}

function detail(module, status) {
  const { guest, reload, leadership, queue, usage, workers } = module;
  const last = reload.last;
  const sections = [
    pairs("Guest", [
      ["Name", guest.name], ["Version", guest.version], ["Digest", element("code", { title: guest.digest }, short(guest.digest))], ["Origin", guest.origin],
      ["In this state", `since ${ago(module.state.since, status.at).replace(/ ago$/, "")}`],
    ]),
    pairs("Reloads", [
      ["Generation", count(reload.generation)],
      ...Object.entries(reload.totals).map(([result, value]) => [words(result), count(value)]),
      ["Latest", last && `${words(last.result)}, ${ago(last.at, status.at)}`],
      ["Because", last?.reason],
    ]),
    pairs("Queue and workers", [
      ["Ready", count(queue.depth)], ["Delayed", count(queue.delayed)], ["In work", count(queue.processing)],
      ["Added so far", count(queue.adds)], ["Retries", count(queue.retries)], ["Refused", count(queue.dropped)],
      ["Oldest in work", duration(queue.longestRunning)], ["Workers", `${count(workers.active)} of ${count(workers.limit)} busy`],
    ]),
    pairs("Instances", [
      ["Live", count(usage.instances)], ["Memory", `${bytes(usage.memoryBytes)} of ${bytes(usage.memoryLimitBytes)} each`],
      ["CPU time", duration(usage.cpuSeconds)], ...Object.entries(usage.restarts).map(([cause, value]) => [`Ended: ${cause}`, count(value)]),
    ]),
  ];
  sections.push(pairs("Leadership", leadership ? [
    ["This process", role(leadership)], ["Lease held by", leadership.holder || "nobody"],
  ] : [["This process", "always runs it"]]));
  const calls = [...module.api.calls].sort((a, b) => b.count - a.count).slice(0, 20);
  sections.push(pairs("API calls", calls.length > 0 ? calls.map((call) => [`${call.verb} ${call.resource} → ${call.code}`, count(call.count)]) : [["None so far", " "]]));
  const imports = Object.entries(module.imports).sort(([, a], [, b]) => b - a);
  if (imports.length > 0) sections.push(pairs("Calls of the host", imports.map(([name, value]) => [name, count(value)])));
  if (module.poisonKeys.length > 0) {
    sections.push(pairs("Keys set aside", module.poisonKeys.map(({ key, failures, reason, retryAt }) =>
      [key, `${count(failures)} failures${retryAt ? `, tried again at ${clock(retryAt)}` : ""}: ${reason}`])));
  }
  return sections;
}

export const syncTable = (host) => new Table(host, "Recent syncs", [
  { title: "Time", cell: ({ sync }) => clock(sync.at) },
  { title: "Module", cell: ({ module }) => module },
  { title: "Key", head: true, cell: ({ sync }) => sync.key },
  { title: "Took", number: true, cell: ({ sync }) => duration(sync.duration) },
  { title: "Result", cell: ({ sync }) => chip(words(sync.result), isError(sync) ? "bad" : "good") },
  { title: "Error", wide: true, cell: ({ sync }) => sync.error ?? "" },
], "No sync matches. As soon as a module syncs a key, it appears here.");

export const isError = ({ result }) => ["retry", "terminal", "failed"].includes(result);

export const cacheTable = (host) => new Table(host, "Caches", [
  { title: "Resource", head: true, cell: (cache) => cache.resource },
  { title: "View", cell: (cache) => cache.view },
  { title: "Watch", cell: (cache) => stateChip(cache.watch) },
  { title: "Objects", number: true, cell: (cache) => count(cache.objects) },
  { title: "Size", number: true, cell: (cache) => bytes(cache.bytes) },
  { title: "Readers", number: true, cell: (cache) => count(cache.subscribers) },
  { title: "Relists", number: true, cell: (cache) => count(cache.relists) },
  { title: "Note", wide: true, cell: (cache) => cache.reason ?? (cache.synced ? "" : "filling for the first time") },
], "No caches. One starts with the first module that watches a resource, and ends with the last.");

export const leaseTable = (host, identity) => new Table(host, "Leases", [
  { title: "Lease", head: true, cell: ({ lease }) => lease.name },
  { title: "Modules", cell: ({ lease }) => lease.modules.join(", ") },
  { title: "Held by", cell: ({ lease }) => (lease.held ? [chip("this process", "good")] : lease.holder || "nobody") },
  { title: "Renewed", cell: ({ lease, at }) => (lease.renewed ? ago(lease.renewed, at) : "–") },
  { title: "Lasts", number: true, cell: ({ lease }) => span(lease.durationSeconds) },
  { title: "Changes", number: true, cell: ({ lease }) => count(lease.transitions) },
], "No leases. This host runs its modules without leader election.");

export const shadowTable = (host) => new Table(host, "Shadow differences", [
  { title: "Module", cell: ({ module }) => module },
  { title: "Key", head: true, cell: ({ difference }) => difference.key },
  { title: "When", cell: ({ difference }) => clock(difference.at) },
  { title: "Difference", wide: true, cell: ({ difference }) => difference.summary },
], "The shadows have done everything alike so far.");

export const checkTable = (host) => new Table(host, "Health checks", [
  { title: "Check", head: true, cell: (check) => check.name },
  { title: "Result", cell: (check) => (check.passes ? chip("passes", "good") : chip("fails", "bad")) },
  { title: "Decides", cell: (check) => (check.scope === "live" ? "liveness and readiness" : "readiness") },
  { title: "Why", wide: true, cell: (check) => check.reason ?? "" },
], "No checks.");
