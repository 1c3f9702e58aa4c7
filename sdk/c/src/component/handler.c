// The export that every controller has. It is weak, so that a guest over the bare bindings
// can have its own instead.

#include <stdlib.h>

#include "convert.h"
#include "windlass/controller.h"

#define WEAK __attribute__((weak))

// Everything in the manifest is given away.

static void *give_array(size_t count, size_t size) {
  if (count == 0) return NULL;
  void *array = calloc(count, size);
  if (array == NULL) abort();
  return array;
}

static windlass_list_string_t give_list(const char *const *texts) {
  size_t count = 0;
  while (texts != NULL && texts[count] != NULL) count++;
  windlass_list_string_t list = {.ptr = give_array(count, sizeof *list.ptr), .len = count};
  for (size_t at = 0; at < count; at++) list.ptr[at] = wl_give(texts[at]);
  return list;
}

static windlass_controller_manifest_watch_target_t give_target(const wl_watch *watch) {
  windlass_controller_manifest_watch_target_t target = {.tag = WINDLASS_CONTROLLER_MANIFEST_WATCH_TARGET_ONE};
  if (watch->resource == NULL) {
    target.tag = WINDLASS_CONTROLLER_MANIFEST_WATCH_TARGET_DISCOVERED;
    target.val.discovered = give_list(watch->except);
    return target;
  }
  target.val.one.group = wl_give(watch->resource->group);
  target.val.one.version = wl_give(watch->resource->version);
  target.val.one.plural = wl_give(watch->resource->plural);
  return target;
}

static windlass_controller_manifest_view_t give_view(const wl_watch *watch) {
  windlass_controller_manifest_view_t view = {.tag = WINDLASS_CONTROLLER_MANIFEST_VIEW_FULL};
  if (watch->metadata_only || watch->resource == NULL) {
    view.tag = WINDLASS_CONTROLLER_MANIFEST_VIEW_METADATA;
  } else if (watch->fields != NULL) {
    view.tag = WINDLASS_CONTROLLER_MANIFEST_VIEW_FIELDS;
    view.val.fields = give_list(watch->fields);
  }
  return view;
}

static windlass_controller_manifest_enqueue_rule_t give_rule(const wl_watch *watch) {
  static const uint8_t tags[] = {
      [WL_ENQUEUE_NONE] = WINDLASS_CONTROLLER_MANIFEST_ENQUEUE_RULE_NONE,
      [WL_ENQUEUE_ITSELF] = WINDLASS_CONTROLLER_MANIFEST_ENQUEUE_RULE_ITSELF,
      [WL_ENQUEUE_OWNER] = WINDLASS_CONTROLLER_MANIFEST_ENQUEUE_RULE_OWNER,
      [WL_ENQUEUE_MAPPER] = WINDLASS_CONTROLLER_MANIFEST_ENQUEUE_RULE_MAPPER,
  };
  windlass_controller_manifest_enqueue_rule_t rule = {.tag = tags[watch->enqueue]};
  if (watch->enqueue == WL_ENQUEUE_OWNER) {
    rule.val.owner.group = wl_give(watch->owner->group);
    rule.val.owner.kind = wl_give(watch->owner->kind);
    rule.val.owner.orphans = watch->enqueue_matching_selectors
                                 ? WINDLASS_CONTROLLER_MANIFEST_ORPHAN_RULE_MATCHING_SELECTORS
                                 : WINDLASS_CONTROLLER_MANIFEST_ORPHAN_RULE_IGNORE;
  }
  return rule;
}

static windlass_controller_manifest_list_index_t give_indexes(const wl_index *indexes) {
  size_t count = 0;
  while (indexes != NULL && indexes[count].name != NULL) count++;
  windlass_controller_manifest_list_index_t list = {.ptr = give_array(count, sizeof *list.ptr), .len = count};
  for (size_t at = 0; at < count; at++) {
    list.ptr[at].name = wl_give(indexes[at].name);
    list.ptr[at].path = wl_give(indexes[at].path);
  }
  return list;
}

_Static_assert(WL_ADDED == WINDLASS_CONTROLLER_MANIFEST_EVENT_KINDS_ADDED, "as in the contract");
_Static_assert(WL_UPDATED == WINDLASS_CONTROLLER_MANIFEST_EVENT_KINDS_UPDATED, "as in the contract");
_Static_assert(WL_DELETED == WINDLASS_CONTROLLER_MANIFEST_EVENT_KINDS_DELETED, "as in the contract");

static windlass_controller_manifest_watch_t give_watch(const wl_watch *watch) {
  return (windlass_controller_manifest_watch_t){
      .target = give_target(watch),
      .label_selector = wl_give(watch->label_selector),
      .view = give_view(watch),
      .enqueue = give_rule(watch),
      .on = (uint8_t)(watch->on == 0 ? WL_ADDED | WL_UPDATED | WL_DELETED : watch->on),
      .observe = watch->observe,
      .old_bodies = watch->old_bodies,
      .indexes = give_indexes(watch->indexes),
  };
}

static windlass_controller_manifest_permission_t give_permission(const wl_permission *permission) {
  return (windlass_controller_manifest_permission_t){
      .groups = give_list(permission->groups),
      .resources = give_list(permission->resources),
      .verbs = give_list(permission->verbs),
  };
}

WEAK void exports_windlass_controller_handler_describe(exports_windlass_controller_handler_manifest_t *ret) {
  wl_scope scope = wl_scope_begin();
  const wl_manifest *manifest = wl_registered()->describe();
  *ret = (exports_windlass_controller_handler_manifest_t){
      .name = wl_give(manifest->name),
      .version = wl_give(manifest->version),
      .watches = {.ptr = give_array(manifest->watch_count, sizeof *ret->watches.ptr), .len = manifest->watch_count},
      .workers = 1,
      .permissions = {.ptr = give_array(manifest->permission_count, sizeof *ret->permissions.ptr),
                      .len = manifest->permission_count},
      .api_qps = manifest->api_qps,
      .api_burst = manifest->api_burst,
  };
  for (size_t at = 0; at < manifest->watch_count; at++) ret->watches.ptr[at] = give_watch(&manifest->watches[at]);
  for (size_t at = 0; at < manifest->permission_count; at++) {
    ret->permissions.ptr[at] = give_permission(&manifest->permissions[at]);
  }
  wl_scope_end(scope);
}

#ifdef WINDLASS_OBSERVER
static const bool is_observer = true;
#else
static const bool is_observer = false;
#endif
#ifdef WINDLASS_MAPPER
static const bool is_mapper = true;
#else
static const bool is_mapper = false;
#endif

// How the controller differs from what its project file says of it, or NULL.
static const char *mismatch(const wl_controller *controller) {
  if (is_observer != (controller->observe != NULL)) {
    return "`observe` of the controller and `exports: [observer]` in windlass.yaml come together";
  }
  if (is_mapper != (controller->keys_for != NULL)) {
    return "`keys_for` of the controller and `exports: [mapper]` in windlass.yaml come together";
  }
  return NULL;
}

WEAK bool exports_windlass_controller_handler_start(windlass_string_t *err) {
  const wl_controller *controller = wl_registered();
  wl_scope scope = wl_scope_begin();
  const char *problem = mismatch(controller);
  if (problem == NULL && controller->start != NULL) problem = controller->start();
  if (problem != NULL) *err = wl_give(problem);
  wl_scope_end(scope);
  return problem == NULL;
}

WEAK bool exports_windlass_controller_handler_sync_handler(
    uint64_t sync, exports_windlass_controller_handler_object_key_t *key,
    exports_windlass_controller_handler_outcome_t *ret, exports_windlass_controller_handler_sync_error_t *err) {
  wl_scope scope = wl_scope_begin();
  wl_result result = wl_registered()->sync_handler((wl_sync){sync}, wl_take_key(*key));
  switch (result.kind) {
    case WL_DONE: ret->tag = WINDLASS_CONTROLLER_TYPES_OUTCOME_DONE; break;
    case WL_REQUEUE_AFTER:
      ret->tag = WINDLASS_CONTROLLER_TYPES_OUTCOME_REQUEUE_AFTER;
      ret->val.requeue_after = result.after_ms;
      break;
    case WL_RETRY:
      err->tag = WINDLASS_CONTROLLER_TYPES_SYNC_ERROR_RETRY;
      err->val.retry = wl_give(result.message);
      break;
    case WL_TERMINAL:
      err->tag = WINDLASS_CONTROLLER_TYPES_SYNC_ERROR_TERMINAL;
      err->val.terminal = wl_give(result.message);
      break;
  }
  wl_scope_end(scope);
  return !wl_is_failure(result);
}
