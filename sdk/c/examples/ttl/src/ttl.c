// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.

#include "windlass/sdk.h"

#define EXPIRES "ttl.windlass.dev/expires"

enum { CONFIG_MAPS };

static const wl_resource config_maps = {.group = "", .version = "v1", .plural = "configmaps", .kind = "ConfigMap"};

static const wl_manifest manifest = {
    .name = "ttl-c",
    .version = "0.1.0",
    WL_WATCHES([CONFIG_MAPS] = {.resource = &config_maps,
                                .metadata_only = true,
                                .enqueue = WL_ENQUEUE_ITSELF,
                                .on = WL_ADDED | WL_UPDATED}),
    WL_PERMISSIONS({.groups = WL_LIST(""), .resources = WL_LIST("configmaps"), .verbs = WL_LIST("delete")}),
};

static const wl_manifest *describe(void) { return &manifest; }

static uint32_t expired;

static const char *start(void) {
  const wl_metric metric = {
      .name = "expired_total",
      .help = "Objects deleted because their time was up.",
      .kind = WL_COUNTER,
      .labels = WL_LIST("namespace"),
  };
  return wl_metric_declare(&metric, &expired);
}

static wl_result sync_handler(wl_sync sync, wl_key key) {
  wl_json config_map = wl_lister_get(CONFIG_MAPS, key);
  const char *text = wl_annotation(config_map, EXPIRES);
  if (text == NULL) return wl_done();
  wl_time expires;
  if (!wl_time_parse(text, &expires)) return wl_terminal(EXPIRES ": `%s` is not a time as RFC 3339 writes it", text);
  uint64_t left = wl_time_until(expires, wl_now());
  if (left > 0) return wl_requeue_after(left);

  const wl_error *error = wl_delete(sync, &config_maps, key, (wl_delete_options){.uid = wl_uid(config_map)});
  if (wl_is(error, WL_NOT_FOUND)) return wl_done();
  if (error != NULL) return wl_failed(error);
  wl_metric_add(expired, WL_LIST(key.namespace), 1);
  wl_info("expired", "at", text);
  return wl_done();
}

static const wl_controller ttl = {.describe = describe, .start = start, .sync_handler = sync_handler};
WL_CONTROLLER(ttl)
