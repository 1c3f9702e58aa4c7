// What a controller watches, and typed reads of the caches that the host keeps for it.

import { host } from "#host";
import { terminalCall } from "./errors.js";
import { parse } from "./json.js";
import { toApiResource, toKey } from "./resource.js";

const EVENTS = ["added", "updated", "deleted"];

export class Lister {
  #position;

  get(key) {
    const body = host().lister.get(this.position, toKey(key));
    return body ? parse(body) : undefined;
  }

  list({ namespace, labelSelector = "" } = {}) {
    return terminalCall(() => host().lister.list(this.position, namespace, labelSelector)).map(parse);
  }

  byIndex(index, value) {
    return terminalCall(() => host().lister.byIndex(this.position, index, value)).map(parse);
  }

  byOwner(owner) {
    return host().lister.byOwner(this.position, owner.metadata.uid).map(parse);
  }

  orphans(namespace) {
    return host().lister.orphans(this.position, namespace).map(parse);
  }

  get position() {
    if (this.#position === undefined) throw new Error("this watch is in no manifest that was described");
    return this.#position;
  }

  /** Called while the manifest is described. */
  placeAt(position) {
    this.#position = position;
  }
}

export class Watch extends Lister {
  #target;
  #options;

  constructor(resource, target, options) {
    super();
    this.resource = resource;
    this.#target = target;
    this.#options = options;
  }

  get usesMapper() {
    return this.#options.enqueue === "mapper";
  }

  get isObserved() {
    return this.#options.observe ?? false;
  }

  /** As the contract's `watch`. */
  toContract() {
    const { labelSelector = "", view, enqueue, on = EVENTS, observe, oldBodies, indexes = {} } = this.#options;
    return {
      target: this.#target,
      labelSelector,
      view: typeof view === "object" ? { tag: "fields", val: view.fields } : { tag: view ?? "full" },
      enqueue: enqueueRule(enqueue),
      on: Object.fromEntries(EVENTS.map((event) => [event, on.includes(event)])),
      observe: observe ?? false,
      oldBodies: oldBodies ?? false,
      indexes: Object.entries(indexes).map(([name, path]) => ({ name, path })),
    };
  }
}

function enqueueRule(enqueue = "none") {
  if (typeof enqueue === "string") return { tag: enqueue };
  const { owner, orphans = "ignore" } = enqueue;
  return { tag: "owner", val: { group: owner.group, kind: owner.kind, orphans } };
}

export function watch(resource, options = {}) {
  return new Watch(resource, { tag: "one", val: toApiResource(resource) }, options);
}

export function watchDiscovered({ except = [], ...options } = {}) {
  return new Watch(undefined, { tag: "discovered", val: except }, { ...options, view: "metadata" });
}
