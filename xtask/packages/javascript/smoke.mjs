// What a project gets that installs the package: both entries, and a sync in the fake cluster.

import { client, defineController, resource, watch } from "@windlass-dev/sdk";
import { Cluster } from "@windlass-dev/sdk/testing";

const CONFIG_MAPS = resource({ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" });
const configMaps = watch(CONFIG_MAPS, { enqueue: "itself" });

const component = defineController({
  manifest: {
    name: "smoke",
    version: "0.1.0",
    watches: [configMaps],
    permissions: [{ groups: [""], resources: ["configmaps"], verbs: ["delete"] }],
  },
  syncHandler(key) {
    if (configMaps.get(key)) client.delete(CONFIG_MAPS, key);
  },
});

const cluster = new Cluster(component);
cluster.put(CONFIG_MAPS, { metadata: { namespace: "default", name: "a" } });
cluster.sync("default/a");
if (cluster.list(CONFIG_MAPS).length !== 0) throw new Error("the sync did nothing");
