// What an author writes, as the exports that the contract wants of a component.

import { prepare } from "#host";
import { TerminalError, RetryError, ApiError } from "./errors.js";
import { parse } from "./json.js";
import { console, log } from "./log.js";
import { declareMetrics } from "./metrics.js";
import { random } from "./services.js";
import { duringSync } from "./sync.js";

export function defineController(controller) {
  let watches = [];
  return {
    blockingHandler: {
      describe: () =>
        logged("describe", () => {
          prepare({ console, random });
          const { manifest } = controller;
          const described = typeof manifest === "function" ? manifest.call(controller) : manifest;
          watches = described.watches;
          return describe(controller, described);
        }),
      start() {
        try {
          declareMetrics();
          refusePromise("start", controller.start?.());
        } catch (error) {
          logThrown("start", error);
          throw String(error?.message ?? error);
        }
      },
      syncHandler: (sync, key) => duringSync(sync, () => syncHandler(controller, key)),
    },
    observer: {
      observe: (batches) =>
        logged("observe", () => controller.observe(batches.map((batch) => toBatch(watches, batch)))),
    },
    mapper: {
      keysFor: (position, key, body, old) =>
        logged("keysFor", () => controller.keysFor(new MappedEvent(watches[position], key, body, old))),
    },
  };
}

/** As the contract's `manifest`; tells every watch where it stands. */
function describe(controller, manifest) {
  const { name, version, watches, workers = 1, permissions = [], apiQps = 0, apiBurst = 0 } = manifest;
  watches.forEach((watch, position) => watch.placeAt(position));
  if (watches.some((watch) => watch.usesMapper) && !controller.keysFor) {
    throw new Error('a watch has the enqueue rule "mapper", and the controller has no keysFor');
  }
  if (watches.some((watch) => watch.isObserved) && !controller.observe) {
    throw new Error("a watch is observed, and the controller has no observe");
  }
  const described = watches.map((watch) => watch.toContract());
  return { name, version, watches: described, workers, permissions, apiQps, apiBurst };
}

function syncHandler(controller, key) {
  try {
    return toOutcome(refusePromise("syncHandler", controller.syncHandler(key)));
  } catch (error) {
    throw toSyncError(error);
  }
}

function toOutcome(outcome) {
  const after = outcome?.requeueAfter;
  if (after === undefined) return { tag: "done" };
  if (!(after >= 0 && after <= Number.MAX_SAFE_INTEGER)) {
    throw new TerminalError(`requeueAfter is no number of milliseconds: ${after}`);
  }
  return { tag: "requeue-after", val: Math.ceil(after) };
}

function toSyncError(error) {
  if (error instanceof TerminalError) return { tag: "terminal", val: error.message };
  if (!(error instanceof RetryError || error instanceof ApiError)) logThrown("syncHandler", error);
  return { tag: "retry", val: String(error?.message ?? error) };
}

/** Nothing would ever run what comes after its first `await`. */
function refusePromise(name, result) {
  if (typeof result?.then === "function") throw new TerminalError(`${name} must not be asynchronous`);
  return result;
}

/** What these throw ends the instance, so the reason goes to the log first. */
function logged(name, run) {
  try {
    return refusePromise(name, run());
  } catch (error) {
    logThrown(name, error);
    throw error;
  }
}

function logThrown(where, error) {
  log.error("the controller threw", { in: where, error: String(error), stack: error?.stack?.trimEnd() ?? "" });
}

/** An object that changed, and what it was before. Most handlers read neither, so it is parsed when it is. */
class Change {
  #body;
  #old;

  constructor(key, body, old) {
    this.key = key;
    this.#body = body;
    this.#old = old;
  }

  get object() {
    return parse(this.#body);
  }

  get old() {
    return this.#old ? parse(this.#old) : undefined;
  }
}

class MappedEvent extends Change {
  constructor(watch, key, body, old) {
    super(key, body, old);
    this.watch = watch;
  }
}

class Delta extends Change {
  constructor({ kind, key, initial, body, old }) {
    super(key, body, old);
    this.kind = kind;
    this.initial = initial;
  }
}

function toBatch(watches, { watch, resource, kind, namespaced, deltas }) {
  return { watch: watches[watch], resource, kind, namespaced, deltas: deltas.map((delta) => new Delta(delta)) };
}
