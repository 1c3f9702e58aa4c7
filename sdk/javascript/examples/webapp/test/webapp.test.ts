import assert from "node:assert/strict";
import { test } from "node:test";

import { RetryError, TerminalError, findCondition } from "@windlass-dev/sdk";
import { Cluster, apiError } from "@windlass-dev/sdk/testing";

import { CONFIG_MAPS, DEPLOYMENTS, SERVICES, WEB_APPS, type WebApp } from "../src/api.ts";
import * as component from "../src/main.ts";

const KEY = "shop/web";

function clusterWith(spec: Partial<WebApp["spec"]> = {}): Cluster {
  const cluster = new Cluster(component);
  cluster.put(WEB_APPS, {
    metadata: { namespace: "shop", name: "web", uid: "app" },
    spec: { image: "web:1", replicas: 2, config: { COLOUR: "blue" }, ...spec },
  });
  return cluster;
}

/** Where everything is there and two replicas are ready. */
function settled(): Cluster {
  const cluster = clusterWith();
  cluster.sync(KEY);
  cluster.edit(DEPLOYMENTS, KEY, (deployment) => (deployment.status = { readyReplicas: 2 }));
  cluster.sync(KEY);
  cluster.takeCalls();
  cluster.takeEvents();
  return cluster;
}

function ready(cluster: Cluster) {
  return findCondition(cluster.get(WEB_APPS, KEY).status?.conditions, "Ready");
}

test("a new one gets its finalizer, then everything that it owns, each with an event", () => {
  const cluster = clusterWith();
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeCalls(), [
    "patch webapps shop/web",
    "create configmaps shop/web",
    "create deployments shop/web",
    "create services shop/web",
    "update webapps/status shop/web",
  ]);
  assert.deepEqual(cluster.takeEvents(), [
    "Normal Created created ConfigMap web",
    "Normal Created created Deployment web",
    "Normal Created created Service web",
  ]);
  const { metadata, spec } = cluster.get(DEPLOYMENTS, KEY);
  assert.deepEqual(metadata.labels, { app: "web" });
  assert.deepEqual(metadata.ownerReferences, [
    {
      apiVersion: "examples.windlass.dev/v1",
      kind: "WebApp",
      name: "web",
      uid: "app",
      controller: true,
      blockOwnerDeletion: true,
    },
  ]);
  assert.deepEqual(spec.template.spec.containers, [
    { name: "web", image: "web:1", ports: [{ containerPort: 80 }], envFrom: [{ configMapRef: { name: "web" } }] },
  ]);
  assert.deepEqual(cluster.get(CONFIG_MAPS, KEY).data, { COLOUR: "blue" });
  assert.deepEqual(cluster.get(SERVICES, KEY).spec.ports, [{ port: 80, targetPort: 80 }]);
  assert.deepEqual(cluster.get(WEB_APPS, KEY).metadata.finalizers, ["examples.windlass.dev/webapp"]);
});

test("the status follows the Deployment, is written when it changes, and knows since when", () => {
  const cluster = clusterWith();
  cluster.sync(KEY);
  assert.equal(ready(cluster)?.reason, "Progressing");
  cluster.advance(1000);
  cluster.edit(DEPLOYMENTS, KEY, (deployment) => (deployment.status = { readyReplicas: 1 }));
  cluster.sync(KEY);
  assert.equal(ready(cluster)?.lastTransitionTime, "2026-01-01T00:00:00Z");
  cluster.edit(DEPLOYMENTS, KEY, (deployment) => (deployment.status = { readyReplicas: 2 }));
  cluster.sync(KEY);
  const { status } = cluster.get(WEB_APPS, KEY);
  assert.deepEqual(status, {
    observedGeneration: 1,
    readyReplicas: 2,
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "AllReady",
        message: "2 of 2 replicas are ready",
        observedGeneration: 1,
        lastTransitionTime: "2026-01-01T00:00:01Z",
      },
    ],
  });
  cluster.takeCalls();
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeCalls(), []);
});

test("drift of what the controller sets is corrected, and nothing else is touched", () => {
  const cluster = settled();
  cluster.edit(DEPLOYMENTS, KEY, (deployment) => {
    deployment.spec.replicas = 7;
    deployment.spec.template.spec.containers[0]!.image = "other";
    Object.assign(deployment.spec, { revisionHistoryLimit: 3 });
    Object.assign(deployment.spec.template.spec.containers[0]!, { imagePullPolicy: "Always" });
    deployment.spec.template.spec.containers.push({ name: "sidecar", image: "proxy" });
  });
  cluster.edit(CONFIG_MAPS, KEY, (configMap) => (configMap.data = { COLOUR: "blue", extra: "1" }));
  cluster.edit(SERVICES, KEY, (service) => {
    service.metadata.labels = { mine: "too" };
    Object.assign(service.spec, { clusterIP: "10.0.0.1" });
  });
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeEvents(), [
    "Normal Drifted corrected ConfigMap web",
    "Normal Drifted corrected Deployment web",
    "Normal Drifted corrected Service web",
  ]);
  const { spec } = cluster.get(DEPLOYMENTS, KEY);
  assert.equal(spec.replicas, 2);
  assert.equal(spec.template.spec.containers[0]?.image, "web:1");
  assert.equal(spec.template.spec.containers[1]?.image, "proxy");
  assert.equal(Reflect.get(spec, "revisionHistoryLimit"), 3);
  assert.equal(Reflect.get(spec.template.spec.containers[0]!, "imagePullPolicy"), "Always");
  assert.deepEqual(cluster.get(CONFIG_MAPS, KEY).data, { COLOUR: "blue" });
  const service = cluster.get(SERVICES, KEY);
  assert.deepEqual(service.metadata.labels, { mine: "too", app: "web" });
  assert.equal(Reflect.get(service.spec, "clusterIP"), "10.0.0.1");
  cluster.takeCalls();
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeCalls(), []);
});

test("what the server fills in is no drift", () => {
  const cluster = settled();
  cluster.edit(DEPLOYMENTS, KEY, ({ spec }) => {
    Object.assign(spec, { strategy: { type: "RollingUpdate" } });
    Object.assign(spec.template.spec.containers[0]!.ports![0]!, { protocol: "TCP" });
  });
  cluster.edit(SERVICES, KEY, ({ spec }) => Object.assign(spec.ports[0]!, { protocol: "TCP" }));
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeCalls(), []);
});

test("a change of the specification reaches what is owned", () => {
  const cluster = settled();
  cluster.edit(WEB_APPS, KEY, (app) => {
    app.spec = { image: "web:2", port: 8080 };
    app.metadata.generation = 2;
  });
  cluster.sync(KEY);
  assert.equal(cluster.get(DEPLOYMENTS, KEY).spec.replicas, 1);
  assert.equal(cluster.get(DEPLOYMENTS, KEY).spec.template.spec.containers[0]?.image, "web:2");
  assert.deepEqual(cluster.get(SERVICES, KEY).spec.ports, [{ port: 8080, targetPort: 8080 }]);
  assert.deepEqual(cluster.get(CONFIG_MAPS, KEY).data, {});
  assert.equal(cluster.get(WEB_APPS, KEY).status?.observedGeneration, 2);
  assert.equal(ready(cluster)?.reason, "Progressing");
});

test("an object of somebody else is not overwritten", () => {
  const cluster = clusterWith();
  const theirs = { selector: { app: "theirs" }, ports: [{ port: 1 }] };
  cluster.put(SERVICES, { metadata: { namespace: "shop", name: "web" }, spec: theirs });
  const error = new TerminalError("there is a Service shop/web of somebody else");
  assert.throws(() => cluster.sync(KEY), error);
  assert.deepEqual(cluster.get(SERVICES, KEY).spec, theirs);
  assert.equal(ready(cluster)?.reason, "NameTaken");
  assert.equal(ready(cluster)?.message, error.message);
  assert.equal(ready(cluster)?.status, "False");
  cluster.takeCalls();
  assert.throws(() => cluster.sync(KEY), error);
  assert.deepEqual(cluster.takeCalls(), []);
  cluster.remove(SERVICES, KEY);
  cluster.sync(KEY);
  assert.equal(ready(cluster)?.reason, "Progressing");
});

test("the finalizer goes when the Service has gone from the cache", () => {
  const cluster = settled();
  cluster.edit(SERVICES, KEY, ({ metadata }) => (metadata.finalizers = ["somebody/else"]));
  cluster.edit(WEB_APPS, KEY, ({ metadata }) => (metadata.deletionTimestamp = "2026-01-01T00:00:00Z"));
  cluster.sync(KEY);
  const [[call, options] = []] = cluster.takeBodies();
  assert.equal(call, "delete services shop/web");
  assert.equal(options.preconditions.uid, cluster.get(SERVICES, KEY).metadata.uid);
  cluster.sync(KEY);
  assert.deepEqual(cluster.takeCalls(), []);
  cluster.remove(SERVICES, KEY);
  cluster.sync(KEY);
  assert.equal(cluster.find(WEB_APPS, KEY), undefined);
  assert.equal(cluster.sync(KEY), undefined);
});

test("a conflict is tried again", () => {
  const cluster = clusterWith();
  cluster.fail((call) => (call.startsWith("patch webapps") ? apiError("conflict", "it changed") : undefined));
  assert.throws(() => cluster.sync(KEY), new RetryError("it changed"));
});
