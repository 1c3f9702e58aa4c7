// Metadata, owners, finalizers and conditions.

#include "windlass/object.h"

#include <string.h>

#include "windlass/memory.h"
#include "windlass/time.h"

static const wl_json absent = {0};

const char *wl_api_version(const wl_resource *resource) {
  if (resource->group[0] == 0) return resource->version;
  return wl_print("%s/%s", resource->group, resource->version);
}

wl_key wl_key_of(wl_json object) {
  return (wl_key){
      .namespace = wl_json_text(wl_json_at(object, "metadata", "namespace")),
      .name = wl_json_text(wl_json_at(object, "metadata", "name")),
  };
}

const char *wl_uid(wl_json object) { return wl_json_text(wl_json_at(object, "metadata", "uid")); }

int64_t wl_generation(wl_json object) { return wl_json_int(wl_json_at(object, "metadata", "generation"), 0); }

const char *wl_label(wl_json object, const char *name) {
  return wl_json_string(wl_json_at(object, "metadata", "labels", name));
}

const char *wl_annotation(wl_json object, const char *name) {
  return wl_json_string(wl_json_at(object, "metadata", "annotations", name));
}

bool wl_is_deleting(wl_json object) {
  return wl_json_is_set(wl_json_at(object, "metadata", "deletionTimestamp"));
}

// === Owners ===

wl_json wl_controller_reference(const wl_resource *resource, wl_json owner) {
  return wl_json_print(
      "{'apiVersion': %s, 'kind': %s, 'name': %s, 'uid': %s, 'controller': true, 'blockOwnerDeletion': true}",
      wl_api_version(resource), resource->kind, wl_key_of(owner).name, wl_uid(owner));
}

static wl_json controller_of(wl_json object) {
  wl_json_walk owners = {.of = wl_json_at(object, "metadata", "ownerReferences")};
  while (wl_json_next(&owners)) {
    if (wl_json_bool(wl_json_at(owners.value, "controller"), false)) return owners.value;
  }
  return absent;
}

bool wl_is_controlled_by(wl_json object, const char *uid) {
  return wl_json_is(wl_json_at(controller_of(object), "uid"), uid);
}

bool wl_has_controller(wl_json object) { return controller_of(object).text != NULL; }

// Patches the owners to be all but the one of a UID, and another; absent for no other. A
// merge patch, which custom resources take too; so it has the whole list, and a change in
// between is a conflict.
static const wl_error *patch_owners(wl_sync sync, const wl_resource *resource, wl_json object, const char *without,
                                    wl_json with) {
  wl_json_writer list = {0};
  wl_json_open(&list, '[');
  wl_json_walk owners = {.of = wl_json_at(object, "metadata", "ownerReferences")};
  while (wl_json_next(&owners)) {
    if (!wl_json_is(wl_json_at(owners.value, "uid"), without)) wl_json_put(&list, owners.value);
  }
  if (with.text != NULL) wl_json_put(&list, with);
  wl_json_close(&list, ']');
  wl_json version = wl_json_at(object, "metadata", "resourceVersion");
  wl_json patch = wl_json_print(
      "{'metadata': {'uid': %s, 'resourceVersion': " WL_JSON ", 'ownerReferences': " WL_JSON "}}", wl_uid(object),
      WL_JSON_ARG(version), WL_JSON_ARG(wl_json_finish(&list)));
  return wl_patch(sync, resource, wl_key_of(object), WL_MERGE_PATCH, patch, NULL);
}

const wl_error *wl_adopt(wl_sync sync, const wl_resource *owner_resource, wl_json owner, const wl_resource *resource,
                         wl_json object) {
  return patch_owners(sync, resource, object, wl_uid(owner), wl_controller_reference(owner_resource, owner));
}

const wl_error *wl_release(wl_sync sync, const char *owner_uid, const wl_resource *resource, wl_json object) {
  const wl_error *error = patch_owners(sync, resource, object, owner_uid, absent);
  return wl_is(error, WL_NOT_FOUND) || wl_is(error, WL_INVALID) ? NULL : error;
}

// === Finalizers ===

bool wl_has_finalizer(wl_json object, const char *finalizer) {
  wl_json_walk finalizers = {.of = wl_json_at(object, "metadata", "finalizers")};
  while (wl_json_next(&finalizers)) {
    if (wl_json_is(finalizers.value, finalizer)) return true;
  }
  return false;
}

// Patches the list to be all but one, and another; NULL for no other.
static const wl_error *patch_finalizers(wl_sync sync, const wl_resource *resource, wl_json object,
                                        const char *without, const char *with) {
  wl_json_writer list = {0};
  wl_json_open(&list, '[');
  wl_json_walk finalizers = {.of = wl_json_at(object, "metadata", "finalizers")};
  while (wl_json_next(&finalizers)) {
    if (!wl_json_is(finalizers.value, without)) wl_json_put(&list, finalizers.value);
  }
  if (with != NULL) wl_json_put_string(&list, with);
  wl_json_close(&list, ']');
  wl_json version = wl_json_at(object, "metadata", "resourceVersion");
  wl_json patch = wl_json_print("{'metadata': {'resourceVersion': " WL_JSON ", 'finalizers': " WL_JSON "}}",
                                WL_JSON_ARG(version), WL_JSON_ARG(wl_json_finish(&list)));
  return wl_patch(sync, resource, wl_key_of(object), WL_MERGE_PATCH, patch, NULL);
}

const wl_error *wl_add_finalizer(wl_sync sync, const wl_resource *resource, wl_json object, const char *finalizer) {
  return patch_finalizers(sync, resource, object, finalizer, finalizer);
}

const wl_error *wl_remove_finalizer(wl_sync sync, const wl_resource *resource, wl_json object,
                                    const char *finalizer) {
  return patch_finalizers(sync, resource, object, finalizer, NULL);
}

// === Conditions ===

wl_json wl_condition_find(wl_json conditions, const char *type) {
  wl_json_walk walk = {.of = conditions};
  while (wl_json_next(&walk)) {
    if (wl_json_is(wl_json_at(walk.value, "type"), type)) return walk.value;
  }
  return absent;
}

static wl_json write_condition(wl_condition condition, wl_json present) {
  wl_json since = wl_json_at(present, "lastTransitionTime");
  bool is_as_before = wl_json_is(wl_json_at(present, "status"), condition.status) && wl_json_is_set(since);
  if (!is_as_before) since = wl_json_print("%s", wl_time_print(wl_now()));
  wl_json written = wl_json_print(
      "{'type': %s, 'status': %s, 'reason': %s, 'message': %s, 'lastTransitionTime': " WL_JSON "}", condition.type,
      condition.status, condition.reason, condition.message == NULL ? "" : condition.message, WL_JSON_ARG(since));
  if (condition.observed_generation == 0) return written;
  wl_json generation = wl_json_print("%lld", (long long)condition.observed_generation);
  return wl_json_set(written, generation, "observedGeneration");
}

wl_json wl_condition_set(wl_json conditions, wl_condition condition) {
  wl_json present = wl_condition_find(conditions, condition.type);
  wl_json written = write_condition(condition, present);
  wl_json_writer list = {0};
  wl_json_open(&list, '[');
  wl_json_walk walk = {.of = conditions};
  while (wl_json_next(&walk)) {
    wl_json_put(&list, walk.value.text == present.text ? written : walk.value);
  }
  if (present.text == NULL) wl_json_put(&list, written);
  wl_json_close(&list, ']');
  return wl_json_finish(&list);
}
