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
  return setFinalizers(resource, object, [...(object.metadata.finalizers ?? []), finalizer]);
}

export function removeFinalizer(resource, object, finalizer) {
  if (!hasFinalizer(object, finalizer)) return object;
  const kept = object.metadata.finalizers.filter((name) => name !== finalizer);
  return setFinalizers(resource, object, kept);
}

/** A merge patch replaces the list, so it is sent for the version that was looked at. */
function setFinalizers(resource, object, finalizers) {
  const { uid, resourceVersion } = object.metadata;
  return client.patch(resource, keyOf(object), "merge-patch", { metadata: { uid, resourceVersion, finalizers } });
}

export function findCondition(conditions, type) {
  return conditions?.find((condition) => condition.type === type);
}

export function setCondition(conditions = [], condition) {
  const found = findCondition(conditions, condition.type);
  const since = found?.status === condition.status ? found.lastTransitionTime : undefined;
  const set = { ...condition, lastTransitionTime: since ?? now().toISOString().replace(/\.\d+Z$/, "Z") };
  return found ? conditions.map((known) => (known === found ? set : known)) : [...conditions, set];
}

export function removeCondition(conditions = [], type) {
  return conditions.filter((condition) => condition.type !== type);
}

export function updateStatus(resource, object, status) {
  if (isEqual(object.status, status)) return false;
  client.updateStatus(resource, { ...object, status });
  return true;
}
