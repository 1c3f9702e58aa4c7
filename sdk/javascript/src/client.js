// Calls to the API server, each on behalf of the sync that runs.

import { host } from "#host";
import { apiCall } from "./errors.js";
import { parse, stringify } from "./json.js";
import { keyOf, toApiResource, toKey, withKind } from "./resource.js";
import { currentSync } from "./sync.js";

export const client = Object.freeze({
  get(resource, key, { subresource } = {}) {
    return call("get", target(resource, key, subresource));
  },

  list(resource, options = {}) {
    const { namespace = "", labelSelector = "", fieldSelector = "", limit = 0 } = options;
    const page = { namespace, labelSelector, fieldSelector, limit, continue: options.continue ?? "" };
    const list = call("list", toApiResource(resource), page);
    return { ...list, items: (list.items ?? []).map((item) => withKind(resource, item)) };
  },

  create(resource, body) {
    const key = { namespace: body.metadata.namespace ?? "", name: "" };
    return call("create", target(resource, key), stringify(withKind(resource, body)));
  },

  createSubresource(resource, key, subresource, body) {
    return call("create", target(resource, key, subresource), stringify(body));
  },

  update(resource, body, { subresource } = {}) {
    return call("update", target(resource, keyOf(body), subresource), stringify(withKind(resource, body)));
  },

  updateStatus(resource, body) {
    return client.update(resource, body, { subresource: "status" });
  },

  updateSubresource(resource, key, subresource, body) {
    return call("update", target(resource, key, subresource), stringify(body));
  },

  patch(resource, key, patchType, patch, { subresource } = {}) {
    return call("patch", target(resource, key, subresource), patchType, stringify(patch));
  },

  delete(resource, key, { propagationPolicy, gracePeriodSeconds, preconditions = {} } = {}) {
    const { uid, resourceVersion } = preconditions;
    const options = { propagationPolicy, gracePeriodSeconds, preconditions: { uid, resourceVersion } };
    return call("delete", target(resource, key), options);
  },
});

/** As the contract's `target`. */
function target(resource, key, subresource = "") {
  return { resource: toApiResource(resource), key: toKey(key), subresource };
}

function call(verb, ...parameters) {
  return parse(apiCall(() => host().clientset[verb](currentSync(), ...parameters)));
}
