// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.

import {
  Counter,
  TerminalError,
  client,
  defineController,
  ignoreNotFound,
  log,
  now,
  resource,
  watch,
} from "@windlass-dev/sdk";

const ANNOTATION = "ttl.windlass.dev/expires";
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

export const CONFIG_MAPS = resource({ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" });
const configMaps = watch(CONFIG_MAPS, { view: "metadata", enqueue: "itself", on: ["added", "updated"] });

const expired = new Counter({
  name: "expired_total",
  help: "Objects deleted because their time was up.",
  labels: ["namespace"],
});

/** Milliseconds since 1970. @param {string} text */
function parseTime(text) {
  const time = RFC_3339.test(text) ? Date.parse(text.toUpperCase()) : NaN;
  if (Number.isNaN(time)) throw new TerminalError(`not a time: ${text}`);
  return time;
}

export const { blockingHandler } = defineController({
  manifest: {
    name: "ttl-javascript",
    version: "0.1.0",
    watches: [configMaps],
    permissions: [{ groups: [""], resources: ["configmaps"], verbs: ["delete"] }],
  },

  syncHandler(key) {
    const configMap = configMaps.get(key);
    const expires = configMap?.metadata.annotations?.[ANNOTATION];
    if (!configMap || !expires) return;
    const left = parseTime(expires) - now().getTime();
    if (left > 0) return { requeueAfter: left };
    const { uid } = configMap.metadata;
    ignoreNotFound(() => client.delete(CONFIG_MAPS, key, { preconditions: { uid } }));
    expired.increment({ namespace: key.namespace });
    log.info("expired", { at: expires });
  },
});
