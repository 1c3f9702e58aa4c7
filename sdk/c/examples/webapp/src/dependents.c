// How each object is made and kept so.

#include "dependents.h"

const wl_resource web_apps = {
    .group = "examples.windlass.dev", .version = "v1", .plural = "webapps", .kind = "WebApp"};
const wl_resource config_maps = {.group = "", .version = "v1", .plural = "configmaps", .kind = "ConfigMap"};
const wl_resource deployments = {.group = "apps", .version = "v1", .plural = "deployments", .kind = "Deployment"};
const wl_resource services = {.group = "", .version = "v1", .plural = "services", .kind = "Service"};

int64_t replicas_of(wl_json app) { return wl_json_int(wl_json_at(app, "spec", "replicas"), 1); }

static long long port_of(wl_json app) { return wl_json_int(wl_json_at(app, "spec", "port"), 80); }

static wl_json labels_of(wl_json app) { return wl_json_print("{'app': %s}", wl_key_of(app).name); }

// === What is wanted: the object without its metadata ===

static wl_json config_map(wl_json app) {
  wl_json config = wl_json_at(app, "spec", "config");
  if (wl_json_type_of(config) != WL_JSON_OBJECT) config = wl_json_print("{}");
  return wl_json_print("{'data': " WL_JSON "}", WL_JSON_ARG(config));
}

static wl_json deployment(wl_json app) {
  wl_json labels = labels_of(app);
  wl_json container = wl_json_print(
      "{'name': 'web', 'image': " WL_JSON ", 'ports': [{'containerPort': %lld}],"
      " 'envFrom': [{'configMapRef': {'name': %s}}]}",
      WL_JSON_ARG(wl_json_at(app, "spec", "image")), port_of(app), wl_key_of(app).name);
  return wl_json_print("{'spec': {'replicas': %lld, 'selector': {'matchLabels': " WL_JSON "},"
                       " 'template': {'metadata': {'labels': " WL_JSON "}, 'spec': {'containers': [" WL_JSON "]}}}}",
                       (long long)replicas_of(app), WL_JSON_ARG(labels), WL_JSON_ARG(labels), WL_JSON_ARG(container));
}

static wl_json service(wl_json app) {
  return wl_json_print("{'spec': {'selector': " WL_JSON ", 'ports': [{'port': %lld, 'targetPort': %lld}]}}",
                       WL_JSON_ARG(labels_of(app)), port_of(app), port_of(app));
}

typedef struct dependent {
  int watch;
  const wl_resource *resource;
  wl_json (*wanted)(wl_json app);
  // A map of which nothing but what is wanted may be there.
  const char *const *whole;
} dependent;

static const dependent dependents[] = {
    {CONFIG_MAPS, &config_maps, config_map, WL_LIST("data")},
    {DEPLOYMENTS, &deployments, deployment, NULL},
    {SERVICES, &services, service, WL_LIST("spec", "selector")},
};

// === Keeping it so ===

static bool is_as_wanted(const dependent *dependent, wl_json present, wl_json wanted, wl_json app) {
  if (!wl_json_is(wl_json_at(present, "metadata", "labels", "app"), wl_key_of(app).name)) return false;
  if (dependent->whole == NULL) return wl_json_covers(present, wanted);
  wl_json whole = wl_json_path(present, dependent->whole), all = wl_json_path(wanted, dependent->whole);
  // The server keeps no empty map.
  bool is_whole = wl_json_equal(whole, all) || wl_json_count(whole) + wl_json_count(all) == 0;
  wl_json rest = wl_json_set_path(wanted, dependent->whole, (wl_json){0});
  return is_whole && wl_json_covers(present, rest);
}

static wl_json corrected(const dependent *dependent, wl_json present, wl_json wanted, wl_json app) {
  wl_json object = present;
  if (dependent->whole != NULL) object = wl_json_set_path(object, dependent->whole, (wl_json){0});
  object = wl_json_merge(object, wanted);
  return wl_json_set(object, wl_json_print("%s", wl_key_of(app).name), "metadata", "labels", "app");
}

static wl_json metadata(wl_json app) {
  wl_key key = wl_key_of(app);
  return wl_json_print("{'name': %s, 'namespace': %s, 'labels': " WL_JSON ", 'ownerReferences': [" WL_JSON "]}",
                       key.name, key.namespace, WL_JSON_ARG(labels_of(app)),
                       WL_JSON_ARG(wl_controller_reference(&web_apps, app)));
}

static wl_result create(wl_sync sync, const dependent *dependent, wl_json app, wl_json wanted) {
  const wl_resource *resource = dependent->resource;
  wl_json head = wl_json_print("{'apiVersion': %s, 'kind': %s, 'metadata': " WL_JSON "}", wl_api_version(resource),
                               resource->kind, WL_JSON_ARG(metadata(app)));
  wl_key key = wl_key_of(app);
  const wl_error *error = wl_create(sync, resource, key.namespace, wl_json_merge(head, wanted), NULL);
  if (error != NULL) return wl_failed(error);
  wl_event(WL_NORMAL, &web_apps, app, "Created", "Created %s %s", resource->kind, key.name);
  return wl_done();
}

static wl_result ensure(wl_sync sync, const dependent *dependent, wl_json app) {
  const wl_resource *resource = dependent->resource;
  wl_key key = wl_key_of(app);
  wl_json present = wl_lister_get((uint32_t)dependent->watch, key), wanted = dependent->wanted(app);
  if (!wl_json_is_set(present)) return create(sync, dependent, app, wanted);
  if (!wl_is_controlled_by(present, wl_uid(app))) {
    return wl_terminal("%s %s exists and belongs to somebody else", resource->kind, wl_key_print(key));
  }
  if (wl_is_deleting(present) || is_as_wanted(dependent, present, wanted, app)) return wl_done();
  const wl_error *error = wl_update(sync, resource, key, corrected(dependent, present, wanted, app), NULL);
  if (error != NULL) return wl_failed(error);
  wl_event(WL_NORMAL, &web_apps, app, "Drifted", "Corrected %s %s", resource->kind, key.name);
  return wl_done();
}

wl_result ensure_all(wl_sync sync, wl_json app) {
  wl_result result = wl_done();
  for (size_t at = 0; at < sizeof dependents / sizeof *dependents && !wl_is_failure(result); at++) {
    result = ensure(sync, &dependents[at], app);
  }
  return result;
}
