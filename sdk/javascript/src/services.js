// The small services of the host: the controller's own queue, discovery, its
// configuration, time and chance.

import { host } from "#host";
import { parse } from "./json.js";
import { keyOf } from "./resource.js";

export function enqueue(key, { after = 0, priority = 0 } = {}) {
  enqueueAll([{ key, after, priority }]);
}

export function enqueueAll(items) {
  host().workqueue.add(
    items.map(({ key, after = 0, priority = 0 }) => ({
      key: keyOf({ metadata: key }),
      afterMs: Math.ceil(after),
      priority,
    })),
  );
}

export function resolve(apiVersion, kind) {
  const [version, group = ""] = apiVersion.split("/").reverse();
  const mapping = host().discovery.resolve(group, version, kind);
  if (!mapping) return undefined;
  const { resource, namespaced } = mapping;
  return { apiVersion, group, version, kind, plural: resource.plural, namespaced };
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
