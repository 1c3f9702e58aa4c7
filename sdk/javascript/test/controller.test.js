import assert from "node:assert/strict";
import { test } from "node:test";

import {
  RetryError,
  TerminalError,
  client,
  config,
  defineController,
  enqueue,
  formatKey,
  log,
  monotonic,
  now,
  random,
  recorder,
  resolve,
  watch,
  watchDiscovered,
} from "@windlass-dev/sdk";
import { Cluster, apiError } from "@windlass-dev/sdk/testing";

import { PODS, SETS, clusterOf, pod } from "./support.js";

test("a manifest in plain objects becomes that of the contract", () => {
  const manifest = {
    name: "test",
    version: "1",
    watches: [
      watch(SETS, { enqueue: "itself", labelSelector: "app" }),
      watch(PODS, {
        view: { fields: ["spec.nodeName"] },
        enqueue: /** @type {const} */ ({ owner: SETS, orphans: "matching-selectors" }),
        on: ["deleted"],
        indexes: { node: "spec.nodeName" },
      }),
      watchDiscovered({ except: ["/events"] }),
    ],
  };
  const { blockingHandler } = defineController({ manifest, syncHandler() {} });
  const all = { added: true, updated: true, deleted: true };
  const described = Reflect.get(blockingHandler, "describe")();
  assert.deepEqual(described, {
    name: "test",
    version: "1",
    watches: [
      {
        target: { tag: "one", val: { group: "apps", version: "v1", plural: "replicasets" } },
        labelSelector: "app",
        view: { tag: "full" },
        enqueue: { tag: "itself" },
        on: all,
        observe: false,
        oldBodies: false,
        indexes: [],
      },
      {
        target: { tag: "one", val: { group: "", version: "v1", plural: "pods" } },
        labelSelector: "",
        view: { tag: "fields", val: ["spec.nodeName"] },
        enqueue: { tag: "owner", val: { group: "apps", kind: "ReplicaSet", orphans: "matching-selectors" } },
        on: { added: false, updated: false, deleted: true },
        observe: false,
        oldBodies: false,
        indexes: [{ name: "node", path: "spec.nodeName" }],
      },
      {
        target: { tag: "discovered", val: ["/events"] },
        labelSelector: "",
        view: { tag: "metadata" },
        enqueue: { tag: "none" },
        on: all,
        observe: false,
        oldBodies: false,
        indexes: [],
      },
    ],
    workers: 1,
    permissions: [],
    apiQps: 0,
    apiBurst: 0,
  });
});

test("a manifest may depend on the configuration, and needs what its rules ask", () => {
  const syncHandler = () => {};
  const configured = () => ({ name: String(config().name), version: "1", watches: [] });
  new Cluster(defineController({ manifest: configured, syncHandler }), { config: { name: "grün" } });
  const mapped = { name: "test", version: "1", watches: [watch(PODS, { enqueue: "mapper" })] };
  assert.throws(
    () => new Cluster(defineController({ manifest: mapped, syncHandler })),
    /the enqueue rule "mapper", and the controller has no keysFor/,
  );
});

test("outcomes and errors become those of the contract", () => {
  assert.equal(clusterOf(() => {}).sync("a"), undefined);
  assert.equal(clusterOf(() => ({})).sync("a"), undefined);
  assert.deepEqual(clusterOf(() => ({ requeueAfter: 0.2 })).sync("a"), { requeueAfter: 1 });
  const failing = (/** @type {Error} */ error) => () =>
    clusterOf(() => {
      throw error;
    }).sync("a");
  assert.throws(failing(new RetryError("later")), new RetryError("later"));
  assert.throws(failing(new TerminalError("never")), new TerminalError("never"));
  assert.throws(failing(apiError("conflict", "changed")), new RetryError("changed"));
  assert.throws(() => clusterOf(() => ({ requeueAfter: NaN })).sync("a"), TerminalError);
});

test("what a controller did not mean to throw is logged with its stack and tried again", () => {
  const cluster = clusterOf(() => {
    throw new TypeError("oops");
  });
  assert.throws(() => cluster.sync("default/a"), new RetryError("oops"));
  const [line] = cluster.takeLog();
  assert.equal(line?.message, "the controller threw");
  assert.equal(line?.fields.error, "TypeError: oops");
  assert.match(line?.fields.stack ?? "", /controller\.test\.js/);
});

test("an asynchronous handler is refused", () => {
  const cluster = clusterOf(/** @type {any} */ (async () => {}));
  assert.throws(() => cluster.sync("a"), new TerminalError("syncHandler must not be asynchronous"));
});

test("a failed start says why", () => {
  const start = () => {
    throw new Error("no data");
  };
  assert.throws(() => clusterOf(undefined, { start }).start(), new Error("no data"));
});

test("calls belong to the sync that runs", () => {
  const cluster = clusterOf(() => void client.get(PODS, { namespace: "default", name: "a" }));
  assert.throws(() => cluster.sync("default/a"), new RetryError('pods "a" not found'));
});

test("observers get every delta before the next sync, with the watch it is of", () => {
  /** @type {string[]} */
  const seen = [];
  const watches = [watch(SETS), watch(PODS, { observe: true, oldBodies: true, view: "metadata" })];
  const cluster = clusterOf(() => void seen.push("sync"), {
    watches,
    observe(batches) {
      for (const { watch: of, kind, deltas } of batches) {
        assert.equal(of, watches[1]);
        for (const { kind: change, key, object, old } of deltas) {
          assert.equal(object.spec, undefined);
          seen.push(`${change} ${kind} ${formatKey(key)} ${old?.metadata.resourceVersion ?? "-"}`);
        }
      }
    },
  });
  cluster.put(PODS, { ...pod("a"), spec: { nodeName: "n" } });
  cluster.edit(PODS, "default/a", ({ metadata }) => (metadata.labels = { a: "b" }));
  cluster.sync("default/a");
  cluster.remove(PODS, "default/a");
  cluster.sync("default/a");
  assert.deepEqual(seen, ["added Pod default/a -", "updated Pod default/a 1", "sync", "deleted Pod default/a -", "sync"]);
});

test("observers see what their watch selects come and go", () => {
  /** @type {string[]} */
  const seen = [];
  const cluster = clusterOf(undefined, {
    watches: [watch(PODS, { observe: true, labelSelector: "app=web" })],
    observe: (batches) =>
      void seen.push(...batches.flatMap(({ deltas }) => deltas.map(({ kind, key }) => `${kind} ${key.name}`))),
  });
  cluster.put(PODS, pod("a"));
  for (const app of ["web", "db"]) cluster.edit(PODS, "default/a", ({ metadata }) => (metadata.labels = { app }));
  cluster.remove(PODS, "default/a");
  cluster.sync("default/a");
  assert.deepEqual(seen, ["added a", "deleted a"]);
});

test("events, queue, discovery, time, chance and log reach the host", () => {
  const cluster = clusterOf(() => {
    recorder.warning(pod("a"), "Odd", "this is odd", { action: "Looking" });
    enqueue({ name: "b" }, { after: 1.5, priority: 3 });
    log.warn("odd", { count: 1, what: { a: ["ü"] }, error: new Error("e"), nothing: undefined });
  });
  cluster.sync("default/a");
  assert.deepEqual(cluster.takeEvents(), ["Warning Odd this is odd"]);
  assert.deepEqual(cluster.takeQueued(), [{ key: "b", after: 2, priority: 3 }]);
  const fields = { count: "1", what: '{"a":["ü"]}', error: "Error: e", nothing: "undefined" };
  assert.deepEqual(cluster.takeLog(), [{ level: "warn", message: "odd", fields }]);
  cluster.serve(SETS, { namespaced: true });
  assert.equal(resolve("apps/v1", "ReplicaSet")?.plural, "replicasets");
  assert.equal(resolve("apps/v1", "ReplicaSet")?.namespaced, true);
  assert.equal(resolve("apps/v1", "Unknown"), undefined);
  assert.equal(now().toISOString(), "2026-01-01T00:00:00.000Z");
  const before = monotonic();
  cluster.advance(5);
  assert.equal(monotonic() - before, 5);
  assert.ok(random() >= 0 && random() < 1);
});
