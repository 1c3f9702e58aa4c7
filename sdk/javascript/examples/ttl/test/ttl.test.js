import assert from "node:assert/strict";
import { test } from "node:test";

import { RetryError, TerminalError } from "@windlass-dev/sdk";
import { Cluster, apiError } from "@windlass-dev/sdk/testing";

import * as component from "../src/main.js";

const { CONFIG_MAPS } = component;

/** @param {string} [expires] */
function clusterWith(expires) {
  const cluster = new Cluster(component);
  const annotations = expires ? { "ttl.windlass.dev/expires": expires } : undefined;
  cluster.put(CONFIG_MAPS, { metadata: { namespace: "default", name: "a", uid: "u", annotations } });
  return cluster;
}

test("what has no annotation stays, and what is gone is nothing to do", () => {
  const cluster = clusterWith();
  assert.equal(cluster.sync("default/a"), undefined);
  assert.equal(cluster.sync("default/other"), undefined);
  assert.deepEqual(cluster.takeCalls(), []);
});

test("what is not yet due is synced again when it is, to the millisecond", () => {
  const cluster = clusterWith("2026-01-01T00:00:01.5Z");
  assert.deepEqual(cluster.sync("default/a"), { requeueAfter: 1500 });
  cluster.advance(1500);
  assert.equal(cluster.sync("default/a"), undefined);
  assert.deepEqual(cluster.list(CONFIG_MAPS), []);
});

test("what is past is deleted by its uid, counted and logged", () => {
  const cluster = clusterWith("2025-12-31T23:59:59+00:00");
  const before = Number(cluster.metric("expired_total", ["default"]) ?? 0);
  cluster.sync("default/a");
  const [[call, options]] = cluster.takeBodies();
  assert.equal(call, "delete configmaps default/a");
  assert.equal(options.preconditions.uid, "u");
  assert.equal(cluster.metric("expired_total", ["default"]), before + 1);
  const expired = { level: "info", message: "expired", fields: { at: "2025-12-31T23:59:59+00:00" } };
  assert.deepEqual(cluster.takeLog(), [expired]);
});

test("somebody else's deletion is fine, another failure is tried again", () => {
  const cluster = clusterWith("2025-01-01T00:00:00Z");
  cluster.fail(() => apiError("not-found", "gone"));
  assert.equal(cluster.sync("default/a"), undefined);
  cluster.fail(() => apiError("conflict", "the uid differs"));
  assert.throws(() => cluster.sync("default/a"), new RetryError("the uid differs"));
});

test("what is no time is terminal", () => {
  for (const text of ["tomorrow", "2026-01-01", "2026-13-01T00:00:00Z"]) {
    assert.throws(() => clusterWith(text).sync("default/a"), new TerminalError(`not a time: ${text}`));
  }
});
