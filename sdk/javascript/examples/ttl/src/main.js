// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.
//
// Over the bare interfaces of the contract, to show what they are.

import clientset from "windlass:controller/blocking-clientset@0.1.0";
import lister from "windlass:controller/lister@0.1.0";
import logging from "windlass:controller/logging@0.1.0";
import metrics from "windlass:controller/metrics@0.1.0";

const ANNOTATION = "ttl.windlass.dev/expires";
const CONFIG_MAPS = { group: "", version: "v1", plural: "configmaps" };

let expired;

/** QuickJS has no TextDecoder. */
function text(bytes) {
  let latin1 = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    latin1 += String.fromCharCode.apply(null, bytes.subarray(at, at + 4096));
  }
  return /[\x80-\xff]/.test(latin1) ? decodeURIComponent(escape(latin1)) : latin1;
}

export const blockingHandler = {
  describe() {
    return {
      name: "ttl-javascript",
      version: "0.1.0",
      watches: [
        {
          target: { tag: "one", val: CONFIG_MAPS },
          labelSelector: "",
          view: { tag: "metadata" },
          enqueue: { tag: "itself" },
          on: { added: true, updated: true, deleted: false },
          observe: false,
          oldBodies: false,
          indexes: [],
        },
      ],
      workers: 1,
      permissions: [{ groups: [""], resources: ["configmaps"], verbs: ["delete"] }],
      apiQps: 0,
      apiBurst: 0,
    };
  },

  start() {
    expired = metrics.declare({
      name: "expired_total",
      help: "Objects deleted because their time was up.",
      kind: { tag: "counter" },
      labels: ["namespace"],
    });
  },

  syncHandler(sync, key) {
    const body = lister.get(0, key);
    if (!body) return { tag: "done" };
    const { metadata } = JSON.parse(text(body));
    const annotated = metadata.annotations?.[ANNOTATION];
    if (!annotated) return { tag: "done" };
    const expires = Date.parse(annotated);
    if (Number.isNaN(expires)) throw { tag: "terminal", val: `not a time: ${annotated}` };
    const left = expires - Date.now();
    if (left > 0) return { tag: "requeue-after", val: Math.ceil(left) };
    try {
      clientset.delete(
        sync,
        { resource: CONFIG_MAPS, key, subresource: "" },
        {
          propagationPolicy: null,
          gracePeriodSeconds: null,
          preconditions: { uid: metadata.uid, resourceVersion: null },
        },
      );
    } catch (error) {
      if (error.kind !== "not-found") throw { tag: "retry", val: error.message ?? String(error) };
    }
    metrics.add(expired, [key.namespace], 1);
    logging.log("info", "expired", [["at", annotated]]);
    return { tag: "done" };
  },
};
