// Numbers and times as people read them, and the one way by which this page makes elements.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (value) => number.format(value ?? 0);

export const rate = (value) => (value >= 100 ? number.format(value) : precise.format(value ?? 0));

/** Seconds, in the unit that fits. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${precise.format(seconds * 1e6)} µs`;
  if (seconds < 1) return `${precise.format(seconds * 1e3)} ms`;
  if (seconds < 120) return `${precise.format(seconds)} s`;
  return span(seconds);
}

/** A long time, in its two largest units. */
export function span(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const whole = Math.max(0, Math.floor(seconds));
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [name, size] = units[first];
  const parts = [`${Math.floor(whole / size)} ${name}`];
  const next = units[first + 1];
  if (next && Math.floor((whole % size) / next[1]) > 0) parts.push(`${Math.floor((whole % size) / next[1])} ${next[0]}`);
  return parts.join(" ");
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = value ?? 0;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${precise.format(scaled)} ${units[unit]}`;
}

export const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

export const ago = (time, now) => `${span((Date.parse(now) - Date.parse(time)) / 1000)} ago`;

/** The beginning of a digest. */
export const short = (digest) => (digest.startsWith("sha256:") ? digest.slice(7, 19) : digest);

// Text from guests reaches the page here and nowhere else: as text nodes and attribute values, never as markup.
// Direction overrides and control characters are shown as what they are.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export const visible = (text) => String(text).replace(UNSEEN, (character) =>
  `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`);

/** Makes an element. Children are elements or text; nothing is parsed. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(attribute, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(attribute, visible(value));
  }
  fill(made, children);
  return made;
}

/** Replaces what is in an element. */
export function fill(parent, children) {
  const nodes = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  parent.replaceChildren(...nodes.map((child) => (child instanceof Node ? child : visible(child))));
}

/** Sets text only when it changed, so that selections and screen readers are left alone. */
export function say(target, text) {
  const shown = visible(text);
  if (target.textContent !== shown) target.textContent = shown;
}
