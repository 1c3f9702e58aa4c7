/// @file
/// What an author writes: a manifest and a few functions.
///
///     static const wl_controller controller = {.describe = describe, .sync_handler = sync};
///     WL_CONTROLLER(controller)
///
/// The host calls them one at a time. `observe` and `keys_for` also need `exports:
/// [observer]` or `[mapper]` in windlass.yaml; without them, or the other way round, the
/// start fails.

#ifndef WINDLASS_CONTROLLER_H
#define WINDLASS_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "windlass/json.h"

/// What names a collection at the API server, and the kind of its objects, as in
/// `{"apps", "v1", "deployments", "Deployment"}`.
typedef struct wl_resource {
  /// "" for the core group.
  const char *group;
  /// The version of the API in which objects are read and written.
  const char *version;
  /// The name of the collection, in lower case.
  const char *plural;
  /// The kind of its objects.
  const char *kind;
} wl_resource;

/// What names an object in a collection.
typedef struct wl_key {
  /// "" for cluster-scoped objects.
  const char *namespace;
  /// The object's name.
  const char *name;
} wl_key;

/// `namespace/name`, or the name alone.
const char *wl_key_print(wl_key key);

/// Names one running sync in calls on its behalf.
typedef struct wl_sync {
  /// As the host counts them; 0 for none.
  uint64_t id;
} wl_sync;

/// For calls outside any sync, such as those of `start`.
#define WL_NO_SYNC ((wl_sync){0})

// === Manifest ===

/// Lists of strings end with NULL: WL_LIST("get", "list").
#define WL_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/// How an event on a watched object becomes keys.
typedef enum wl_enqueue {
  /// No keys: for watches that are read through the lister or observed.
  WL_ENQUEUE_NONE,
  /// The object's own key.
  WL_ENQUEUE_ITSELF,
  /// The key of its controlling owner, of the watch's `owner`.
  WL_ENQUEUE_OWNER,
  /// What `keys_for` returns.
  WL_ENQUEUE_MAPPER,
} wl_enqueue;

/// An event for `on`: the object is new.
#define WL_ADDED 1u
/// An event for `on`: the object changed.
#define WL_UPDATED 2u
/// An event for `on`: the object is gone.
#define WL_DELETED 4u

/// A named index, for wl_lister_by_index().
typedef struct wl_index {
  /// What it is asked for by.
  const char *name;
  /// Where the scalar is that it is about, such as `spec.nodeName`. Objects without it are
  /// not in the index.
  const char *path;
} wl_index;

/// What a watch covers, and whom its events wake. What is left out is zero: whole objects of
/// all labels, no keys, all kinds of events.
typedef struct wl_watch {
  /// What is watched; NULL for every resource that discovery finds but `except`.
  const wl_resource *resource;
  /// `group/plural`; counts without a resource.
  const char *const *except;
  /// Only objects whose labels match; NULL for all.
  const char *label_selector;
  /// `apiVersion`, `kind` and `metadata` only.
  bool metadata_only;
  /// Those and these fields, as in `spec.containers.image`; NULL for whole objects.
  const char *const *fields;
  /// How its events become keys.
  wl_enqueue enqueue;
  /// The kind of the owner, for WL_ENQUEUE_OWNER; any version matches.
  const wl_resource *owner;
  /// Whether an object without owner enqueues the objects of watch 0 whose selector matches.
  bool enqueue_matching_selectors;
  /// Which events the rule applies to; 0 for all.
  unsigned on;
  /// Whether `observe` gets its deltas.
  bool observe;
  /// Whether `observe` and `keys_for` get the previous bodies, too.
  bool old_bodies;
  /// Up to one without a name, which ends them; NULL for none.
  const wl_index *indexes;
} wl_watch;

/// One rule of a Role: these verbs on these resources. "*" stands for all. Lists are made by
/// WL_LIST().
typedef struct wl_permission {
  /// API groups; "" is the core group.
  const char *const *groups;
  /// Such as `pods` or `pods/status`.
  const char *const *resources;
  /// Such as `get` or `create`.
  const char *const *verbs;
} wl_permission;

/// What a controller declares about itself.
typedef struct wl_manifest {
  /// Lower-case letters, digits and dashes, at most 63.
  const char *name;
  /// For people.
  const char *version;
  /// A watch's position is how the listers name it. See WL_WATCHES().
  const wl_watch *watches;
  /// How many watches there are.
  size_t watch_count;
  /// What it needs beyond reading what it watches. See WL_PERMISSIONS().
  const wl_permission *permissions;
  /// How many rules there are.
  size_t permission_count;
  /// API calls per second that it expects to need; 0 leaves them to the host.
  uint32_t api_qps;
  /// API calls at once that it expects to need; 0 leaves them to the host.
  uint32_t api_burst;
} wl_manifest;

/// The watches of a manifest, outside functions: `{.name = "…", WL_WATCHES({…}, {…})}`.
#define WL_WATCHES(...)                         \
  .watches = (const wl_watch[]){__VA_ARGS__},   \
  .watch_count = sizeof((const wl_watch[]){__VA_ARGS__}) / sizeof(wl_watch)
/// The permissions of a manifest, likewise.
#define WL_PERMISSIONS(...)                             \
  .permissions = (const wl_permission[]){__VA_ARGS__},  \
  .permission_count = sizeof((const wl_permission[]){__VA_ARGS__}) / sizeof(wl_permission)

// === Results ===

/// How a sync ended.
typedef enum wl_result_kind {
  /// Well: nothing more to do until something changes.
  WL_DONE,
  /// Well: to be synced again after a time.
  WL_REQUEUE_AFTER,
  /// Badly: to be tried again, with exponential back-off.
  WL_RETRY,
  /// Badly: trying again is pointless.
  WL_TERMINAL,
} wl_result_kind;

/// What a sync came to; made by the functions below.
typedef struct wl_result {
  /// How it ended.
  wl_result_kind kind;
  /// Of WL_REQUEUE_AFTER: milliseconds.
  uint64_t after_ms;
  /// Of the failures: why, for the log.
  const char *message;
} wl_result;

/// Nothing more to do until something changes.
wl_result wl_done(void);
/// Again after this many milliseconds, unless an event comes first.
wl_result wl_requeue_after(uint64_t ms);
/// Failed: again, with exponential back-off.
wl_result wl_retry(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Failed: logged, and not tried before the next change.
wl_result wl_terminal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Whether it is one of the two failures.
bool wl_is_failure(wl_result result);

// === Deltas ===

/// What happened to an object.
typedef enum wl_delta_kind {
  /// It is new, to the watch at least.
  WL_DELTA_ADDED,
  /// It changed.
  WL_DELTA_UPDATED,
  /// It is gone, or the watch no longer covers it.
  WL_DELTA_DELETED,
} wl_delta_kind;

/// A change of one object.
typedef struct wl_delta {
  /// What happened.
  wl_delta_kind kind;
  /// Which object.
  wl_key key;
  /// Part of the initial list, of a relist or of a late subscription.
  bool initial;
  /// The object; of a deleted one its last known state.
  wl_json body;
  /// The previous body of an updated object, if the watch asks for it.
  wl_json old;
} wl_delta;

/// Consecutive deltas of one resource.
typedef struct wl_batch {
  /// The watch's position in the manifest.
  uint32_t watch;
  /// What the objects are of; of interest where a watch covers more than one resource.
  wl_resource resource;
  /// Whether they live in namespaces.
  bool namespaced;
  /// In the order in which they happened.
  const wl_delta *deltas;
  /// How many there are.
  size_t count;
} wl_batch;

/// Keys, as `keys_for` returns them.
typedef struct wl_keys {
  /// From wl_alloc(), for instance.
  wl_key *keys;
  /// How many there are; 0 for none.
  size_t count;
} wl_keys;

// === Registration ===

/// The functions that the host calls, one at a time.
typedef struct wl_controller {
  /// What it watches and needs. Depends on nothing but wl_config().
  const wl_manifest *(*describe)(void);
  /// Called once per instance, after the caches have synced. NULL if it went well, otherwise
  /// why not. Optional.
  const char *(*start)(void);
  /// One pass for one key. The object may be gone. Must bear being called again.
  wl_result (*sync_handler)(wl_sync sync, wl_key key);
  /// Every delta of the watches with `observe`, in order. Must not call the API. Optional.
  void (*observe)(const wl_batch *batches, size_t count);
  /// The keys that an event on a watch with WL_ENQUEUE_MAPPER concerns. Must not call the
  /// API. Optional.
  wl_keys (*keys_for)(uint32_t watch, wl_key key, wl_json body, wl_json old);
} wl_controller;

/// The controller of this component; defined by WL_CONTROLLER().
const wl_controller *wl_registered(void);

/// Makes a controller the component's, once in all its sources.
#define WL_CONTROLLER(controller) \
  const wl_controller *wl_registered(void) { return &(controller); }

#endif
