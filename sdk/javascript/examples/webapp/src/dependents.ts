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
  const meta = metadata(app);
  const { name, labels } = meta;
  const { image, replicas = 1, port = 80 } = app.spec;
  const container: Container = {
    name: "web",
    image,
    ports: [{ containerPort: port }],
    envFrom: [{ configMapRef: { name } }],
  };
  return {
    metadata: meta,
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

export function service(app: WebApp): Service {
  const meta = metadata(app);
  const { port = 80 } = app.spec;
  return { metadata: meta, spec: { selector: meta.labels, ports: [{ port, targetPort: port }] } };
}

/** The found object with the wanted fields, or nothing if it has them. */
export type Correct<T> = (found: T, wanted: T) => T | undefined;

export const correctConfigMap: Correct<ConfigMap> = (found, wanted) =>
  hasLabels(found, wanted) && isEqual(found.data ?? {}, wanted.data)
    ? undefined
    : { ...withLabels(found, wanted), data: wanted.data ?? {} };

export const correctDeployment: Correct<Deployment> = (found, wanted) => {
  const { replicas, template: wantedTemplate } = wanted.spec;
  const { template } = found.spec;
  const { containers } = template.spec;
  const [wantedWeb] = wantedTemplate.spec.containers;
  const web = containers.find(({ name }) => name === wantedWeb?.name);
  const isRight =
    hasLabels(found, wanted) &&
    hasLabels(template, wantedTemplate) &&
    found.spec.replicas === replicas &&
    covers(web, wantedWeb);
  if (isRight) return undefined;
  const others = containers.filter((container) => container !== web);
  const corrected = {
    ...withLabels(template, wantedTemplate),
    spec: { ...template.spec, containers: [{ ...web, ...wantedWeb } as Container, ...others] },
  };
  return { ...withLabels(found, wanted), spec: { ...found.spec, replicas: replicas ?? 1, template: corrected } };
};

export const correctService: Correct<Service> = (found, wanted) => {
  const { selector, ports } = wanted.spec;
  const isRight =
    hasLabels(found, wanted) && isEqual(found.spec.selector, selector) && covers(found.spec.ports, ports);
  if (isRight) return undefined;
  const corrected = ports.map((port, index) => ({ ...found.spec.ports[index], ...port }));
  return { ...withLabels(found, wanted), spec: { ...found.spec, ...wanted.spec, ports: corrected } };
};

type Labelled = { metadata: { labels?: Record<string, string> } };

function hasLabels(found: Labelled, wanted: Labelled): boolean {
  return covers(found.metadata.labels ?? {}, wanted.metadata.labels);
}

function withLabels<T extends Labelled>(found: T, wanted: Labelled): T {
  const labels = { ...found.metadata.labels, ...wanted.metadata.labels };
  return { ...found, metadata: { ...found.metadata, labels } };
}
