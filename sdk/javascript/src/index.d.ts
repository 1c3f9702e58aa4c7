/**
 * Write Kubernetes controllers as WebAssembly components for Windlass.
 *
 * A controller says in a manifest what it watches and how that becomes keys, and implements
 * `syncHandler`. The host runs informers, caches, queue, back-off and clients, and starts no
 * sync before the caches hold what earlier syncs of the same key wrote.
 *
 * - Everything is synchronous. An instance gets one key at a time; a call to the API server
 *   returns when its answer is there.
 * - The module is evaluated while the component is built, where there is no host: at its top
 *   level define things, metrics too; read, write, log and draw numbers from `start` on.
 * - Durations are milliseconds.
 *
 * @module @windlass-dev/sdk
 */

// === Objects ===

/** `metadata` of an object, without what no controller reads. */
export interface ObjectMeta {
  /** Unique in its namespace and resource; absent before a create with `generateName`. */
  name?: string;
  /** Absent for cluster-scoped objects. */
  namespace?: string;
  /** What the server generates a name from, in a create without one. */
  generateName?: string;
  /** Tells the object from others that had or will have its name. */
  uid?: string;
  /** Opaque: compare for equality only. */
  resourceVersion?: string;
  /** Counts changes of the desired state. */
  generation?: number;
  /** RFC 3339. */
  creationTimestamp?: string;
  /** RFC 3339. Set when somebody deleted the object and its finalizers keep it. */
  deletionTimestamp?: string;
  /** How long it was given to end. */
  deletionGracePeriodSeconds?: number;
  /** What selectors match. */
  labels?: Record<string, string>;
  /** What no selector matches. */
  annotations?: Record<string, string>;
  /** Those without which it is garbage. */
  ownerReferences?: OwnerReference[];
  /** Who has to let go of it before it is deleted. */
  finalizers?: string[];
}

/** An entry of `metadata.ownerReferences`. */
export interface OwnerReference {
  /** Of the owner, such as `apps/v1`. */
  apiVersion: string;
  /** Of the owner. */
  kind: string;
  /** Of the owner, which lives in the same namespace or in none. */
  name: string;
  /** Of the owner; another object of the same name is none. */
  uid: string;
  /** Whether this owner is the one that manages the object; at most one is. */
  controller?: boolean;
  /** Whether a deletion of the owner in the foreground waits for the object. */
  blockOwnerDeletion?: boolean;
}

/** An entry of `status.conditions`. */
export interface Condition {
  /** What it is about, such as `Ready`. */
  type: string;
  /** Whether it holds. */
  status: "True" | "False" | "Unknown";
  /** Why, in CamelCase. */
  reason?: string;
  /** Why, for people. */
  message?: string;
  /** RFC 3339; when `status` last changed. */
  lastTransitionTime?: string;
  /** The generation that it was found of. */
  observedGeneration?: number;
}

/** What every object has. Objects from listers and answers are the caller's own copies. */
export interface KubernetesObject {
  /** Such as `apps/v1`; filled in where it is missing. */
  apiVersion?: string;
  /** Filled in where it is missing. */
  kind?: string;
  /** Its name, labels, owners and so on. */
  metadata: ObjectMeta;
}

/** One page of a live list. */
export interface ObjectList<T> {
  /** What the server says of the list. */
  metadata: {
    /** How new it is; opaque. */
    resourceVersion?: string;
    /** For `ListOptions.continue`; empty or absent on the last page. */
    continue?: string;
    /** How many objects follow on later pages, if the server knows. */
    remainingItemCount?: number;
  };
  /** The objects on this page. */
  items: T[];
}

/** What names an object in a collection. */
export interface ObjectKey {
  /** Empty for cluster-scoped objects. */
  namespace: string;
  /** The object's name. */
  name: string;
}

/** A key as callers may write it. */
export interface PartialKey {
  /** Left out for cluster-scoped objects. */
  namespace?: string;
  /** The object's name; left out where there is none yet. */
  name?: string;
}

/** @hidden Ties a resource to the type of its objects; there is no such value. */
declare const objectType: unique symbol;

/** A collection at the API server, and what its objects look like. */
export interface Resource<T extends KubernetesObject = KubernetesObject> {
  /** Such as `apps/v1`. */
  readonly apiVersion: string;
  /** Empty for the core group. */
  readonly group: string;
  /** The version of the API in which objects are read and written. */
  readonly version: string;
  /** The kind of its objects. */
  readonly kind: string;
  /** The name of the collection, in lower case. */
  readonly plural: string;
  /** @hidden Only for the compiler. */
  readonly [objectType]?: T;
}

/**
 * Names a collection:
 * `resource<Deployment>({ apiVersion: "apps/v1", kind: "Deployment", plural: "deployments" })`.
 */
export function resource<T extends KubernetesObject = KubernetesObject>(options: {
  apiVersion: string;
  kind: string;
  plural: string;
}): Resource<T>;

/** The key of an object. */
export function keyOf(object: { metadata: ObjectMeta }): ObjectKey;
/** `namespace/name`, or `name` without a namespace. */
export function formatKey(key: ObjectKey): string;
/** The opposite of {@link formatKey}. */
export function parseKey(text: string): ObjectKey;

// === Manifest ===

/** Events that an enqueue rule may apply to. */
export type EventKind = "added" | "updated" | "deleted";

/** How an event on a watched object becomes keys. */
export type EnqueueRule =
  /** No keys: for watches that are only read, or observed. */
  | "none"
  /** The object's own key. */
  | "itself"
  /** Whatever the controller's `keysFor` returns. The project's `windlass.yaml` names the export `mapper`. */
  | "mapper"
  /**
   * The key of the controlling owner of this kind; when that changed, of the old one too.
   * With `matching-selectors` an object without one enqueues every object of the first
   * watch in its namespace whose `spec.selector` matches it, to be adopted.
   */
  | {
      /** The owner's resource; any version of its kind matches. */
      owner: Resource<any>;
      /** What an object without a controlling owner does; default `"ignore"`. */
      orphans?: "ignore" | "matching-selectors";
    };

/** What a watch covers and whom it wakes. */
export interface WatchOptions {
  /** Only objects whose labels match, in string form; default all. */
  labelSelector?: string;
  /**
   * How much of each object the controller reads: all of it (default), nothing beyond
   * `metadata`, or `metadata` and these dotted paths, which walk through lists
   * (`spec.containers.image`). Smaller views cost the host less memory.
   */
  view?:
    | "full"
    | "metadata"
    | {
        /** Dotted paths; each keeps everything below it. */
        fields: string[];
      };
  /** Default `"none"`. */
  enqueue?: EnqueueRule;
  /** Which events enqueue; default all. */
  on?: EventKind[];
  /** Deliver deltas to `observe`. The project's `windlass.yaml` names the export `observer`. */
  observe?: boolean;
  /** Put the previous object into what `observe` and `keysFor` get. */
  oldBodies?: boolean;
  /** Indexes for `byIndex`: from their name to the path of a scalar, such as `spec.nodeName`. */
  indexes?: Record<string, string>;
}

/**
 * Reads of the host's shared caches: no I/O, no waiting, in no particular order, and never
 * older than what earlier syncs of the same key wrote.
 */
export abstract class Lister<T extends KubernetesObject = KubernetesObject> {
  /** One object, or nothing. */
  get(key: PartialKey): T | undefined;
  /**
   * All objects, or those of a namespace, or those that a label selector matches.
   * @throws {TerminalError} for a selector that does not parse
   */
  list(options?: { namespace?: string; labelSelector?: string }): T[];
  /**
   * The objects with this value under a declared index.
   * @throws {TerminalError} for an index that is not declared
   */
  byIndex(index: string, value: string): T[];
  /** The objects whose controlling owner this is. */
  byOwner(owner: { metadata: ObjectMeta }): T[];
  /** The objects of a namespace without a controlling owner. */
  orphans(namespace: string): T[];
}

/** A watch of the manifest, and the lister of what it covers. */
export class Watch<T extends KubernetesObject = KubernetesObject> extends Lister<T> {
  private constructor();
  /** What it watches; nothing for a discovered one. */
  readonly resource: Resource<T>;
  /** Its place in the manifest. */
  readonly position: number;
}

/** Watches a resource. Put the result into the manifest, and read from it. */
export function watch<T extends KubernetesObject>(resource: Resource<T>, options?: WatchOptions): Watch<T>;

/**
 * Watches the metadata of every deletable resource that discovery finds, but for these
 * (`group/plural`, the core group written as `/plural`). Cannot be read as a lister.
 */
export function watchDiscovered(
  options?: Omit<WatchOptions, "view" | "indexes"> & { except?: string[] },
): Watch;

/** One rule of a Role: these verbs on these resources. `*` stands for all. */
export interface Permission {
  /** API groups; `""` is the core group. */
  groups: string[];
  /** Such as `pods` or `pods/status`. */
  resources: string[];
  /** Such as `get` or `create`. */
  verbs: string[];
}

/** What a controller declares about itself. */
export interface Manifest {
  /** Lower-case letters, digits and dashes, at most 63. */
  name: string;
  /** The controller's own version, for people. */
  version: string;
  /** What it watches; the order is that of positions. */
  watches: Watch<any>[];
  /** Syncs in flight; an instance of JavaScript has one, whatever this says. Default 1. */
  workers?: number;
  /** What it needs beyond reading what it watches. */
  permissions?: Permission[];
  /** API calls per second that it expects to need; 0, the default, leaves it to the host. */
  apiQps?: number;
  /** API calls at once that it expects to need. */
  apiBurst?: number;
}

// === Controller ===

/** How a sync ended well: nothing, or when to sync again. */
export type Outcome =
  | {
      /** Milliseconds until the key is synced again, unless an event comes first. */
      requeueAfter?: number;
    }
  | undefined
  | void;

/** An event on a watch with the enqueue rule `mapper`. */
export interface MappedEvent<T extends KubernetesObject = any> {
  /** The watch that it came by. */
  readonly watch: Watch<T>;
  /** The object's key. */
  readonly key: ObjectKey;
  /** The object, parsed at each use; of a deleted one its last known state. */
  readonly object: T;
  /** The previous one, if the watch asks for `oldBodies`. */
  readonly old: T | undefined;
}

/** A change of one object. */
export interface Delta<T extends KubernetesObject = any> {
  /** What happened to it. */
  readonly kind: EventKind;
  /** The object's key. */
  readonly key: ObjectKey;
  /** Part of the initial list, of a relist, or of a late subscription. */
  readonly initial: boolean;
  /** The object, parsed at each use; of a deleted one its last known state. */
  readonly object: T;
  /** The previous one of an updated object, if the watch asks for `oldBodies`. */
  readonly old: T | undefined;
}

/** Consecutive deltas of one resource. */
export interface Batch {
  /** The watch that they came by. */
  readonly watch: Watch<any>;
  /** What the objects are of; of interest where a watch covers more than one resource. */
  readonly resource: {
    /** Empty for the core group. */
    group: string;
    /** Such as `v1`. */
    version: string;
    /** The name of the collection, in lower case. */
    plural: string;
  };
  /** The kind of the objects. */
  readonly kind: string;
  /** Whether they live in namespaces. */
  readonly namespaced: boolean;
  /** The changes, in the order in which they happened. */
  readonly deltas: Delta[];
}

/** A controller. Make it a component with {@link defineController}. */
export interface Controller {
  /** What it watches and needs; a function may read `config()`, and nothing else. */
  manifest: Manifest | (() => Manifest);
  /**
   * Called once per instance, after the caches have synced and the initial content was
   * observed. Whatever it throws is a failed start: back-off, then a new instance.
   */
  start?(): void;
  /**
   * One level-triggered pass for one key. The object may be gone. What it throws:
   *
   * - a {@link TerminalError}: logged, and the key waits for the next change;
   * - a {@link RetryError} or an {@link ApiError}: tried again with exponential back-off (5 ms to 1000 s);
   * - anything else is taken for a mistake in the code: logged with its stack as
   *   `the controller threw`, and tried again with back-off.
   *
   * Must not be `async`: the part after an `await` would never run, so it is refused.
   */
  syncHandler(key: ObjectKey): Outcome;
  /**
   * Every delta of the watches with `observe`, in order, the initial content first, and
   * before any sync that could depend on it. What it throws is logged and ends the instance.
   */
  observe?(batches: Batch[]): void;
  /**
   * The keys that an event concerns. May read listers. What it throws is logged and ends the
   * instance.
   */
  keysFor?(event: MappedEvent): ObjectKey[];
}

/** What a component exports, under the names that the contract has for it. */
export interface ComponentExports {
  /** Manifest, start and syncs; every component exports it. */
  readonly blockingHandler: object;
  /** For watches with `observe`. */
  readonly observer: object;
  /** For watches with the enqueue rule `mapper`. */
  readonly mapper: object;
}

/**
 * A controller as the contract wants it. The project's main module exports the result by
 * name, and `windlass.yaml` lists `observer` and `mapper` under `exports` where it has them:
 *
 * ```js
 * export const { blockingHandler, mapper } = defineController({ manifest, syncHandler, keysFor });
 * ```
 */
export function defineController(controller: Controller): ComponentExports;

// === Errors ===

/** What kind of failure an API call met. Treat one that is not here like `other`. */
export type ApiErrorKind =
  | "not-found"
  | "already-exists"
  | "conflict"
  | "invalid"
  | "bad-request"
  | "forbidden"
  | "namespace-terminating"
  | "gone"
  | "unsupported-media-type"
  | "too-many-requests"
  | "timeout"
  | "unavailable"
  | "not-permitted"
  | "other";

/** An entry of `Status.details.causes`. */
export interface StatusCause {
  /** Machine-readable, such as `FieldValueInvalid`. */
  reason: string;
  /** Where, such as `spec.replicas`; may be empty. */
  field: string;
  /** For people. */
  message: string;
}

/**
 * An API call failed. Thrown out of `syncHandler` it is tried again with back-off.
 * The predicates take whatever was caught.
 */
export class ApiError extends Error {
  constructor(fields: {
    kind: ApiErrorKind;
    code: number;
    reason: string;
    message: string;
    causes: StatusCause[];
    retryAfterMs?: number | null;
  });
  /** What it is told apart by. */
  readonly kind: ApiErrorKind;
  /** HTTP status, or 0 when there was no answer. */
  readonly code: number;
  /** `Status.reason`; may be empty. */
  readonly reason: string;
  /** What was found wrong, field by field; may be empty. */
  readonly causes: StatusCause[];
  /** How many milliseconds the server asked to wait, if it did. */
  readonly retryAfterMs: number | undefined;

  /** Whether it is an API error of this kind. */
  static is(error: unknown, kind: ApiErrorKind): error is ApiError;
  /** 404. */
  static isNotFound(error: unknown): error is ApiError;
  /** 409 of a create. */
  static isAlreadyExists(error: unknown): error is ApiError;
  /** 409: the object changed since it was read, or a precondition does not hold. */
  static isConflict(error: unknown): error is ApiError;
  /** 422. */
  static isInvalid(error: unknown): error is ApiError;
  /** 401 or 403 from the API server. */
  static isForbidden(error: unknown): error is ApiError;
  /** Refused by the host: the module was not granted this. */
  static isNotPermitted(error: unknown): error is ApiError;
  /** Nothing can be created in the namespace any more. */
  static isNamespaceTerminating(error: unknown): error is ApiError;
  /** 410: a resource version or a continue token expired. */
  static isGone(error: unknown): error is ApiError;
  /** 429. */
  static isTooManyRequests(error: unknown): error is ApiError;
  /** 504, or no answer in time. The write may have happened. */
  static isTimeout(error: unknown): error is ApiError;
  /** 5xx, or no connection. The write may have happened. */
  static isUnavailable(error: unknown): error is ApiError;
}

/** Try again, with exponential back-off. */
export class RetryError extends Error {
  constructor(message: string, options?: { cause?: unknown });
}

/** Trying again is pointless: log it and wait for the next change. */
export class TerminalError extends Error {
  constructor(message: string, options?: { cause?: unknown });
}

/** What the call returns, or nothing if what it is about does not exist. */
export function ignoreNotFound<R>(call: () => R): R | undefined;

// === Client ===

/** A patch's media type. Custom resources take no strategic merge patch. */
export type PatchType = "json-patch" | "merge-patch" | "strategic-merge-patch";

/** What a live list covers. */
export interface ListOptions {
  /** Default all namespaces. */
  namespace?: string;
  /** Only objects whose labels match, such as `app=web`; default all. */
  labelSelector?: string;
  /** Only objects whose fields match, such as `spec.nodeName=a`; default all. */
  fieldSelector?: string;
  /** Page size; 0, the default, for everything at once. */
  limit?: number;
  /** From the previous page's `metadata.continue`. */
  continue?: string;
}

/** How an object is deleted. */
export interface DeleteOptions {
  /** What becomes of its dependents; default: what the resource does by default. */
  propagationPolicy?: "background" | "foreground" | "orphan";
  /** How long it may take to end; default: what the object or its resource says. */
  gracePeriodSeconds?: number;
  /** What must hold of the object; otherwise the call is a conflict. */
  preconditions?: {
    /** Only the object with this UID. */
    uid?: string;
    /** Only this version of it. */
    resourceVersion?: string;
  };
}

/** Which part of an object a call is about. */
export interface SubresourceOption {
  /** `status`, `scale`, …; default the object itself. */
  subresource?: string;
}

/**
 * Calls to the API server, each on behalf of the sync that runs. They wait, count against
 * the module's budget, are checked against its permissions first, and are not retried.
 * Every failure is an {@link ApiError}. Bodies get `apiVersion` and `kind` where they lack them.
 */
export interface Client {
  /** A live read, not from the cache. */
  get<T extends KubernetesObject>(resource: Resource<T>, key: PartialKey, options?: SubresourceOption): T;
  /** A live list; one page. */
  list<T extends KubernetesObject>(resource: Resource<T>, options?: ListOptions): ObjectList<T>;
  /** Creates what the body says, by its `name` or `generateName`. */
  create<T extends KubernetesObject>(resource: Resource<T>, body: NoInfer<T>): T;
  /** Posts to a subresource, such as `binding` or `eviction`. */
  createSubresource(resource: Resource<any>, key: PartialKey, subresource: string, body: object): unknown;
  /** Replaces an object. With `metadata.resourceVersion` a change in between is a conflict. */
  update<T extends KubernetesObject>(resource: Resource<T>, body: NoInfer<T>, options?: SubresourceOption): T;
  /** Replaces an object's status. */
  updateStatus<T extends KubernetesObject>(resource: Resource<T>, body: NoInfer<T>): T;
  /** Replaces a subresource that has a form of its own, such as `scale`. */
  updateSubresource(resource: Resource<any>, key: PartialKey, subresource: string, body: object): unknown;
  /** Patches an object, or a part of it. */
  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: PartialKey,
    patchType: PatchType,
    patch: object,
    options?: SubresourceOption,
  ): T;
  /** Deletes an object. Returns what the server answered: the object, or a `Status`. */
  delete(resource: Resource<any>, key: PartialKey, options?: DeleteOptions): unknown;
}

/** The client; there is one. */
export const client: Client;

// === Metadata and status ===

/** Whether somebody deleted it and finalizers keep it. */
export function isDeleting(object: { metadata: ObjectMeta }): boolean;

/** A reference by which `owner` controls an object (`controller` and `blockOwnerDeletion` set). */
export function controllerReference(resource: Resource<any>, owner: { metadata: ObjectMeta }): OwnerReference;
/** The reference of the owner that controls the object. */
export function controllerOf(object: { metadata: ObjectMeta }): OwnerReference | undefined;
/** Whether `owner` controls the object. */
export function isControlledBy(object: { metadata: ObjectMeta }, owner: { metadata: ObjectMeta }): boolean;

/** Whether an object has this finalizer. */
export function hasFinalizer(object: { metadata: ObjectMeta }, finalizer: string): boolean;
/**
 * Adds a finalizer by a merge patch, unless it is there, and returns the object as it is then.
 * @throws {ApiError} of kind `conflict` when the object has changed since it was read
 */
export function addFinalizer<T extends KubernetesObject>(resource: Resource<T>, object: T, finalizer: string): T;
/** The opposite of {@link addFinalizer}; the last one gone, a deleted object goes. */
export function removeFinalizer<T extends KubernetesObject>(resource: Resource<T>, object: T, finalizer: string): T;

/** The condition of this type. */
export function findCondition(conditions: Condition[] | undefined, type: string): Condition | undefined;
/**
 * The conditions with this one in the place of its type. `lastTransitionTime` stays as it was
 * while `status` does, and otherwise is now.
 */
export function setCondition(
  conditions: Condition[] | undefined,
  condition: Omit<Condition, "lastTransitionTime">,
): Condition[];
/** The conditions without the one of this type. */
export function removeCondition(conditions: Condition[] | undefined, type: string): Condition[];

/**
 * Writes the status through its subresource, if it differs from the object's. Returns
 * whether it did. A change since the object was read is a conflict.
 */
export function updateStatus<
  T extends KubernetesObject & {
    /** What the controller found. */
    status?: unknown;
  },
>(
  resource: Resource<T>,
  object: T,
  status: NonNullable<T["status"]>,
): boolean;

/** Whether two values are the same JSON. */
export function isEqual(one: unknown, other: unknown): boolean;
/**
 * Whether every field of `wanted` is in `found` with that value, whatever else `found` has:
 * drift is what this does not hold of. Lists are as long as each other, item by item.
 */
export function covers(found: unknown, wanted: unknown): boolean;

// === Selectors, adoption and release ===

/** A `LabelSelector` of the API. Everything in it must hold; an empty one matches everything. */
export interface LabelSelector {
  /** Labels with their values. */
  matchLabels?: Record<string, string>;
  /** Requirements of other forms. */
  matchExpressions?: {
    /** The label's name. */
    key: string;
    /** How its value relates to `values`. */
    operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    /** For `In` and `NotIn`. */
    values?: string[];
  }[];
}

/** Whether everything in the selector holds of these labels. */
export function selectorMatches(selector: LabelSelector, labels: Record<string, string> | undefined): boolean;
/** The string form, as listers and lists take it. */
export function formatSelector(selector: LabelSelector): string;

/**
 * Reconciles who controls a set of objects with who should: the owner's own that match the
 * selector are kept, its own that do not are released, matching orphans of its namespace are
 * adopted, after one live read of the owner. Returns those that it controls afterwards.
 * One failure does not keep the rest from being tried.
 *
 * The rules are those of Kubernetes' own controllers. The change is a merge patch with UID
 * and resource version, which custom resources take as well.
 */
export function claim<T extends KubernetesObject>(options: {
  owner: KubernetesObject;
  ownerResource: Resource<any>;
  selector: LabelSelector;
  resource: Resource<T>;
  /** Such as the lister's `list({ namespace })`. */
  candidates: T[];
}): T[];

// === Events, log, metrics ===

/** What an event may say besides. */
export interface EventOptions {
  /** What was being done, such as `Binding`. With it the event goes through `events.k8s.io/v1`. */
  action?: string;
}

/**
 * Kubernetes events about an object that came from a lister or the API server. Aggregated,
 * rate-limited and sent in the background; losing one is not an error.
 */
export interface Recorder {
  /** Something went as it should. `reason` is CamelCase; of `message` 1,024 bytes are kept. */
  normal(object: KubernetesObject, reason: string, message: string, options?: EventOptions): void;
  /** Something may be wrong. */
  warning(object: KubernetesObject, reason: string, message: string, options?: EventOptions): void;
}

/** The recorder; there is one. */
export const recorder: Recorder;

/** How much a line of the log matters; {@link Log} says what the levels are for. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";
/** Values are written as text, objects as JSON. */
export type LogFields = Record<string, unknown>;

/**
 * Lines in the host's log, with the controller and the sync they belong to: a constant
 * message, and fields. (`console`, which QuickJS lacks, is there as well and writes without fields.)
 */
export interface Log {
  /** Needs an operator. */
  error(message: string, fields?: LogFields): void;
  /** Degraded, but coping. */
  warn(message: string, fields?: LogFields): void;
  /** Lifecycle. */
  info(message: string, fields?: LogFields): void;
  /** About one line per sync. */
  debug(message: string, fields?: LogFields): void;
  /** Everything else. */
  trace(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written. */
  enabled(level: LogLevel): boolean;
}

/** The log; there is one. */
export const log: Log;

/** A metric's declaration. It is shown as `windlass_custom_NAME`. */
export interface MetricOptions<Label extends string> {
  /** Letters, digits and underscores, at most 100, no digit in front. */
  name: string;
  /** One line for people. */
  help: string;
  /** At most 8. */
  labels?: readonly Label[];
}

/** A value for each label. */
export type LabelValues<Label extends string> = [Label] extends [never]
  ? [labels?: {}]
  : [labels: Record<Label, string | number | boolean>];

/**
 * Only goes up. Make metrics where the module is evaluated: they are declared when the
 * instance starts, and a wrong declaration fails the start. Values outlive instances.
 */
export class Counter<const Label extends string = never> {
  constructor(options: MetricOptions<Label>);
  /** Adds one. */
  increment(...labels: LabelValues<Label>): void;
  /** Adds; nothing below zero. */
  add(value: number, ...labels: LabelValues<Label>): void;
}

/** Goes up and down. */
export class Gauge<const Label extends string = never> {
  constructor(options: MetricOptions<Label>);
  /** Sets it to a value. */
  set(value: number, ...labels: LabelValues<Label>): void;
  /** Adds, below zero as well. */
  add(value: number, ...labels: LabelValues<Label>): void;
}

/** Counts observations by size. */
export class Histogram<const Label extends string = never> {
  /** `buckets` are upper bounds, ascending, at most 32; default 5 ms to 10 s. */
  constructor(options: MetricOptions<Label> & { buckets?: readonly number[] });
  /** Counts one observation of this size. */
  observe(value: number, ...labels: LabelValues<Label>): void;
}

// === Services ===

/** When and how soon an enqueued key is synced. */
export interface EnqueueOptions {
  /** Milliseconds from now; default 0. */
  after?: number;
  /** Higher goes first; default 0, initial lists come at -100. */
  priority?: number;
}

/** Adds a key to the controller's own queue. The host does not interpret it. */
export function enqueue(key: PartialKey, options?: EnqueueOptions): void;
/** Adds several at once. */
export function enqueueAll(items: ({ key: PartialKey } & EnqueueOptions)[]): void;

/** The resource that serves a kind, or nothing when discovery does not know it. */
export function resolve(
  apiVersion: string,
  kind: string,
):
  | (Resource & {
      /** Whether its objects live in namespaces. */
      namespaced: boolean;
    })
  | undefined;

/** The module's configuration as the operator wrote it; `{}` when there is none. Not validated. */
export function config<T = Record<string, unknown>>(): T;

/** The wall clock; may jump. In tests it stands still. */
export function now(): Date;
/** Milliseconds since an arbitrary start; never goes back. */
export function monotonic(): number;
/** From 0 to below 1, good enough for names and jitter, not for secrets. `Math.random` is the same. */
export function random(): number;
