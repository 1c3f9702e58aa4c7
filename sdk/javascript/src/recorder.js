// Kubernetes events: fire and forget.

import { host } from "#host";

export const recorder = Object.freeze({
  normal: (object, reason, message, options) => record("normal", object, reason, message, options),
  warning: (object, reason, message, options) => record("warning", object, reason, message, options),
});

function record(eventType, object, reason, message, { action = "" } = {}) {
  const { apiVersion = "", kind = "", metadata } = object;
  const { namespace = "", name = "", uid = "", resourceVersion = "" } = metadata;
  const regarding = { apiVersion, kind, namespace, name, uid, resourceVersion };
  host().recorder.record({ regarding, eventType, reason, message, action });
}
