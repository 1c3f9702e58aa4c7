// Runs what a WebApp describes: a Deployment with its configuration and a Service before it.

import {
  ApiError,
  type KubernetesObject,
  type Resource,
  TerminalError,
  type Watch,
  addFinalizer,
  client,
  defineController,
  formatKey,
  ignoreNotFound,
  isControlledBy,
  isDeleting,
  keyOf,
  recorder,
  removeFinalizer,
  setCondition,
  updateStatus,
  watch,
} from "@windlass-dev/sdk";

import { CONFIG_MAPS, DEPLOYMENTS, SERVICES, WEB_APPS, type WebApp } from "./api.ts";
import {
  type Correct,
  configMap,
  correctConfigMap,
  correctDeployment,
  correctService,
  deployment,
  service,
} from "./dependents.ts";

const FINALIZER = "examples.windlass.dev/webapp";

const webApps = watch(WEB_APPS, { enqueue: "itself" });
const configMaps = watch(CONFIG_MAPS, { enqueue: { owner: WEB_APPS } });
const deployments = watch(DEPLOYMENTS, { enqueue: { owner: WEB_APPS } });
const services = watch(SERVICES, { enqueue: { owner: WEB_APPS } });

/** Somebody else has an object of the name that one of ours would have. */
class NameTaken extends TerminalError {}

/** Creates the object, or corrects what has drifted. */
function ensure<T extends KubernetesObject>(app: WebApp, kind: Watch<T>, wanted: T, correct: Correct<T>): void {
  const found = kind.get(app.metadata);
  if (!found) return create(app, kind.resource, wanted);
  if (!isControlledBy(found, app)) throw taken(app, kind.resource);
  const corrected = correct(found, wanted);
  if (!corrected) return;
  client.update(kind.resource, corrected);
  recorder.normal(app, "Drifted", `corrected ${kind.resource.kind} ${app.metadata.name}`);
}

function create<T extends KubernetesObject>(app: WebApp, resource: Resource<T>, wanted: T): void {
  try {
    client.create(resource, wanted);
  } catch (error) {
    if (!ApiError.isAlreadyExists(error)) throw error;
    // One of ours comes with an event, and is looked at then.
    if (isControlledBy(client.get(resource, keyOf(wanted)), app)) return;
    throw taken(app, resource);
  }
  recorder.normal(app, "Created", `created ${resource.kind} ${app.metadata.name}`);
}

function taken(app: WebApp, { kind }: Resource<any>): NameTaken {
  return new NameTaken(`there is a ${kind} ${formatKey(keyOf(app))} of somebody else`);
}

function readyReplicas(app: WebApp): number {
  const found = deployments.get(app.metadata);
  return (found && isControlledBy(found, app) && found.status?.readyReplicas) || 0;
}

function setReady(
  app: WebApp,
  readyReplicas: number,
  status: "True" | "False",
  reason: string,
  message: string,
): void {
  const observedGeneration = app.metadata.generation ?? 0;
  const condition = { type: "Ready", status, reason, message, observedGeneration };
  const conditions = setCondition(app.status?.conditions, condition);
  updateStatus(WEB_APPS, app, { observedGeneration, readyReplicas, conditions });
}

/** The Service goes first, so that nothing is sent to what is about to end. */
function finalize(app: WebApp): void {
  const found = services.get(app.metadata);
  if (!found || !isControlledBy(found, app)) {
    ignoreNotFound(() => removeFinalizer(WEB_APPS, app, FINALIZER));
    return;
  }
  if (isDeleting(found)) return;
  const uid = found.metadata.uid ?? "";
  ignoreNotFound(() => client.delete(SERVICES, keyOf(found), { preconditions: { uid } }));
}

function reconcile(app: WebApp): void {
  ensure(app, configMaps, configMap(app), correctConfigMap);
  ensure(app, deployments, deployment(app), correctDeployment);
  ensure(app, services, service(app), correctService);
  const ready = readyReplicas(app);
  const { replicas = 1 } = app.spec;
  const message = `${ready} of ${replicas} replicas are ready`;
  if (ready === replicas) setReady(app, ready, "True", "AllReady", message);
  else setReady(app, ready, "False", "Progressing", message);
}

export const { blockingHandler } = defineController({
  manifest: {
    name: "webapp-javascript",
    version: "0.1.0",
    watches: [webApps, configMaps, deployments, services],
    apiQps: 200,
    apiBurst: 400,
    permissions: [
      { groups: ["examples.windlass.dev"], resources: ["webapps"], verbs: ["patch"] },
      { groups: ["examples.windlass.dev"], resources: ["webapps/status"], verbs: ["update"] },
      { groups: [""], resources: ["configmaps"], verbs: ["get", "create", "update"] },
      { groups: ["apps"], resources: ["deployments"], verbs: ["get", "create", "update"] },
      { groups: [""], resources: ["services"], verbs: ["get", "create", "update", "delete"] },
    ],
  },

  syncHandler(key) {
    const found = webApps.get(key);
    if (!found) return;
    if (isDeleting(found)) return finalize(found);
    const app = addFinalizer(WEB_APPS, found, FINALIZER);
    try {
      reconcile(app);
    } catch (error) {
      if (error instanceof NameTaken) setReady(app, readyReplicas(app), "False", "NameTaken", error.message);
      throw error;
    }
  },
});
