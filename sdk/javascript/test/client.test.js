import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, RetryError, TerminalError, client, ignoreNotFound, updateStatus, watch } from "@windlass-dev/sdk";
import { apiError } from "@windlass-dev/sdk/testing";

import { PODS, SETS, clusterOf, pod } from "./support.js";

const A = { namespace: "default", name: "a" };

/** @param {ApiError["kind"]} kind */
const isKind = (kind) => (/** @type {unknown} */ error) => ApiError.is(error, kind);

test("every verb, and what the server makes of it", () => {
  const cluster = clusterOf();
  const created = client.create(PODS, { metadata: { namespace: "default", generateName: "a-" }, status: { phase: "x" } });
  assert.match(created.metadata.name ?? "", /^a-\d+$/);
  assert.equal(created.kind, "Pod");
  assert.equal(created.status, undefined);
  cluster.put(PODS, { ...pod("a"), spec: { nodeName: "n" }, status: { phase: "Running" } });
  const found = client.get(PODS, A);
  assert.equal(found.spec?.nodeName, "n");
  const updated = client.update(PODS, { ...found, spec: { nodeName: "ü" }, status: { phase: "no" } });
  assert.deepEqual([updated.spec?.nodeName, updated.status?.phase, updated.metadata.generation], ["ü", "Running", 2]);
  assert.throws(() => client.update(PODS, found), isKind("conflict"));
  const status = client.updateStatus(PODS, { ...updated, spec: {}, status: { phase: "Done" } });
  assert.deepEqual([status.spec?.nodeName, status.status?.phase], ["ü", "Done"]);
  assert.equal(client.list(PODS, { namespace: "default", fieldSelector: "metadata.name=a" }).items.length, 1);
  client.createSubresource(PODS, A, "binding", { target: { name: "n" } });
  client.delete(PODS, A, { preconditions: { uid: "a" }, propagationPolicy: "background" });
  assert.throws(() => client.get(PODS, A), isKind("not-found"));
  assert.equal(ignoreNotFound(() => client.delete(PODS, A)), undefined);
  assert.deepEqual(cluster.takeCalls(), [
    "create pods default/",
    "get pods default/a",
    "update pods default/a",
    "update pods default/a",
    "update pods/status default/a",
    "list pods default/",
    "create pods/binding default/a",
    "delete pods default/a",
    "get pods default/a",
    "delete pods default/a",
  ]);
});

test("patches of all three kinds", () => {
  const cluster = clusterOf();
  cluster.put(PODS, pod("a", { labels: { a: "1", b: "2" }, ownerReferences: [{ uid: "x" }] }));
  const merged = client.patch(PODS, A, "merge-patch", { metadata: { labels: { a: null, c: "3" } } });
  assert.deepEqual(merged.metadata.labels, { b: "2", c: "3" });
  const owners = [{ uid: "y" }, { $patch: "delete", uid: "x" }];
  const strategic = client.patch(PODS, A, "strategic-merge-patch", { metadata: { ownerReferences: owners } });
  assert.deepEqual(strategic.metadata.ownerReferences, [{ uid: "y" }]);
  const operations = [
    { op: "test", path: "/metadata/name", value: "a" },
    { op: "add", path: "/metadata/labels/x~1y", value: "4" },
    { op: "remove", path: "/metadata/labels/b" },
  ];
  const { labels } = client.patch(PODS, A, "json-patch", operations).metadata;
  assert.deepEqual(labels, { c: "3", "x/y": "4" });
  assert.throws(() => client.patch(PODS, A, "merge-patch", { metadata: { uid: "other" } }), isKind("conflict"));
  const phase = client.patch(PODS, A, "merge-patch", { status: { phase: "Done" } }, { subresource: "status" });
  assert.equal(phase.status?.phase, "Done");
});

test("finalizers keep what is deleted until the last has gone", () => {
  const cluster = clusterOf();
  cluster.put(PODS, pod("a", { finalizers: ["x"] }));
  client.delete(PODS, A);
  assert.equal(cluster.get(PODS, "default/a").metadata.deletionTimestamp, "2026-01-01T00:00:00Z");
  client.patch(PODS, A, "merge-patch", { metadata: { finalizers: [] } });
  assert.equal(cluster.find(PODS, "default/a"), undefined);
});

test("a failure carries what the server said", () => {
  const cluster = clusterOf();
  cluster.fail((call) => (call.startsWith("get") ? apiError("too-many-requests", "slow down") : undefined));
  assert.throws(
    () => client.get(PODS, A),
    (error) => ApiError.isTooManyRequests(error) && error.code === 429 && error.message === "slow down",
  );
  assert.equal(ApiError.isNotFound(new Error("not found")), false);
});

test("what the manifest does not declare is not permitted", () => {
  const cluster = clusterOf(() => void client.delete(PODS, A), { permissions: [] });
  cluster.put(PODS, pod("a"));
  assert.equal(client.get(PODS, A).metadata.name, "a");
  assert.throws(() => cluster.sync("default/a"), RetryError);
  assert.throws(() => client.get(SETS, A), isKind("not-permitted"));
});

test("a status is written when it changes, for the version that was read", () => {
  const cluster = clusterOf();
  const read = cluster.put(PODS, { ...pod("a"), status: { phase: "Running" } });
  assert.equal(updateStatus(PODS, read, { phase: "Running" }), false);
  assert.equal(updateStatus(PODS, read, { phase: "Done" }), true);
  assert.throws(() => updateStatus(PODS, read, { phase: "Else" }), isKind("conflict"));
});

test("listers show what a watch covers, and no more of it", () => {
  const pods = watch(PODS, {
    view: { fields: ["spec.containers.image", "status"] },
    labelSelector: "app in (web, db),!hidden",
    indexes: { node: "spec.nodeName", paused: "spec.paused" },
  });
  const cluster = clusterOf(undefined, { watches: [watch(SETS), pods] });
  const spec = { nodeName: "n", paused: true, containers: [{ name: "c", image: "i" }] };
  cluster.put(PODS, { ...pod("a", { labels: { app: "web", tier: "1" } }), spec, status: { phase: "Running" } });
  cluster.put(PODS, pod("b", { labels: { app: "db" }, namespace: "other", ownerReferences: [{ uid: "o", controller: true }] }));
  cluster.put(PODS, pod("c", { labels: { app: "web", hidden: "" } }));
  const a = pods.get(A);
  assert.deepEqual(a?.spec, { containers: [{ image: "i" }] });
  assert.deepEqual(a?.status, { phase: "Running" });
  assert.equal(pods.get({ namespace: "default", name: "c" }), undefined);
  const names = (/** @type {import("./support.js").Pod[]} */ found) => found.map(({ metadata }) => metadata.name);
  assert.deepEqual(names(pods.list()), ["a", "b"]);
  assert.deepEqual(names(pods.list({ namespace: "other" })), ["b"]);
  assert.deepEqual(names(pods.list({ labelSelector: "tier!=2,app=web" })), ["a"]);
  assert.deepEqual(names(pods.byIndex("node", "n")), ["a"]);
  assert.deepEqual(names(pods.byIndex("paused", "true")), ["a"]);
  assert.deepEqual(names(pods.byOwner({ metadata: { uid: "o" } })), ["b"]);
  assert.deepEqual(names(pods.orphans("default")), ["a"]);
  assert.throws(() => pods.byIndex("other", ""), TerminalError);
  assert.throws(() => pods.list({ labelSelector: "a b" }), TerminalError);
});
