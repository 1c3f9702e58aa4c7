import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Counter,
  Gauge,
  Histogram,
  RetryError,
  TerminalError,
  addFinalizer,
  claim,
  covers,
  findCondition,
  formatSelector,
  hasFinalizer,
  isEqual,
  removeCondition,
  removeFinalizer,
  selectorMatches,
  setCondition,
} from "@windlass-dev/sdk";
import { apiError } from "@windlass-dev/sdk/testing";

import { PODS, SETS, clusterOf, pod } from "./support.js";

test("finalizers are added and removed once, for the version that was read", () => {
  const cluster = clusterOf();
  const read = cluster.put(PODS, pod("a", { finalizers: ["other/x"] }));
  const added = addFinalizer(PODS, read, "mine/y");
  assert.ok(hasFinalizer(added, "mine/y"));
  assert.equal(addFinalizer(PODS, added, "mine/y"), added);
  assert.throws(() => addFinalizer(PODS, read, "mine/z"), /modified/);
  assert.deepEqual(removeFinalizer(PODS, added, "mine/y").metadata.finalizers, ["other/x"]);
  assert.equal(removeFinalizer(PODS, read, "mine/y"), read);
  assert.equal(cluster.takeCalls().length, 3);
});

test("a condition keeps its time while its status stays", () => {
  const cluster = clusterOf();
  const first = setCondition(undefined, { type: "Ready", status: "False", reason: "Starting" });
  assert.equal(findCondition(first, "Ready")?.lastTransitionTime, "2026-01-01T00:00:00Z");
  cluster.advance(1000);
  const second = setCondition(first, { type: "Ready", status: "False", reason: "Waiting" });
  assert.equal(findCondition(second, "Ready")?.lastTransitionTime, "2026-01-01T00:00:00Z");
  const third = setCondition([...second, ...setCondition([], { type: "Other", status: "True" })], {
    type: "Ready",
    status: "True",
  });
  assert.deepEqual(third, [
    { type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:01Z" },
    { type: "Other", status: "True", lastTransitionTime: "2026-01-01T00:00:01Z" },
  ]);
  assert.deepEqual(removeCondition(third, "Ready").map(({ type }) => type), ["Other"]);
});

test("values are compared as the JSON that they are", () => {
  assert.ok(isEqual({ a: [1, { b: null }], c: undefined }, { a: [1, { b: null }] }));
  assert.ok(!isEqual({ a: 1 }, { b: 1 }));
  assert.ok(!isEqual([1], { 0: 1 }));
  assert.ok(covers({ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ c: 1 }] }));
  assert.ok(!covers({ b: [{ c: 1 }, { c: 1 }] }, { b: [{ c: 1 }] }));
  assert.ok(!covers(undefined, {}));
});

test("selectors match and are written as Kubernetes does", () => {
  const selector = {
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: /** @type {const} */ ("In"), values: ["a", "b"] },
      { key: "env", operator: /** @type {const} */ ("NotIn"), values: ["test"] },
      { key: "old", operator: /** @type {const} */ ("DoesNotExist") },
      { key: "team", operator: /** @type {const} */ ("Exists") },
    ],
  };
  assert.equal(formatSelector(selector), "app=web,tier in (a,b),env notin (test),!old,team");
  const labels = { app: "web", tier: "a", team: "x" };
  assert.ok(selectorMatches(selector, labels));
  for (const other of [{ app: "db" }, { tier: "c" }, { env: "test" }, { old: "" }, { team: undefined }]) {
    assert.ok(!selectorMatches(selector, /** @type {any} */ ({ ...labels, ...other })), JSON.stringify(other));
  }
  assert.ok(selectorMatches({}, undefined));
});

const OWNED = { ownerReferences: [{ uid: "owner", controller: true }] };
const WEB = { labels: { app: "web" } };

/** @param {object} [metadata] */
function clusterWithOwner(metadata) {
  const cluster = clusterOf();
  const owner = cluster.put(SETS, { metadata: { namespace: "default", name: "web", uid: "owner", ...metadata } });
  /** @param {import("./support.js").Pod[]} pods */
  const run = (...pods) => {
    const candidates = pods.map((candidate) => cluster.put(PODS, candidate));
    const selector = { matchLabels: { app: "web" } };
    const claimed = claim({ owner, ownerResource: SETS, selector, resource: PODS, candidates });
    return claimed.map((object) => object.metadata.name);
  };
  return { cluster, run };
}

test("own are kept, foreign ignored, and matching orphans adopted after one live read", () => {
  const { cluster, run } = clusterWithOwner();
  const foreign = { ownerReferences: [{ uid: "x", controller: true }] };
  const claimed = run(
    pod("own", { ...WEB, ...OWNED }),
    pod("foreign", { ...WEB, ...foreign }),
    pod("a", WEB),
    pod("b", WEB),
    pod("c", { labels: { app: "other" } }),
    pod("d", { ...WEB, namespace: "other" }),
  );
  assert.deepEqual(claimed, ["own", "a", "b"]);
  const calls = cluster.takeCalls();
  assert.deepEqual(calls, ["get replicasets default/web", "patch pods default/a", "patch pods default/b"]);
  assert.deepEqual(cluster.get(PODS, "default/a").metadata.ownerReferences, [
    { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "owner", controller: true, blockOwnerDeletion: true },
  ]);
});

test("own that no longer match are released, and what is gone needs no release", () => {
  const { cluster, run } = clusterWithOwner();
  assert.deepEqual(run(pod("own", OWNED)), []);
  assert.deepEqual(cluster.takeCalls(), ["patch pods default/own"]);
  assert.deepEqual(cluster.get(PODS, "default/own").metadata.ownerReferences, []);
  cluster.fail(() => apiError("not-found", "gone"));
  assert.deepEqual(run(pod("own", OWNED)), []);
});

test("a replaced owner adopts nothing", () => {
  const { cluster, run } = clusterWithOwner();
  cluster.edit(SETS, "default/web", ({ metadata }) => (metadata.uid = "another"));
  const reason = "original ReplicaSet default/web is gone: got uid another, wanted owner";
  assert.throws(() => run(pod("a", WEB)), new RetryError(`can't adopt Pod default/a (a): ${reason}`));
  assert.throws(() => run(pod("a", WEB), pod("b", WEB)), /^RetryError: \[can't adopt .*, can't adopt .*\]$/);
});

test("a deleting owner neither adopts nor releases", () => {
  const { cluster, run } = clusterWithOwner({ deletionTimestamp: "2026-01-01T00:00:00Z" });
  assert.deepEqual(run(pod("own", OWNED), pod("orphan", WEB), pod("kept", { ...WEB, ...OWNED })), ["kept"]);
  assert.deepEqual(cluster.takeCalls(), []);
});

const requests = new Counter({ name: "requests_total", help: "Requests.", labels: ["verb", "code"] });
const depth = new Gauge({ name: "depth", help: "Depth." });
const seconds = new Histogram({ name: "seconds", help: "Seconds.", buckets: [1, 2] });

test("metrics are the host's, by their labels' values in order", () => {
  const cluster = clusterOf();
  cluster.start();
  requests.increment({ code: 200, verb: "get" });
  requests.add(2, { verb: "get", code: 200 });
  depth.set(5);
  depth.add(-1);
  seconds.observe(1.5);
  assert.equal(cluster.metric("requests_total", ["get", "200"]), 3);
  assert.equal(cluster.metric("depth"), 4);
  assert.deepEqual(cluster.metric("seconds"), { count: 1, sum: 1.5 });
  assert.throws(() => Reflect.apply(requests.increment, requests, [{ verb: "get" }]), TerminalError);
});
