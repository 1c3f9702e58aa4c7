// The interfaces of the contract, answered by the store.

import { parse, stringify } from "../json.js";
import { controllerOf } from "../meta.js";
import { formatKey, keyOf } from "../resource.js";
import { failure, refusal, thrown } from "./failure.js";
import { parseSelector } from "./selector.js";
import { project, valueAt } from "./view.js";

/** Metrics are named by position, over all clusters of a process, as their makers remember it. */
const metricNames = [];

export function contractOf(store) {
  return {
    clientset: clientset(store),
    lister: lister(store),
    metrics: metrics(store),
    clock: {
      now: () => ({ seconds: Math.floor(store.now / 1000), nanoseconds: (store.now % 1000) * 1e6 }),
      monotonic: () => store.now * 1e6,
    },
    discovery: { resolve: (group, version, kind) => resolve(store, group, version, kind) },
    logging: {
      enabled: () => true,
      log: (level, message, fields) => store.lines.push({ level, message, fields: Object.fromEntries(fields) }),
    },
    moduleConfig: { get: () => stringify(store.config) },
    random: { next: () => store.nextNumber() * 2 ** 40 },
    recorder: { record: (event) => store.events.push(event) },
    workqueue: { add: (items) => store.queued.push(...items) },
  };
}

function lister(store) {
  const select = (position, isWanted) => {
    const watch = watchAt(store, position);
    const isWatched = parseSelector(watch.labelSelector);
    return store
      .collection(watch.target.val)
      .filter((object) => isWatched(object.metadata.labels) && isWanted(object))
      .map((object) => stringify(project(watch.view, object)));
  };
  return {
    get: (position, key) => select(position, (object) => formatKey(keyOf(object)) === formatKey(key))[0],
    list(position, namespace, labelSelector) {
      const matches = parseSelector(labelSelector);
      const isIn = (object) => namespace === undefined || object.metadata.namespace === namespace;
      return select(position, (object) => isIn(object) && matches(object.metadata.labels));
    },
    byIndex(position, name, value) {
      const index = watchAt(store, position).indexes.find((declared) => declared.name === name);
      if (!index) throw thrown(`no index ${name}`);
      const found = (object) => valueAt(object, index.path);
      return select(position, (object) => found(object) !== undefined && String(found(object)) === value);
    },
    byOwner: (position, uid) => select(position, (object) => controllerOf(object)?.uid === uid),
    orphans: (position, namespace) =>
      select(position, (object) => object.metadata.namespace === namespace && !controllerOf(object)),
  };
}

function watchAt(store, position) {
  const watch = store.manifest.watches[position];
  if (watch?.target.tag !== "one") throw new Error(`watch ${position} is not one that the lister can read`);
  return watch;
}

function clientset(store) {
  const answer = (verb, { resource, key, subresource = "" }, body, run) => {
    const name = subresource ? `${resource.plural}/${subresource}` : resource.plural;
    const described = `${verb} ${name} ${formatKey(key)}`.trimEnd();
    store.calls.push([described, body]);
    if (!isPermitted(store.manifest, verb, resource, name)) {
      throw refusal("not-permitted", `the manifest does not declare ${verb} on ${name} in the group "${resource.group}"`);
    }
    const refused = store.failure(described);
    if (refused) throw thrown({ ...failure(refused.kind, refused.message), ...refused, message: refused.message });
    return stringify(run());
  };
  return {
    get: (_, target) => answer("get", target, undefined, () => store.existing(target.resource, target.key)),
    list(_, resource, options) {
      const key = { namespace: options.namespace, name: "" };
      return answer("list", { resource, key }, undefined, () => list(store, resource, options));
    },
    create(_, target, bytes) {
      const body = parse(bytes);
      const key = { ...target.key, name: target.key.name || body.metadata?.name || "" };
      return answer("create", { ...target, key }, body, () =>
        target.subresource ? {} : store.create(target.resource, key.namespace, structuredClone(body)),
      );
    },
    update(_, target, bytes) {
      const body = parse(bytes);
      const { resource, key, subresource } = target;
      return answer("update", target, body, () => store.update(resource, key, body, subresource));
    },
    patch(_, target, patchType, bytes) {
      const body = parse(bytes);
      const { resource, key, subresource } = target;
      return answer("patch", target, body, () => store.patch(resource, key, patchType, body, subresource));
    },
    delete: (_, target, options) =>
      answer("delete", target, options, () => store.delete(target.resource, target.key, options)),
  };
}

/** Everything at once; field selectors are for names and namespaces. */
function list(store, resource, { namespace, labelSelector, fieldSelector }) {
  const matches = parseSelector(labelSelector);
  const fields = fieldSelector.split(",").filter((term) => term).map((term) => term.split("="));
  const items = store
    .collection(resource)
    .filter((object) => !namespace || object.metadata.namespace === namespace)
    .filter((object) => matches(object.metadata.labels))
    .filter((object) => fields.every(([path, value]) => valueAt(object, path) === value));
  return { metadata: {}, items };
}

/** What the manifest declares, and reading what it watches. */
function isPermitted({ watches, permissions }, verb, { group, plural }, name) {
  const isOne = (list, wanted) => list.includes(wanted) || list.includes("*");
  const isWatched = watches.some(({ target: { tag, val } }) => tag === "one" && val.group === group && val.plural === plural);
  return (
    (isWatched && name === plural && (verb === "get" || verb === "list")) ||
    permissions.some(
      (rule) => isOne(rule.groups, group) && isOne(rule.resources, name) && isOne(rule.verbs, verb),
    )
  );
}

function resolve(store, group, version, kind) {
  const found = store.served.find(
    ({ resource }) => resource.group === group && resource.version === version && resource.kind === kind,
  );
  return found && { resource: found.resource, namespaced: found.namespaced };
}

function metrics(store) {
  const change = (id, labels, by) => {
    const series = JSON.stringify([metricNames[id], labels]);
    store.series.set(series, by(store.series.get(series)));
  };
  return {
    declare({ name }) {
      if (!/^[A-Za-z_]\w{0,99}$/.test(name)) throw thrown(`${name} is no name of a metric`);
      if (!metricNames.includes(name)) metricNames.push(name);
      return metricNames.indexOf(name);
    },
    add: (id, labels, value) => change(id, labels, (before = 0) => before + value),
    set: (id, labels, value) => change(id, labels, () => value),
    observe: (id, labels, value) =>
      change(id, labels, ({ count, sum } = { count: 0, sum: 0 }) => ({ count: count + 1, sum: sum + value })),
  };
}
