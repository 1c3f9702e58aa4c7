// A fake of the contract for unit tests under Node; see testing.d.ts.

import { ApiError, RetryError, TerminalError } from "./errors.js";
import { install } from "./host/native.js";
import { stringify } from "./json.js";
import { formatKey, parseKey, withKind } from "./resource.js";
import { failure } from "./testing/failure.js";
import { contractOf } from "./testing/host.js";
import { Store } from "./testing/store.js";

export class Cluster {
  #component;
  #store;
  #syncs = 0;

  constructor(component, { config = {} } = {}) {
    this.#component = component;
    this.#store = new Store();
    this.#store.config = config;
    install(contractOf(this.#store));
    this.#store.manifest = component.blockingHandler.describe();
  }

  start() {
    this.#observe();
    try {
      this.#component.blockingHandler.start();
    } catch (message) {
      throw typeof message === "string" ? new Error(message) : message;
    }
  }

  sync(key) {
    this.#observe();
    this.#syncs += 1;
    try {
      const { tag, val } = this.#component.blockingHandler.syncHandler(this.#syncs, parseKey(key));
      return tag === "requeue-after" ? { requeueAfter: val } : undefined;
    } catch (error) {
      if (error?.tag === "terminal") throw new TerminalError(error.val);
      if (error?.tag === "retry") throw new RetryError(error.val);
      throw error;
    }
  }

  keysFor(watch, object, old) {
    const { namespace = "", name } = object.metadata;
    const bodies = [stringify(withKind(watch.resource, object)), old && stringify(withKind(watch.resource, old))];
    return this.#component.mapper.keysFor(watch.position, { namespace, name }, ...bodies).map(formatKey);
  }

  put(resource, object) {
    return this.#store.put(resource, withKind(resource, structuredClone(object)));
  }

  edit(resource, key, edit) {
    const object = this.get(resource, key);
    edit(object);
    return this.put(resource, object);
  }

  remove(resource, key) {
    this.#store.remove(resource, parseKey(key));
  }

  find(resource, key) {
    return structuredClone(this.#store.find(resource, parseKey(key)));
  }

  get(resource, key) {
    const object = this.find(resource, key);
    if (!object) throw new Error(`there is no ${key} in ${resource.plural}`);
    return object;
  }

  list(resource) {
    return structuredClone(this.#store.collection(resource));
  }

  takeCalls() {
    return this.takeBodies().map(([call]) => call);
  }

  takeBodies() {
    return this.#store.calls.splice(0);
  }

  takeEvents() {
    const title = { normal: "Normal", warning: "Warning" };
    return this.#store.events
      .splice(0)
      .map(({ eventType, reason, message }) => `${title[eventType]} ${reason} ${message}`);
  }

  takeQueued() {
    return this.#store.queued
      .splice(0)
      .map(({ key, afterMs, priority }) => ({ key: formatKey(key), after: afterMs, priority }));
  }

  takeLog() {
    return this.#store.lines.splice(0);
  }

  metric(name, labels = []) {
    return this.#store.series.get(JSON.stringify([name, labels]));
  }

  fail(rule) {
    this.#store.failure = rule;
  }

  serve(resource, { namespaced }) {
    this.#store.served.push({ resource, namespaced });
  }

  get now() {
    return new Date(this.#store.now);
  }

  advance(milliseconds) {
    this.#store.now += milliseconds;
  }

  /** Delivers what observed watches saw, as the host does between syncs. */
  #observe() {
    const batches = this.#store.takeBatches();
    if (batches.length > 0) this.#component.observer.observe(batches);
  }
}

export function apiError(kind, message) {
  return new ApiError(failure(kind, message));
}
