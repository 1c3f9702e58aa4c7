// What several tests share.

import { defineController, resource, watch } from "@windlass-dev/sdk";
import { Cluster } from "@windlass-dev/sdk/testing";

/**
 * @typedef {import("@windlass-dev/sdk").KubernetesObject & {
 *   spec?: { nodeName?: string; paused?: boolean; containers?: { name: string; image: string }[] };
 *   status?: { phase?: string };
 * }} Pod
 */

/** @type {import("@windlass-dev/sdk").Resource<Pod>} */
export const PODS = resource({ apiVersion: "v1", kind: "Pod", plural: "pods" });
/** @type {import("@windlass-dev/sdk").Resource<import("@windlass-dev/sdk").KubernetesObject>} */
export const SETS = resource({ apiVersion: "apps/v1", kind: "ReplicaSet", plural: "replicasets" });

/** All of them, for tests that are not about permissions. */
export const EVERYTHING = [{ groups: ["*"], resources: ["*"], verbs: ["*"] }];

/**
 * A cluster whose controller does this in every sync.
 *
 * @param {import("@windlass-dev/sdk").Controller["syncHandler"]} [syncHandler]
 * @param {Partial<import("@windlass-dev/sdk").Controller & import("@windlass-dev/sdk").Manifest>} [rest]
 */
export function clusterOf(syncHandler = () => {}, rest = {}) {
  const { watches = [watch(PODS)], permissions = EVERYTHING, ...others } = rest;
  const manifest = { name: "test", version: "1", watches, permissions };
  return new Cluster(defineController({ manifest, syncHandler, ...others }));
}

/** @param {string} name @param {object} [metadata] @returns {Pod} */
export function pod(name, metadata) {
  return { metadata: { namespace: "default", name, uid: name, ...metadata } };
}
