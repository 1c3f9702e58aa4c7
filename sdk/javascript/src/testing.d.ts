/**
 * A fake of the contract for unit tests under Node.
 *
 * A {@link Cluster} is the cluster and the host of one component.
 *
 * @module @windlass-dev/sdk/testing
 */

import type { ApiError, ApiErrorKind, ComponentExports, KubernetesObject, LogLevel, Outcome, Resource, Watch } from "./index.js";

/**
 * Answers everything that a controller may ask of the host, at once and from one
 * store: caches are never behind, names and UIDs are counted, time stands still until
 * {@link advance}. It knows what controllers rely on: resource versions, conflicts,
 * preconditions, generations, status as a part of its own, finalizers, the three kinds of
 * patches (JSON patches without `move` and `copy`, strategic ones with the lists
 * `ownerReferences` and `conditions`). Listers show no more than a watch's view, and calls
 * that the manifest does not declare are `not-permitted`. It validates nothing, collects no
 * garbage and runs no other controller. The last one made is the host.
 */
export class Cluster {
  /** The host of this component: what `defineController` returned, or the module that exports it. */
  constructor(component: Partial<ComponentExports>, options?: { config?: object });

  /**
   * Starts the instance; a test that needs no `start` may leave it out.
   * @throws {Error} when the start fails
   */
  start(): void;
  /**
   * Runs one sync, after deltas were delivered to `observe`.
   * @throws {RetryError} when it is to be tried again
   * @throws {TerminalError} when trying again is pointless
   */
  sync(key: string): Outcome;
  /** The keys that the controller maps an event to. */
  keysFor<T extends KubernetesObject>(watch: Watch<T>, object: NoInfer<T>, old?: NoInfer<T>): string[];

  /**
   * Creates or replaces an object, status included, as anybody else in the cluster might.
   * What the server would fill in is filled in. Returns what is stored.
   */
  put<T extends KubernetesObject>(resource: Resource<T>, object: NoInfer<T>): T;
  /** Changes a stored object by hand. */
  edit<T extends KubernetesObject>(resource: Resource<T>, key: string, edit: (object: T) => void): T;
  /** Removes an object without asking its finalizers. */
  remove(resource: Resource<any>, key: string): void;
  /**
   * A copy of a stored object.
   * @throws {Error} when it does not exist
   */
  get<T extends KubernetesObject>(resource: Resource<T>, key: string): T;
  /** The same, or nothing. */
  find<T extends KubernetesObject>(resource: Resource<T>, key: string): T | undefined;
  /** All objects of a collection, by key. */
  list<T extends KubernetesObject>(resource: Resource<T>): T[];

  /** What was asked of the API server since the last time, as in `update webapps/status default/web`. */
  takeCalls(): string[];
  /** The same with what was sent. */
  takeBodies(): [call: string, body: any][];
  /** The events recorded since the last time, as in `Normal Created created Service web`. */
  takeEvents(): string[];
  /** The keys that the controller enqueued itself since the last time. */
  takeQueued(): {
    /** The key, as `namespace/name`. */
    key: string;
    /** When it is due, in milliseconds from then. */
    after: number;
    /** Higher goes first. */
    priority: number;
  }[];
  /** The log since the last time. */
  takeLog(): {
    /** How much the line matters. */
    level: LogLevel;
    /** The message, without the fields. */
    message: string;
    /** The fields as they were written. */
    fields: Record<string, string>;
  }[];
  /** A metric's value, by the values of its labels in order; of a histogram its count and sum. */
  metric(
    name: string,
    labels?: string[],
  ):
    | number
    | {
        /** How many observations there were. */
        count: number;
        /** What they add up to. */
        sum: number;
      }
    | undefined;

  /** From now on calls for which this returns an error fail with it. A call reads as in {@link takeCalls}. */
  fail(rule: (call: string) => ApiError | undefined): void;
  /** Has discovery know a kind. */
  serve(resource: Resource<any>, options: { namespaced: boolean }): void;
  /** The present; at first 2026-01-01T00:00:00Z. */
  readonly now: Date;
  /** Lets time pass. */
  advance(milliseconds: number): void;
}

/** An API failure of this kind. */
export function apiError(kind: ApiErrorKind, message: string): ApiError;
