// What the declarations refuse. Checked by `npm run check`, never run.

import { Counter, client, defineController, resource, updateStatus, watch } from "@windlass-dev/sdk";

/** @typedef {import("@windlass-dev/sdk").KubernetesObject & { spec: { size: number }; status?: { size?: number } }} Box */

/** @type {import("@windlass-dev/sdk").Resource<Box>} */
const BOXES = resource({ apiVersion: "examples/v1", kind: "Box", plural: "boxes" });
const boxes = watch(BOXES, { enqueue: "itself" });
const key = { namespace: "a", name: "b" };

/** @type {number | undefined} */
export const size = boxes.get(key)?.spec.size;

// @ts-expect-error: a box's size is a number
client.create(BOXES, { metadata: {}, spec: { size: "large" } });

// @ts-expect-error: its status as well
updateStatus(BOXES, client.get(BOXES, key), { size: "large" });

// @ts-expect-error: there is no such rule
watch(BOXES, { enqueue: "everything" });

// @ts-expect-error: there is no such patch
client.patch(BOXES, key, "merge", {});

const counter = new Counter({ name: "a", help: "a", labels: ["x"] });
counter.increment({ x: 1 });
// @ts-expect-error: every label has a value
counter.increment({});
new Counter({ name: "b", help: "b" }).increment();

const manifest = { name: "a", version: "1", watches: [boxes] };
// @ts-expect-error: a handler is not asynchronous
defineController({ manifest, syncHandler: async () => ({ requeueAfter: 1 }) });
// @ts-expect-error: nor is there another outcome
defineController({ manifest, syncHandler: () => ({ requeue: true }) });
