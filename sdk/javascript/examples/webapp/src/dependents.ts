// What a WebApp owns, and how each of its fields is made right again.
//
// Compared and corrected are the fields that are set here, and no others: the rest is the
// server's, or somebody else's.

import { covers, controllerReference, isEqual } from "@windlass-dev/sdk";

import { type ConfigMap, type Container, type Deployment, type Service, type WebApp, WEB_APPS } from "./api.ts";

/** The metadata of each. */
function metadata(app: WebApp) {
  const { name = "", namespace = "" } = app.metadata;
  return { name, namespace, labels: { app: name }, ownerReferences: [controllerReference(WEB_APPS, app)] };
}

export function configMap(app: WebApp): ConfigMap {
  return { metadata: metadata(app), data: app.spec.config ?? {} };
}

export function deployment(app: WebApp): Deployment {
  const { name, labels, ...rest } = metadata(app);
  const { image, replicas = 1, port = 80 } = app.spec;
  const container: Container = {
    name: "web",
    image,
    ports: [{ containerPort: port }],
    envFrom: [{ configMapRef: { name } }],
  };
  return {
    metadata: { name, labels, ...rest },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

export function service(app: WebApp): Service {
  const { port = 80 } = app.spec;
  return {
    metadata: metadata(app),
    spec: { selector: metadata(app).labels, ports: [{ port, targetPort: port }] },
  };
}

/** The found object with the wanted fields, or nothing if it has them. */
export type Correct<T> = (found: T, wanted: T) => T | undefined;

export const correctConfigMap: Correct<ConfigMap> = (found, wanted) =>
  hasLabels(found, wanted) && isEqual(found.data ?? {}, wanted.data)
    ? undefined
    : { ...withLabels(found, wanted), data: wanted.data ?? {} };

export const correctDeployment: Correct<Deployment> = (found, wanted) => {
  if (hasLabels(found, wanted) && covers(found.spec, wanted.spec)) return undefined;
  const { template, replicas } = wanted.spec;
  const web = found.spec.template.spec.containers.find(({ name }) => name === "web");
  const containers = template.spec.containers.map((container) => ({ ...web, ...container }));
  const labels = { ...found.spec.template.metadata.labels, ...template.metadata.labels };
  return {
    ...withLabels(found, wanted),
    spec: {
      ...found.spec,
      replicas: replicas ?? 1,
      template: {
        ...found.spec.template,
        metadata: { ...found.spec.template.metadata, labels },
        spec: { ...found.spec.template.spec, containers },
      },
    },
  };
};

export const correctService: Correct<Service> = (found, wanted) => {
  const isRight =
    hasLabels(found, wanted) &&
    isEqual(found.spec.selector, wanted.spec.selector) &&
    covers(found.spec.ports, wanted.spec.ports);
  return isRight ? undefined : { ...withLabels(found, wanted), spec: { ...found.spec, ...wanted.spec } };
};

type Labelled = { metadata: { labels?: Record<string, string> } };

function hasLabels(found: Labelled, wanted: Labelled): boolean {
  return covers(found.metadata.labels ?? {}, wanted.metadata.labels);
}

function withLabels<T extends Labelled>(found: T, wanted: Labelled): T {
  const labels = { ...found.metadata.labels, ...wanted.metadata.labels };
  return { ...found, metadata: { ...found.metadata, labels } };
}
