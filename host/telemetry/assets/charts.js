// Live line charts. Drawn as SVG that stretches; words and numbers are HTML, so that they do not.

import { clock, duration, element, fill, rate, count, say } from "./format.js";

/** The time that a chart spans, in milliseconds. */
const SPAN = 180_000;
const LINES = 8;
const SVG = "http://www.w3.org/2000/svg";

/** What the charts show. `read` gives the value of one module in one sample. */
const KINDS = [
  { id: "depth", title: "Queue depth", unit: "keys", read: (m) => m.depth, show: count },
  { id: "latency", title: "Sync latency, 99th percentile", unit: "log scale", read: (m) => m.p99, extra: (m) => m.p50, show: duration, log: true },
  { id: "syncs", title: "Syncs", unit: "per second", read: (m) => m.syncs, show: rate },
  { id: "calls", title: "API calls", unit: "per second", read: (m) => m.calls, show: rate },
];

/** The class that gives a module its colour and dash, the same in all charts. */
export const lineClass = (index) => `line-${index % LINES}`;

export class Charts {
  #charts;
  #samples = [];
  #selected = "";
  #cursor = null;

  constructor(host) {
    this.#charts = KINDS.map((kind) => new Chart(kind, (at) => this.#point(at)));
    host.replaceChildren(...this.#charts.map((chart) => chart.root));
  }

  history(samples) {
    this.#samples = samples.map((sample) => ({ ...sample, time: Date.parse(sample.at) }));
    this.#draw();
  }

  add(sample) {
    this.#samples.push({ ...sample, time: Date.parse(sample.at) });
    const oldest = this.#samples.at(-1).time - SPAN;
    this.#samples = this.#samples.filter(({ time }) => time >= oldest);
    this.#draw();
  }

  select(module) {
    this.#selected = module;
    this.#draw();
  }

  /** Marks the same moment in all charts; `null` for the newest. `at` is a share of the width, or a step of the keyboard. */
  #point(at) {
    if (at === null || this.#samples.length === 0) this.#cursor = null;
    else if (at.step) {
      const present = this.#cursorIndex() ?? this.#samples.length - 1;
      const index = Math.min(this.#samples.length - 1, Math.max(0, present + at.step));
      this.#cursor = this.#samples[index].time;
    } else {
      const wanted = this.#samples.at(-1).time - SPAN * (1 - at.share);
      const nearest = (best, { time }) => (Math.abs(time - wanted) < Math.abs(best - wanted) ? time : best);
      this.#cursor = this.#samples.reduce(nearest, this.#samples[0].time);
    }
    this.#draw();
  }

  #cursorIndex() {
    const index = this.#samples.findIndex(({ time }) => time === this.#cursor);
    return index < 0 ? null : index;
  }

  #draw() {
    const index = this.#cursorIndex();
    if (index === null) this.#cursor = null;
    for (const chart of this.#charts) chart.draw(this.#samples, this.#selected, index);
  }
}

class Chart {
  root;
  #kind;
  #svg;
  #value;
  #title;
  #axis;
  #plot;

  constructor(kind, point) {
    this.#kind = kind;
    this.#title = element("h3", {}, kind.title);
    this.#value = element("p", { class: "chart-value" }, "–");
    this.#axis = element("div", { class: "axis", "aria-hidden": "true" });
    this.#svg = document.createElementNS(SVG, "svg");
    this.#svg.setAttribute("viewBox", "0 0 100 100");
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("aria-hidden", "true");
    this.#plot = element("div", { class: "plot", tabindex: "0", role: "img", "aria-label": kind.title }, this.#axis, this.#svg);
    this.root = element("figure", { class: "chart", "data-chart": kind.id },
      element("figcaption", {}, this.#title, element("span", { class: "quiet" }, kind.unit)),
      this.#value, this.#plot,
      element("div", { class: "times quiet", "aria-hidden": "true" }, element("span", {}, "3 min ago"), element("span", {}, "now")));
    this.#listen(point);
  }

  #listen(point) {
    this.#plot.addEventListener("pointermove", (event) => {
      const box = this.#svg.getBoundingClientRect();
      point({ share: Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) });
    });
    this.#plot.addEventListener("pointerleave", () => point(null));
    this.#plot.addEventListener("blur", () => point(null));
    this.#plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };
      if (event.key === "Escape") point(null);
      else if (steps[event.key]) {
        point({ step: steps[event.key] });
        event.preventDefault();
      }
    });
  }

  draw(samples, selected, cursor) {
    const kind = this.#kind;
    const lines = this.#lines(samples, selected);
    if (kind.extra) say(this.#title, selected ? "Sync latency" : kind.title);
    const scale = kind.log ? logScale(lines) : linearScale(lines);
    const last = samples.at(-1)?.time ?? 0;
    const x = (time) => 100 * (1 - (last - time) / SPAN);
    const nodes = scale.ticks.map((tick) => shape("path", { class: "grid", d: `M0 ${scale.y(tick)}H100` }));
    for (const line of lines) nodes.push(shape("path", { class: `line ${line.style}`, d: path(samples, line.values, x, scale.y) }));
    if (cursor !== null) nodes.push(shape("path", { class: "cursor", d: `M${x(samples[cursor].time)} 0V100` }));
    this.#svg.replaceChildren(...nodes);
    this.#label(scale);
    this.#read(samples, lines, cursor);
  }

  #lines(samples, selected) {
    const latest = samples.at(-1)?.modules ?? [];
    const lines = [];
    latest.forEach((module, index) => {
      if (selected && module.name !== selected) return;
      const of = (read) => samples.map((sample) => {
        const found = sample.modules.find(({ name }) => name === module.name);
        return found ? read(found) : null;
      });
      const extra = selected && this.#kind.extra;
      lines.push({ name: extra ? "99 of 100 within" : module.name, style: lineClass(index), values: of(this.#kind.read) });
      if (extra) lines.push({ name: "half within", style: `${lineClass(index)} faint`, values: of(this.#kind.extra) });
    });
    return lines;
  }

  #label(scale) {
    const texts = scale.ticks.map((tick) => {
      const text = element("span", {}, this.#kind.show(tick));
      text.style.top = `${scale.y(tick)}%`;
      return text;
    });
    fill(this.#axis, texts);
  }

  /** The values at the cursor, or now: as text beside the chart and as its accessible name. */
  #read(samples, lines, cursor) {
    const at = cursor ?? samples.length - 1;
    const values = lines.map(({ name, values }) => ({ name, value: lastKnown(values, at, cursor !== null) }));
    const known = values.filter(({ value }) => value !== null);
    const top = known.sort((a, b) => b.value - a.value).slice(0, 3);
    const said = top.map(({ name, value }) => `${name} ${this.#kind.show(value)}`);
    const when = cursor === null ? "now" : clock(samples[cursor].at);
    const text = said.length > 0 ? `${when}: ${said.join(", ")}` : "no syncs yet";
    say(this.#value, text);
    this.#plot.setAttribute("aria-label", `${this.#kind.title}, ${text}`);
  }
}

/** Latency is unknown in seconds without syncs; now means the last known value. */
function lastKnown(values, at, exact) {
  if (exact) return values[at] ?? null;
  for (let index = at; index >= 0; index -= 1) if (values[index] !== null && values[index] !== undefined) return values[index];
  return null;
}

function linearScale(lines) {
  const largest = Math.max(0, ...lines.flatMap(({ values }) => values).filter((value) => value !== null));
  const top = nice(largest);
  return { ticks: [top, top / 2, 0], y: (value) => 98 - 94 * (value / top) };
}

function logScale(lines) {
  const values = lines.flatMap((line) => line.values).filter((value) => value > 0);
  const low = values.length > 0 ? Math.floor(Math.log10(Math.min(...values))) : -5;
  const high = values.length > 0 ? Math.max(low + 2, Math.ceil(Math.log10(Math.max(...values)))) : 0;
  const every = high - low > 4 ? 2 : 1;
  const ticks = [];
  for (let decade = high; decade >= low; decade -= every) ticks.push(10 ** decade);
  const y = (value) => 98 - 94 * ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low));
  return { ticks, y };
}

/** The next even number with zeros, so that half of it reads well too. */
function nice(value) {
  if (value <= 2) return 2;
  const decade = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * decade).find((step) => step >= value);
}

function path(samples, values, x, y) {
  let text = "";
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      drawing = false;
      return;
    }
    const at = `${x(samples[index].time).toFixed(2)} ${y(value).toFixed(2)}`;
    // A single point is drawn as a dot: a line of no length with round ends.
    text += drawing ? `L${at}` : `M${at}L${at}`;
    drawing = true;
  });
  return text;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}
