// Gives every ConfigMap the team label of its namespace.
//
// The keys are ConfigMaps; a namespace that changes is mapped to all that are in it.

#include <string.h>

#include "windlass/sdk.h"

// On namespaces.
#define TEAM "examples.windlass.dev/team"
// On ConfigMaps.
#define LABEL "team"
// Marks a label as ours to take away.
#define PROPAGATED "examples.windlass.dev/propagated"
// Written by another controller into every namespace.
#define ROOT_CERTIFICATES "kube-root-ca.crt"

enum { NAMESPACES, CONFIG_MAPS };

static const wl_resource namespaces = {.group = "", .version = "v1", .plural = "namespaces", .kind = "Namespace"};
static const wl_resource config_maps = {.group = "", .version = "v1", .plural = "configmaps", .kind = "ConfigMap"};

static const wl_manifest manifest = {
    .name = "label-propagation-c",
    .version = "0.1.0",
    WL_WATCHES([NAMESPACES] = {.resource = &namespaces, .metadata_only = true, .enqueue = WL_ENQUEUE_MAPPER},
               [CONFIG_MAPS] = {.resource = &config_maps, .metadata_only = true, .enqueue = WL_ENQUEUE_ITSELF}),
    WL_PERMISSIONS({.groups = WL_LIST(""), .resources = WL_LIST("configmaps"), .verbs = WL_LIST("patch")}),
};

static const wl_manifest *describe(void) { return &manifest; }

static bool same(const char *one, const char *other) {
  return one != NULL && other != NULL && strcmp(one, other) == 0;
}

// Whether the object says whose it is: with a team that is its label and ours, without one
// nothing is ours.
static bool is_right(wl_json config_map, const char *team) {
  bool is_ours = same(wl_annotation(config_map, PROPAGATED), "true");
  return team == NULL ? !is_ours : is_ours && same(wl_label(config_map, LABEL), team);
}

static wl_result sync_handler(wl_sync sync, wl_key key) {
  wl_json config_map = wl_lister_get(CONFIG_MAPS, key);
  if (!wl_json_is_set(config_map) || same(key.name, ROOT_CERTIFICATES)) return wl_done();
  const char *team = wl_label(wl_lister_get(NAMESPACES, (wl_key){.namespace = "", .name = key.namespace}), TEAM);
  if (is_right(config_map, team)) return wl_done();
  // What is null is removed.
  wl_json patch = wl_json_print("{'metadata': {'labels': {%s: %s}, 'annotations': {%s: %s}}}", LABEL, team,
                                PROPAGATED, team == NULL ? NULL : "true");
  const wl_error *error = wl_patch(sync, &config_maps, key, WL_MERGE_PATCH, patch, NULL);
  return error == NULL || wl_is(error, WL_NOT_FOUND) ? wl_done() : wl_failed(error);
}

static wl_keys keys_for(uint32_t watch, wl_key namespace, wl_json body, wl_json old) {
  (void)watch, (void)body, (void)old;
  wl_objects found = wl_lister_list(CONFIG_MAPS, namespace.name, "");
  wl_keys keys = {.keys = wl_alloc(found.count * sizeof *keys.keys), .count = found.count};
  for (size_t at = 0; at < found.count; at++) keys.keys[at] = wl_key_of(found.objects[at]);
  return keys;
}

static const wl_controller label_propagation = {
    .describe = describe, .sync_handler = sync_handler, .keys_for = keys_for};
WL_CONTROLLER(label_propagation)
