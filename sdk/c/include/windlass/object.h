/// @file
/// What all objects have: metadata, owners, finalizers, conditions.

#ifndef WINDLASS_OBJECT_H
#define WINDLASS_OBJECT_H

#include "windlass/client.h"

/// `apps/v1`, or `v1` for the core group.
const char *wl_api_version(const wl_resource *resource);

/// The key of an object; "" for what its metadata lacks.
wl_key wl_key_of(wl_json object);
/// `metadata.uid`, or "".
const char *wl_uid(wl_json object);
/// `metadata.generation`, which counts changes of the desired state, or 0.
int64_t wl_generation(wl_json object);
/// The value of a label; NULL if it has none of this name.
const char *wl_label(wl_json object, const char *name);
/// The value of an annotation; NULL if it has none of this name.
const char *wl_annotation(wl_json object, const char *name);
/// Whether its deletion was asked for.
bool wl_is_deleting(wl_json object);

// === Owners ===

/// The reference with which something names `owner` as its controlling owner.
wl_json wl_controller_reference(const wl_resource *resource, wl_json owner);
/// Whether the controlling owner has this UID.
bool wl_is_controlled_by(wl_json object, const char *uid);
/// Whether there is a controlling owner at all.
bool wl_has_controller(wl_json object);
/// Makes `owner` the controlling owner. A change in between, or another object of the same
/// name, is a conflict. The owner in the cache may be gone already: wl_get() it first, and
/// adopt nothing if its UID is another or it is being deleted.
const wl_error *wl_adopt(wl_sync sync, const wl_resource *owner_resource, wl_json owner, const wl_resource *resource,
                         wl_json object);
/// Takes the reference to an owner away. An object that is gone, or no longer its, is fine.
const wl_error *wl_release(wl_sync sync, const char *owner_uid, const wl_resource *resource, wl_json object);

// === Finalizers ===

/// Whether an object has this finalizer.
bool wl_has_finalizer(wl_json object, const char *finalizer);
/// Adds a finalizer by a patch, unless it is there. A change since `object` was read is a
/// conflict.
const wl_error *wl_add_finalizer(wl_sync sync, const wl_resource *resource, wl_json object, const char *finalizer);
/// Removes a finalizer likewise. With the last one an object that is being deleted goes.
const wl_error *wl_remove_finalizer(wl_sync sync, const wl_resource *resource, wl_json object,
                                    const char *finalizer);

// === Conditions ===

/// A condition as `metav1.Condition` has it.
typedef struct wl_condition {
  /// What it is about, such as `Ready`.
  const char *type;
  /// `True`, `False` or `Unknown`.
  const char *status;
  /// Why, in CamelCase.
  const char *reason;
  /// Why, for people.
  const char *message;
  /// The `metadata.generation` that it was found of; left out if 0.
  int64_t observed_generation;
} wl_condition;

/// The array `conditions` with this one in the place of that of its type. The transition
/// time is now, or as it was if the status is (`meta.SetStatusCondition` of apimachinery).
wl_json wl_condition_set(wl_json conditions, wl_condition condition);
/// The condition of this type; absent if there is none.
wl_json wl_condition_find(wl_json conditions, const char *type);

#endif
