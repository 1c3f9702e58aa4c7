// Turns each WebApp into a Deployment, a Service and a ConfigMap of its name, and keeps them
// so.

#include "dependents.h"
#include "windlass/sdk.h"

#define FINALIZER "examples.windlass.dev/webapp"
#define EVERYTHING WL_LIST("create", "update", "delete")

static const wl_manifest manifest = {
    .name = "webapp-c",
    .version = "0.1.0",
    WL_WATCHES([WEB_APPS] = {.resource = &web_apps, .enqueue = WL_ENQUEUE_ITSELF},
               [CONFIG_MAPS] = {.resource = &config_maps, .enqueue = WL_ENQUEUE_OWNER, .owner = &web_apps},
               [DEPLOYMENTS] = {.resource = &deployments, .enqueue = WL_ENQUEUE_OWNER, .owner = &web_apps},
               [SERVICES] = {.resource = &services, .enqueue = WL_ENQUEUE_OWNER, .owner = &web_apps}),
    WL_PERMISSIONS(
        {.groups = WL_LIST("examples.windlass.dev"), .resources = WL_LIST("webapps"), .verbs = WL_LIST("patch")},
        {.groups = WL_LIST("examples.windlass.dev"),
         .resources = WL_LIST("webapps/status", "webapps/finalizers"),
         .verbs = WL_LIST("update")},
        {.groups = WL_LIST(""), .resources = WL_LIST("configmaps", "services"), .verbs = EVERYTHING},
        {.groups = WL_LIST("apps"), .resources = WL_LIST("deployments"), .verbs = EVERYTHING}),
};

static const wl_manifest *describe(void) { return &manifest; }

static wl_result done_unless(const wl_error *error) { return error == NULL ? wl_done() : wl_failed(error); }

// Takes the Service away before anything else goes, so that nobody is sent to pods that end.
static wl_result finalize(wl_sync sync, wl_json app) {
  if (!wl_has_finalizer(app, FINALIZER)) return wl_done();
  wl_json service = wl_lister_get(SERVICES, wl_key_of(app));
  const wl_error *error = NULL;
  if (!wl_is_controlled_by(service, wl_uid(app))) {
    error = wl_remove_finalizer(sync, &web_apps, app, FINALIZER);
  } else if (!wl_is_deleting(service)) {
    error = wl_delete(sync, &services, wl_key_of(service), (wl_delete_options){.uid = wl_uid(service)});
  }
  return wl_is(error, WL_NOT_FOUND) ? wl_done() : done_unless(error);
}

static wl_condition ready(wl_result ensured, int64_t ready_replicas, int64_t wanted) {
  if (ensured.kind == WL_TERMINAL) {
    return (wl_condition){.status = "False", .reason = "NameTaken", .message = ensured.message};
  }
  if (ready_replicas == wanted) return (wl_condition){.status = "True", .reason = "AllReady"};
  return (wl_condition){
      .status = "False",
      .reason = "Progressing",
      .message = wl_print("%lld of %lld replicas are ready", (long long)ready_replicas, (long long)wanted)};
}

static const wl_error *update_status(wl_sync sync, wl_json app, wl_result ensured) {
  wl_json deployment = wl_lister_get(DEPLOYMENTS, wl_key_of(app)), present = wl_json_at(app, "status");
  bool is_ours = wl_is_controlled_by(deployment, wl_uid(app));
  int64_t ready_replicas = is_ours ? wl_json_int(wl_json_at(deployment, "status", "readyReplicas"), 0) : 0;
  wl_condition condition = ready(ensured, ready_replicas, replicas_of(app));
  condition.type = "Ready";
  condition.observed_generation = wl_generation(app);
  wl_json status = wl_json_print(
      "{'observedGeneration': %lld, 'readyReplicas': %lld, 'conditions': " WL_JSON "}", (long long)wl_generation(app),
      (long long)ready_replicas, WL_JSON_ARG(wl_condition_set(wl_json_at(present, "conditions"), condition)));
  if (wl_json_equal(status, present)) return NULL;
  return wl_update_status(sync, &web_apps, wl_key_of(app), wl_json_set(app, status, "status"), NULL);
}

static wl_result sync_handler(wl_sync sync, wl_key key) {
  wl_json app = wl_lister_get(WEB_APPS, key);
  if (!wl_json_is_set(app)) return wl_done();
  if (wl_is_deleting(app)) return finalize(sync, app);
  // What adding it leads to syncs the key again.
  if (!wl_has_finalizer(app, FINALIZER)) return done_unless(wl_add_finalizer(sync, &web_apps, app, FINALIZER));
  wl_result ensured = ensure_all(sync, app);
  const wl_error *error = update_status(sync, app, ensured);
  return error == NULL ? ensured : wl_failed(error);
}

static const wl_controller webapp = {.describe = describe, .sync_handler = sync_handler};
WL_CONTROLLER(webapp)
