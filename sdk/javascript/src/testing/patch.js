// Patches, as far as controllers send them.

import { isEqual } from "../json.js";
import { refusal } from "./failure.js";

/** Lists that a strategic merge patch merges by a key of their items. */
const MERGE_KEYS = { ownerReferences: "uid", conditions: "type" };

/** The patched object; the old one stays as it is. */
export function applyPatch(resource, old, patchType, patch) {
  const object = structuredClone(old);
  if (patchType === "merge-patch") return merge(object, patch, {});
  if (patchType === "json-patch") return patch.reduce(applyOperation, object);
  if (resource.group.includes(".") && !resource.group.endsWith(".k8s.io")) {
    throw refusal("unsupported-media-type", "custom resources take no strategic merge patch");
  }
  return merge(object, patch, MERGE_KEYS);
}

/** RFC 7386, but for lists with a merge key. */
function merge(target, patch, mergeKeys) {
  if (!isFields(patch)) return patch;
  const merged = isFields(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else if (mergeKeys[name] && Array.isArray(value)) merged[name] = mergeList(merged[name], value, mergeKeys[name]);
    else merged[name] = merge(merged[name], value, mergeKeys);
  }
  return merged;
}

function mergeList(items = [], changes, key) {
  return changes.reduce((merged, change) => {
    const others = merged.filter((item) => item[key] !== change[key]);
    if (change.$patch === "delete") return others;
    return [...others, { ...items.find((item) => item[key] === change[key]), ...change }];
  }, items);
}

function isFields(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** RFC 6902, without `move` and `copy`. */
function applyOperation(object, { op, path, value }) {
  const names = path.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = names.pop();
  const parent = names.reduce((found, name) => found?.[name], object);
  const isThere = parent?.[last] !== undefined;
  if (!parent || (op !== "add" && !isThere) || (op === "test" && !isEqual(parent[last], value))) {
    throw refusal("invalid", `${op} ${path}: the server rejected our request`);
  }
  if (op === "remove") remove(parent, last);
  else if (op === "add" && Array.isArray(parent)) parent.splice(last === "-" ? parent.length : Number(last), 0, value);
  else if (op === "add" || op === "replace") parent[last] = value;
  else if (op !== "test") throw refusal("bad-request", `the fake cluster does not know the operation ${op}`);
  return object;
}

function remove(parent, name) {
  if (Array.isArray(parent)) parent.splice(Number(name), 1);
  else delete parent[name];
}
