// The controller's own figures, in the host's `/metrics`.

import { host } from "#host";
import { TerminalError, terminalCall } from "./errors.js";

/** Made where the module is evaluated, which may be where there is no host yet. */
const known = [];

class Metric {
  #declaration;
  #id;

  constructor(kind, { name, help, labels = [] }) {
    this.#declaration = { name, help, kind, labels };
    known.push(this);
  }

  /** What the host names it by; declares it at the first time. */
  get id() {
    this.#id ??= terminalCall(() => host().metrics.declare(this.#declaration));
    return this.#id;
  }

  /** Values in the order of the declaration. */
  values(labels = {}) {
    const { name, labels: names } = this.#declaration;
    return names.map((label) => {
      if (labels[label] === undefined) throw new TerminalError(`metric ${name} needs the label ${label}`);
      return String(labels[label]);
    });
  }
}

export class Counter extends Metric {
  constructor(options) {
    super({ tag: "counter" }, options);
  }

  add(value, labels) {
    host().metrics.add(this.id, this.values(labels), value);
  }

  increment(labels) {
    this.add(1, labels);
  }
}

export class Gauge extends Metric {
  constructor(options) {
    super({ tag: "gauge" }, options);
  }

  add(value, labels) {
    host().metrics.add(this.id, this.values(labels), value);
  }

  set(value, labels) {
    host().metrics.set(this.id, this.values(labels), value);
  }
}

export class Histogram extends Metric {
  constructor({ buckets = [], ...options }) {
    super({ tag: "histogram", val: buckets }, options);
  }

  observe(value, labels) {
    host().metrics.observe(this.id, this.values(labels), value);
  }
}

/** Declares all that were made, so that a wrong one fails the start. */
export function declareMetrics() {
  for (const metric of known) metric.id;
}
