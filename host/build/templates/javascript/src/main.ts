// Greets whom a Greeting names, in a ConfigMap that the Greeting owns.

import {
  type Condition,
  type KubernetesObject,
  client,
  controllerReference,
  defineController,
  isControlledBy,
  isDeleting,
  keyOf,
  recorder,
  resource,
  setCondition,
  updateStatus,
  watch,
} from "@windlass-dev/sdk";

export interface Greeting extends KubernetesObject {
  spec: { name: string };
  status?: { observedGeneration?: number; message?: string; conditions?: Condition[] };
}

export interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export const GREETINGS = resource<Greeting>({
  apiVersion: "example.com/v1",
  kind: "Greeting",
  plural: "greetings",
});
export const CONFIG_MAPS = resource<ConfigMap>({ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" });

// A Greeting that changes is synced; a ConfigMap that changes has its owner synced. Both are
// read from the host's caches.
const greetings = watch(GREETINGS, { enqueue: "itself" });
const configMaps = watch(CONFIG_MAPS, { enqueue: { owner: GREETINGS }, view: { fields: ["data.message"] } });

export const { blockingHandler } = defineController({
  manifest: {
    name: "__NAME__",
    version: "0.1.0",
    watches: [greetings, configMaps],
    // What is watched may be read. All other calls need a permission.
    permissions: [
      { groups: ["example.com"], resources: ["greetings/status"], verbs: ["update"] },
      { groups: [""], resources: ["configmaps"], verbs: ["create", "patch"] },
      // Some clusters ask this of whoever makes a Greeting the owner of something.
      { groups: ["example.com"], resources: ["greetings/finalizers"], verbs: ["update"] },
    ],
  },

  // Makes the world as one Greeting wants it. Why it is called does not matter: it looks at
  // what there is, and changes what is not right. What is thrown has it tried again.
  syncHandler(key) {
    const greeting = greetings.get(key);
    if (!greeting || isDeleting(greeting)) return; // The garbage collector takes what it owned.
    const message = `Hello, ${greeting.spec.name}!`;
    if (ensureConfigMap(greeting, message)) {
      setStatus(greeting, message, { type: "Ready", status: "True", reason: "Greeted", message });
      return;
    }
    const why = `ConfigMap ${key.name} is somebody else's`;
    setStatus(greeting, "", { type: "Ready", status: "False", reason: "Conflict", message: why });
    // Nobody tells us when it goes, for it has another owner or none.
    return { requeueAfter: 30_000 };
  },
});

/** Creates or corrects the ConfigMap, unless it is somebody else's. */
function ensureConfigMap(greeting: Greeting, message: string): boolean {
  const { namespace, name } = keyOf(greeting);
  const found = configMaps.get({ namespace, name });
  if (!found) {
    const metadata = { namespace, name, ownerReferences: [controllerReference(GREETINGS, greeting)] };
    client.create(CONFIG_MAPS, { metadata, data: { message } });
    recorder.normal(greeting, "Created", `Created ConfigMap ${name}`);
  } else if (!isControlledBy(found, greeting)) {
    return false;
  } else if (found.data?.["message"] !== message) {
    client.patch(CONFIG_MAPS, { namespace, name }, "merge-patch", { data: { message } });
  }
  return true;
}

/** Writes the status if it is another one. */
function setStatus(greeting: Greeting, message: string, ready: Condition): void {
  const observedGeneration = greeting.metadata.generation ?? 0;
  const conditions = setCondition(greeting.status?.conditions, { ...ready, observedGeneration });
  updateStatus(GREETINGS, greeting, { observedGeneration, message, conditions });
}
