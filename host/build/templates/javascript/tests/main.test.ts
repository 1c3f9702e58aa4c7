// The controller on a fake cluster: no API server, no wasm, a few milliseconds.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cluster } from "@windlass-dev/sdk/testing";

import * as component from "../src/main.ts";
import { CONFIG_MAPS, GREETINGS } from "../src/main.ts";

const KEY = "default/hello";
const metadata = { namespace: "default", name: "hello" };

/** A cluster with a Greeting that was not synced yet. */
function newCluster(): Cluster {
  const cluster = new Cluster(component);
  cluster.put(GREETINGS, { metadata, spec: { name: "World" } });
  return cluster;
}

/** The calls that a sync makes. */
function sync(cluster: Cluster): string[] {
  assert.equal(cluster.sync(KEY), undefined);
  return cluster.takeCalls();
}

test("a Greeting gets a ConfigMap, a status and an event", () => {
  const cluster = newCluster();
  assert.equal(sync(cluster).length, 2);
  const configMap = cluster.get(CONFIG_MAPS, KEY);
  assert.deepEqual(configMap.data, { message: "Hello, World!" });
  assert.equal(configMap.metadata.ownerReferences?.[0]?.kind, "Greeting");
  assert.deepEqual(cluster.takeEvents(), ["Normal Created Created ConfigMap hello"]);
  const { status } = cluster.get(GREETINGS, KEY);
  assert.deepEqual([status?.message, status?.observedGeneration], ["Hello, World!", 1]);
  assert.equal(status?.conditions?.[0]?.status, "True");
  assert.deepEqual(sync(cluster), [], "nothing is left to do");
});

test("drift is corrected, and what others added stays", () => {
  const cluster = newCluster();
  sync(cluster);
  cluster.edit(CONFIG_MAPS, KEY, (configMap) => {
    configMap.data = { message: "Go away!", colour: "blue" };
  });
  assert.deepEqual(sync(cluster), ["patch configmaps default/hello"]);
  assert.deepEqual(cluster.get(CONFIG_MAPS, KEY).data, { message: "Hello, World!", colour: "blue" });
  cluster.remove(CONFIG_MAPS, KEY);
  sync(cluster);
  assert.equal(cluster.get(CONFIG_MAPS, KEY).data?.["message"], "Hello, World!");
});

test("another name arrives", () => {
  const cluster = newCluster();
  sync(cluster);
  cluster.edit(GREETINGS, KEY, (greeting) => {
    greeting.spec.name = "Windlass";
    greeting.metadata.generation = 2;
  });
  sync(cluster);
  assert.equal(cluster.get(CONFIG_MAPS, KEY).data?.["message"], "Hello, Windlass!");
  const { status } = cluster.get(GREETINGS, KEY);
  assert.deepEqual([status?.message, status?.observedGeneration], ["Hello, Windlass!", 2]);
});

test("a ConfigMap of somebody else is left alone", () => {
  const cluster = newCluster();
  cluster.put(CONFIG_MAPS, { metadata });
  assert.deepEqual(cluster.sync(KEY), { requeueAfter: 30_000 });
  assert.deepEqual(cluster.takeCalls(), ["update greetings/status default/hello"]);
  const ready = cluster.get(GREETINGS, KEY).status?.conditions?.[0];
  assert.deepEqual([ready?.status, ready?.reason], ["False", "Conflict"]);
});
