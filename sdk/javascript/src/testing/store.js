// The fake cluster's store: the objects, and what the server does when they are written.

import { isEqual, stringify } from "../json.js";
import { formatTime } from "../meta.js";
import { formatKey, keyOf } from "../resource.js";
import { refusal } from "./failure.js";
import { applyPatch } from "./patch.js";
import { parseSelector } from "./selector.js";
import { project } from "./view.js";

export class Store {
  manifest = { watches: [], permissions: [] };
  config = {};
  now = Date.parse("2026-01-01T00:00:00Z");
  failure = () => undefined;
  calls = [];
  events = [];
  queued = [];
  lines = [];
  series = new Map();
  served = [];
  #objects = new Map();
  #changes = [];
  #counter = 0;

  nextNumber() {
    this.#counter += 1;
    return this.#counter;
  }

  find(resource, key) {
    return this.#objects.get(idOf(resource, key))?.object;
  }

  /** By key. */
  collection(resource) {
    const collection = collectionOf(resource);
    const entries = [...this.#objects].filter(([, entry]) => entry.collection === collection);
    return entries.sort(([one], [other]) => (one < other ? -1 : 1)).map(([, entry]) => entry.object);
  }

  put(resource, object) {
    const number = this.nextNumber();
    const { metadata } = object;
    metadata.name ||= `${metadata.generateName ?? ""}${number}`;
    metadata.uid ??= `uid-${number}`;
    metadata.creationTimestamp ??= this.timestamp();
    metadata.generation ??= 1;
    metadata.resourceVersion = String(number);
    const key = keyOf(object);
    const old = this.find(resource, key);
    this.#objects.set(idOf(resource, key), { collection: collectionOf(resource), object });
    this.#changes.push({ resource, old, object });
    return structuredClone(object);
  }

  remove(resource, key) {
    const old = this.find(resource, key);
    if (!old) return;
    this.#objects.delete(idOf(resource, key));
    this.#changes.push({ resource, old });
  }

  create(resource, namespace, body) {
    if (namespace) body.metadata.namespace = namespace;
    const key = keyOf(body);
    if (key.name && this.find(resource, key)) {
      throw refusal("already-exists", `${resource.plural} "${key.name}" already exists`);
    }
    const { uid, resourceVersion, deletionTimestamp, ...metadata } = body.metadata;
    const { status, ...rest } = body;
    return this.put(resource, { ...rest, metadata });
  }

  /** What the server keeps of a new body: the old status, or with the subresource only the new one. */
  update(resource, key, body, subresource) {
    const old = this.existing(resource, key);
    const version = body.metadata?.resourceVersion;
    if (version && version !== old.metadata.resourceVersion) {
      throw refusal("conflict", `${resource.plural} "${key.name}": the object has been modified`);
    }
    if (body.metadata?.uid && body.metadata.uid !== old.metadata.uid) {
      throw refusal("conflict", `${resource.plural} "${key.name}": the UID differs`);
    }
    const kept = subresource === "status" ? { ...old, status: body.status } : { ...body, status: old.status };
    const object = structuredClone(kept);
    const { uid, creationTimestamp, deletionTimestamp, generation } = old.metadata;
    Object.assign(object.metadata, { uid, creationTimestamp, deletionTimestamp });
    object.metadata.resourceVersion = old.metadata.resourceVersion;
    object.metadata.generation = isEqual(object.spec, old.spec) ? generation : generation + 1;
    if (object.metadata.deletionTimestamp && !object.metadata.finalizers?.length) {
      this.remove(resource, key);
      return object;
    }
    return isEqual(object, old) ? object : this.put(resource, object);
  }

  patch(resource, key, patchType, patch, subresource) {
    const old = this.existing(resource, key);
    return this.update(resource, key, applyPatch(resource, old, patchType, patch), subresource);
  }

  delete(resource, key, { propagationPolicy, preconditions }) {
    const object = structuredClone(this.existing(resource, key));
    const { metadata } = object;
    const isMet = (wanted, found) => wanted === undefined || wanted === null || wanted === found;
    if (
      !isMet(preconditions.uid, metadata.uid) ||
      !isMet(preconditions.resourceVersion, metadata.resourceVersion)
    ) {
      throw refusal("conflict", `${resource.plural} "${key.name}": a precondition failed`);
    }
    const added = { foreground: ["foregroundDeletion"], orphan: ["orphan"] }[propagationPolicy] ?? [];
    const finalizers = [...(metadata.finalizers ?? []), ...added];
    if (finalizers.length > 0) {
      Object.assign(metadata, { finalizers, deletionTimestamp: metadata.deletionTimestamp ?? this.timestamp() });
      return this.put(resource, object);
    }
    this.remove(resource, key);
    return object;
  }

  existing(resource, key) {
    const object = this.find(resource, key);
    if (!object) throw refusal("not-found", `${resource.plural} "${key.name}" not found`);
    return object;
  }

  timestamp() {
    return formatTime(new Date(this.now));
  }

  /** What observed watches saw since the last time, a batch for each delta. */
  takeBatches() {
    return this.#changes
      .splice(0)
      .flatMap((change) => this.manifest.watches.flatMap((watch, position) => toBatches(watch, position, change)));
  }
}

/** One at most: none for a watch that does not observe the object. */
function toBatches(watch, position, { resource, ...change }) {
  const { observe, target, labelSelector, view, oldBodies } = watch;
  if (!observe || target.tag !== "one" || collectionOf(target.val) !== collectionOf(resource)) return [];
  const isWatched = parseSelector(labelSelector);
  const [old, object] = [change.old, change.object].map((one) => (isWatched(one?.metadata.labels) ? one : undefined));
  const last = object ?? old;
  if (!last) return [];
  const kind = object ? (old ? "updated" : "added") : "deleted";
  const body = (whole) => stringify(project(view, whole));
  const delta = { kind, key: keyOf(last), initial: false, body: body(last) };
  if (kind === "updated" && oldBodies) delta.old = body(old);
  const namespaced = last.metadata.namespace !== undefined;
  return [{ watch: position, resource: target.val, kind: last.kind, namespaced, deltas: [delta] }];
}

function collectionOf({ group, plural }) {
  return `${group}/${plural}`;
}

function idOf(resource, key) {
  return `${collectionOf(resource)} ${formatKey(key)}`;
}
