// Propagates a namespace's label examples.windlass.dev/team to its ConfigMaps, as `team`.

import { client, defineController, ignoreNotFound, keyOf, resource, watch } from "@windlass-dev/sdk";

const SOURCE = "examples.windlass.dev/team";
const LABEL = "team";
/** On objects whose label is ours to remove. */
const PROPAGATED = "examples.windlass.dev/propagated";
/** Kubernetes' own, in every namespace. */
const LEFT_ALONE = "kube-root-ca.crt";

export const NAMESPACES = resource({ apiVersion: "v1", kind: "Namespace", plural: "namespaces" });
export const CONFIG_MAPS = resource({ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" });
export const namespaces = watch(NAMESPACES, { view: "metadata", enqueue: "mapper" });
const configMaps = watch(CONFIG_MAPS, { view: "metadata", enqueue: "itself", on: ["added", "updated"] });

/**
 * The change that makes the metadata right, if there is one.
 *
 * @param {import("@windlass-dev/sdk").ObjectMeta} metadata
 * @param {string | undefined} team
 */
function correction({ labels, annotations }, team) {
  if (team !== undefined) {
    if (labels?.[LABEL] === team) return undefined;
    return { labels: { [LABEL]: team }, annotations: { [PROPAGATED]: "true" } };
  }
  const isOurs = annotations?.[PROPAGATED] === "true";
  return isOurs ? { labels: { [LABEL]: null }, annotations: { [PROPAGATED]: null } } : undefined;
}

export const { blockingHandler, mapper } = defineController({
  manifest: {
    name: "label-propagation-javascript",
    version: "0.1.0",
    watches: [namespaces, configMaps],
    apiQps: 200,
    apiBurst: 400,
    permissions: [{ groups: [""], resources: ["configmaps"], verbs: ["patch"] }],
  },

  keysFor: ({ key }) => configMaps.list({ namespace: key.name }).map(keyOf),

  syncHandler(key) {
    const configMap = configMaps.get(key);
    if (!configMap || key.name === LEFT_ALONE) return;
    const team = namespaces.get({ name: key.namespace })?.metadata.labels?.[SOURCE];
    const metadata = correction(configMap.metadata, team);
    if (metadata) ignoreNotFound(() => client.patch(CONFIG_MAPS, key, "merge-patch", { metadata }));
  },
});
