// The small services of the host: the controller's own queue, discovery, its
// configuration, time and chance.

import { host } from "#host";
import { parse } from "./json.js";
import { resource, toKey } from "./resource.js";

export function enqueue(key, { after = 0, priority = 0 } = {}) {
  enqueueAll([{ key, after, priority }]);
}

export function enqueueAll(items) {
  host().workqueue.add(
    items.map(({ key, after = 0, priority = 0 }) => ({
      key: toKey(key),
      afterMs: Math.ceil(after),
      priority,
    })),
  );
}

export function resolve(apiVersion, kind) {
  const named = resource({ apiVersion, kind });
  const mapping = host().discovery.resolve(named.group, named.version, kind);
  return mapping ? { ...named, plural: mapping.resource.plural, namespaced: mapping.namespaced } : undefined;
}

export function config() {
  return parse(host().moduleConfig.get());
}

export function now() {
  const { seconds, nanoseconds } = host().clock.now();
  return new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6));
}

export function monotonic() {
  return Number(host().clock.monotonic()) / 1e6;
}

export function random() {
  // The upper half, which a Number holds exactly.
  return Math.floor(Number(host().random.next()) / 2 ** 32) / 2 ** 32 % 1;
}
