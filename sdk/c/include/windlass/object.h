// What all objects have: metadata, owners, finalizers, conditions.

#ifndef WINDLASS_OBJECT_H
#define WINDLASS_OBJECT_H

#include "windlass/client.h"

// `apps/v1`, or `v1` for the core group.
const char *wl_api_version(const wl_resource *resource);

wl_key wl_key_of(wl_json object);
const char *wl_uid(wl_json object);
int64_t wl_generation(wl_json object);
// NULL if it has none of this name.
const char *wl_label(wl_json object, const char *name);
const char *wl_annotation(wl_json object, const char *name);
// Whether its deletion was asked for.
bool wl_is_deleting(wl_json object);

// === Owners ===

// The reference with which something names `owner` as its controlling owner.
wl_json wl_controller_reference(const wl_resource *resource, wl_json owner);
// Whether the controlling owner has this UID.
bool wl_is_controlled_by(wl_json object, const char *uid);
// Whether there is a controlling owner at all.
bool wl_has_controller(wl_json object);
// Makes `owner` the controlling owner. A change in between, or another object of the same
// name, is a conflict. The owner in the cache may be gone already: wl_get it first, and
// adopt nothing if its UID is another or it is being deleted.
const wl_error *wl_adopt(wl_sync sync, const wl_resource *owner_resource, wl_json owner, const wl_resource *resource,
                         wl_json object);
// Takes the reference to an owner away. An object that is gone, or no longer its, is fine.
const wl_error *wl_release(wl_sync sync, const char *owner_uid, const wl_resource *resource, wl_json object);

// === Finalizers ===

bool wl_has_finalizer(wl_json object, const char *finalizer);
// Both patch the list of finalizers; a change in between is a conflict.
const wl_error *wl_add_finalizer(wl_sync sync, const wl_resource *resource, wl_json object, const char *finalizer);
const wl_error *wl_remove_finalizer(wl_sync sync, const wl_resource *resource, wl_json object,
                                    const char *finalizer);

// === Conditions ===

// A condition as `metav1.Condition` has it.
typedef struct wl_condition {
  const char *type;
  // `True`, `False` or `Unknown`.
  const char *status;
  // In CamelCase.
  const char *reason;
  const char *message;
  // Left out if 0.
  int64_t observed_generation;
} wl_condition;

// The array `conditions` with this one in the place of that of its type. The transition
// time is now, or as it was if the status is (`meta.SetStatusCondition` of apimachinery).
wl_json wl_condition_set(wl_json conditions, wl_condition condition);
// The condition of this type.
wl_json wl_condition_find(wl_json conditions, const char *type);

#endif
