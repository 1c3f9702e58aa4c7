import assert from "node:assert/strict";
import { test } from "node:test";

import { Cluster } from "@windlass-dev/sdk/testing";

import * as component from "../src/main.js";

const { CONFIG_MAPS, NAMESPACES, namespaces } = component;
const PROPAGATED = { "examples.windlass.dev/propagated": "true" };

/** @param {Record<string, string>} [labels] */
const shop = (labels) => ({ metadata: { name: "shop", labels } });
/** @param {string} name @param {object} [metadata] */
const configMap = (name, metadata) => ({ metadata: { namespace: "shop", name, ...metadata } });

/** @param {string} [team] */
function clusterWith(team) {
  const cluster = new Cluster(component);
  cluster.put(NAMESPACES, shop(team === undefined ? {} : { "examples.windlass.dev/team": team }));
  return cluster;
}

/** @param {Cluster} cluster */
function meta(cluster) {
  const { labels, annotations } = cluster.get(CONFIG_MAPS, "shop/a").metadata;
  return { labels, annotations };
}

test("a label that is missing or different is set, with the annotation, once", () => {
  for (const labels of [undefined, { team: "red" }]) {
    const cluster = clusterWith("blue");
    cluster.put(CONFIG_MAPS, configMap("a", { labels }));
    cluster.sync("shop/a");
    assert.deepEqual(meta(cluster), { labels: { team: "blue" }, annotations: PROPAGATED });
    cluster.sync("shop/a");
    assert.deepEqual(cluster.takeCalls(), ["patch configmaps shop/a"]);
  }
});

test("without a label of the namespace ours is removed and another's stays", () => {
  const cluster = clusterWith();
  cluster.put(CONFIG_MAPS, configMap("a", { labels: { team: "blue", app: "web" }, annotations: PROPAGATED }));
  cluster.put(CONFIG_MAPS, configMap("b", { labels: { team: "blue" } }));
  cluster.sync("shop/a");
  cluster.sync("shop/b");
  assert.deepEqual(cluster.takeCalls(), ["patch configmaps shop/a"]);
  assert.deepEqual(meta(cluster), { labels: { app: "web" }, annotations: {} });
});

test("a namespace concerns its ConfigMaps and no others", () => {
  const cluster = clusterWith("blue");
  cluster.put(CONFIG_MAPS, configMap("a"));
  cluster.put(CONFIG_MAPS, configMap("b"));
  cluster.put(CONFIG_MAPS, { metadata: { namespace: "other", name: "c" } });
  assert.deepEqual(cluster.keysFor(namespaces, shop()), ["shop/a", "shop/b"]);
});

test("what Kubernetes keeps in every namespace, and what is gone, is left alone", () => {
  const cluster = clusterWith("blue");
  cluster.put(CONFIG_MAPS, configMap("kube-root-ca.crt"));
  cluster.sync("shop/kube-root-ca.crt");
  cluster.sync("shop/gone");
  assert.deepEqual(cluster.takeCalls(), []);
});
