// Greets whom a Greeting names, in a ConfigMap that the Greeting owns.
//
// Nothing is freed: what the SDK hands out goes when the function returns that the host called.

#include "windlass/sdk.h"

// Positions in the manifest's watches, by which the host's caches are read.
enum { GREETINGS, CONFIG_MAPS };

static const wl_resource greetings = {
    .group = "example.com", .version = "v1", .plural = "greetings", .kind = "Greeting"};
static const wl_resource config_maps = {.group = "", .version = "v1", .plural = "configmaps", .kind = "ConfigMap"};

static const wl_manifest manifest = {
    .name = "__NAME__",
    .version = "0.1.0",
    // A Greeting that changes is synced; a ConfigMap that changes has its owner synced.
    WL_WATCHES([GREETINGS] = {.resource = &greetings, .enqueue = WL_ENQUEUE_ITSELF},
               [CONFIG_MAPS] = {.resource = &config_maps,
                                .fields = WL_LIST("data.message"),
                                .enqueue = WL_ENQUEUE_OWNER,
                                .owner = &greetings}),
    // What is watched may be read. All other calls need a permission.
    WL_PERMISSIONS(
        {.groups = WL_LIST("example.com"), .resources = WL_LIST("greetings/status"), .verbs = WL_LIST("patch")},
        {.groups = WL_LIST(""), .resources = WL_LIST("configmaps"), .verbs = WL_LIST("create", "patch")},
        // Some clusters ask this of whoever makes a Greeting the owner of something.
        {.groups = WL_LIST("example.com"), .resources = WL_LIST("greetings/finalizers"), .verbs = WL_LIST("update")}),
};

static const wl_manifest *describe(void) { return &manifest; }

// Creates the ConfigMap. NULL, or why that failed.
static const wl_error *create(wl_sync sync, wl_json greeting, const char *message) {
  wl_key key = wl_key_of(greeting);
  wl_json owner = wl_controller_reference(&greetings, greeting);
  wl_json config_map = wl_json_print("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'data': {'message': %s},"
                                     " 'metadata': {'name': %s, 'ownerReferences': [" WL_JSON "]}}",
                                     message, key.name, WL_JSON_ARG(owner));
  const wl_error *error = wl_create(sync, &config_maps, key.namespace, config_map, NULL);
  if (error == NULL) wl_event(WL_NORMAL, &greetings, greeting, "Created", "Created ConfigMap %s", key.name);
  return error;
}

// Writes the status if it is another one. Writing always would sync the key for ever.
static const wl_error *update_status(wl_sync sync, wl_json greeting, const char *message, wl_condition ready) {
  wl_json present = wl_json_at(greeting, "status");
  ready.type = "Ready";
  ready.observed_generation = wl_generation(greeting);
  wl_json conditions = wl_condition_set(wl_json_at(present, "conditions"), ready);
  wl_json status = wl_json_print("{'observedGeneration': %lld, 'message': %s, 'conditions': " WL_JSON "}",
                                 (long long)wl_generation(greeting), message, WL_JSON_ARG(conditions));
  if (wl_json_equal(status, present)) return NULL;
  wl_json patch = wl_json_print("{'status': " WL_JSON "}", WL_JSON_ARG(status));
  return wl_patch_status(sync, &greetings, wl_key_of(greeting), WL_MERGE_PATCH, patch, NULL);
}

// Makes the world as one Greeting wants it. Why it is called does not matter: it looks at what
// there is, and changes what is not right. What fails is tried again.
static wl_result sync_handler(wl_sync sync, wl_key key) {
  wl_json greeting = wl_lister_get(GREETINGS, key);
  // The garbage collector takes what a Greeting owned.
  if (!wl_json_is_set(greeting) || wl_is_deleting(greeting)) return wl_done();

  const char *message = wl_print("Hello, %s!", wl_json_string(wl_json_at(greeting, "spec", "name")));
  wl_json config_map = wl_lister_get(CONFIG_MAPS, key);
  const wl_error *error = NULL;
  if (!wl_json_is_set(config_map)) {
    error = create(sync, greeting, message);
  } else if (!wl_is_controlled_by(config_map, wl_uid(greeting))) {
    const char *why = wl_print("ConfigMap %s is somebody else's", key.name);
    error = update_status(sync, greeting, "", (wl_condition){.status = "False", .reason = "Conflict", .message = why});
    // Nobody tells us when it goes, for it has another owner or none.
    return error == NULL ? wl_requeue_after(30000) : wl_failed(error);
  } else if (!wl_json_is(wl_json_at(config_map, "data", "message"), message)) {
    wl_json patch = wl_json_print("{'data': {'message': %s}}", message);
    error = wl_patch(sync, &config_maps, key, WL_MERGE_PATCH, patch, NULL);
  }
  if (error != NULL) return wl_failed(error);

  wl_condition ready = {.status = "True", .reason = "Greeted", .message = message};
  error = update_status(sync, greeting, message, ready);
  return error == NULL ? wl_done() : wl_failed(error);
}

static const wl_controller greeter = {.describe = describe, .sync_handler = sync_handler};
WL_CONTROLLER(greeter)
