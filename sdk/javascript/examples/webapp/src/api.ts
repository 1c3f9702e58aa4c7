// The kinds that the controller reads and writes, as far as it does.

import { type Condition, type KubernetesObject, resource } from "@windlass-dev/sdk";

export interface WebApp extends KubernetesObject {
  spec: {
    image: string;
    /** Default 1. */
    replicas?: number;
    /** Default 80. */
    port?: number;
    config?: Record<string, string>;
  };
  status?: {
    observedGeneration?: number;
    readyReplicas?: number;
    conditions?: Condition[];
  };
}

export interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export interface Container {
  name: string;
  image: string;
  ports?: { containerPort: number }[];
  envFrom?: { configMapRef?: { name: string } }[];
}

export interface Deployment extends KubernetesObject {
  spec: {
    replicas?: number;
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: { containers: Container[] } };
  };
  status?: { readyReplicas?: number };
}

export interface Service extends KubernetesObject {
  spec: {
    selector?: Record<string, string>;
    ports: { port: number; targetPort?: number | string }[];
  };
}

export const WEB_APPS = resource<WebApp>({
  apiVersion: "examples.windlass.dev/v1",
  kind: "WebApp",
  plural: "webapps",
});
export const CONFIG_MAPS = resource<ConfigMap>({ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" });
export const DEPLOYMENTS = resource<Deployment>({
  apiVersion: "apps/v1",
  kind: "Deployment",
  plural: "deployments",
});
export const SERVICES = resource<Service>({ apiVersion: "v1", kind: "Service", plural: "services" });
