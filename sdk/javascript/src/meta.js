// Metadata and status of objects: owners, finalizers, conditions.

import { client } from "./client.js";
import { isEqual } from "./json.js";
import { keyOf } from "./resource.js";
import { now } from "./services.js";

export function isDeleting(object) {
  return object.metadata.deletionTimestamp !== undefined;
}

export function controllerReference({ apiVersion, kind }, { metadata: { name, uid } }) {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

export function controllerOf(object) {
  return object.metadata.ownerReferences?.find((reference) => reference.controller);
}

export function isControlledBy(object, owner) {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

export function hasFinalizer(object, finalizer) {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

export function addFinalizer(resource, object, finalizer) {
  if (hasFinalizer(object, finalizer)) return object;
  return patchMetadata(resource, object, { finalizers: [...(object.metadata.finalizers ?? []), finalizer] });
}

export function removeFinalizer(resource, object, finalizer) {
  if (!hasFinalizer(object, finalizer)) return object;
  const finalizers = object.metadata.finalizers.filter((name) => name !== finalizer);
  return patchMetadata(resource, object, { finalizers });
}

/**
 * A merge patch, which every resource takes. It replaces lists, so it is sent for the very
 * object and version that was looked at.
 */
export function patchMetadata(resource, object, fields) {
  const { uid, resourceVersion } = object.metadata;
  return client.patch(resource, keyOf(object), "merge-patch", { metadata: { uid, resourceVersion, ...fields } });
}

export function findCondition(conditions, type) {
  return conditions?.find((condition) => condition.type === type);
}

export function setCondition(conditions = [], condition) {
  const found = findCondition(conditions, condition.type);
  const since = found?.status === condition.status ? found.lastTransitionTime : undefined;
  const set = { ...condition, lastTransitionTime: since ?? formatTime(now()) };
  return found ? conditions.map((known) => (known === found ? set : known)) : [...conditions, set];
}

/** As the API writes times: whole seconds. */
export function formatTime(time) {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

export function removeCondition(conditions = [], type) {
  return conditions.filter((condition) => condition.type !== type);
}

export function updateStatus(resource, object, status) {
  if (isEqual(object.status, status)) return false;
  client.updateStatus(resource, { ...object, status });
  return true;
}
