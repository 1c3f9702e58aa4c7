// Time, memory, and all that a controller does to objects, against the fake cluster.

#include <string.h>

#include "windlass/testing.h"

static const wl_resource config_maps = {.group = "", .version = "v1", .plural = "configmaps", .kind = "ConfigMap"};
static const wl_resource deployments = {
    .group = "apps", .version = "v1", .plural = "deployments", .kind = "Deployment"};
static const wl_key a = {.namespace = "default", .name = "a"};

static const wl_manifest manifest = {
    .name = "nothing",
    .version = "1",
    WL_WATCHES({.resource = &config_maps, .indexes = (const wl_index[]){{"key", "data.key"}, {0}}}),
};

static const wl_manifest *describe(void) { return &manifest; }

// Allocates, asks, writes, and fails now and then.
static wl_result sync_handler(wl_sync sync, wl_key key) {
  wl_json object = wl_lister_get(0, key);
  memset(wl_alloc(100000), 1, 100000);
  wl_json patch = wl_json_print("{'data': {'now': %lld}}", (long long)wl_now().seconds);
  const wl_error *error = wl_patch(sync, &config_maps, key, WL_MERGE_PATCH, patch, &object);
  return error == NULL ? wl_requeue_after(1) : wl_failed(error);
}

static uint32_t observed;

static void observe(const wl_batch *batches, size_t count) {
  for (size_t at = 0; at < count; at++) observed += (uint32_t)batches[at].count;
}

static const wl_controller controller = {.describe = describe, .sync_handler = sync_handler, .observe = observe};

static wl_json put_a(void) {
  return wl_test_put("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'namespace': 'default', 'name': 'a',"
                     " 'labels': {'app': 'x'}}, 'data': {'key': 'value'}}");
}

static void times_are_read_and_written(void) {
  wl_time time;
  WL_EXPECT(wl_time_parse("2026-11-26T18:00:00Z", &time) && time.seconds == 1795716000);
  WL_EXPECT(wl_time_parse("1969-12-31T23:59:59.5Z", &time) && time.seconds == -1 && time.nanoseconds == 500000000);
  WL_EXPECT(wl_time_parse("2026-11-26t20:30:00.123456789123+02:30", &time) && time.seconds == 1795716000);
  WL_EXPECT(time.nanoseconds == 123456789);
  static const char *const wrong[] = {
      "", "tomorrow", "2026-11-26", "2026-11-26T18:00:00", "2026-11-26 18:00:00Z", "2026-11-26T18:00:00Zx",
      "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
      "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100",
      "2026-1-01T00:00:00Z", "2026-11-26T18:00:0",
  };
  for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) WL_EXPECT(!wl_time_parse(wrong[at], &time));
  WL_EXPECT(!wl_time_parse(NULL, &time));
  static const char *const same[] = {
      "1970-01-01T00:00:00Z", "2000-02-29T12:34:56Z", "1999-12-31T23:59:59Z", "1904-02-29T00:00:01Z",
      "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0000-02-29T00:00:00Z", "2026-03-01T00:00:00Z",
  };
  for (size_t at = 0; at < sizeof same / sizeof *same; at++) {
    WL_EXPECT(wl_time_parse(same[at], &time));
    WL_EXPECT_TEXT(wl_time_print(time), same[at]);
  }
  for (int64_t day = -800000; day < 2500000; day += 97) {
    const char *text = wl_time_print((wl_time){.seconds = day * 86400 + 7});
    if (strlen(text) == 20 && text[0] != '-') WL_EXPECT(wl_time_parse(text, &time) && time.seconds == day * 86400 + 7);
  }
}

static void what_is_left_is_rounded_up(void) {
  wl_time now = {.seconds = 100, .nanoseconds = 500000000};
  WL_EXPECT(wl_time_until((wl_time){.seconds = 101, .nanoseconds = 0}, now) == 500);
  WL_EXPECT(wl_time_until((wl_time){.seconds = 101, .nanoseconds = 1}, now) == 501);
  WL_EXPECT(wl_time_until((wl_time){.seconds = 100, .nanoseconds = 500000001}, now) == 1);
  WL_EXPECT(wl_time_until(now, now) == 0);
  WL_EXPECT(wl_time_until((wl_time){.seconds = 99}, now) == 0);
}

static void scopes_end_as_if_nothing_had_been(void) {
  size_t before = wl_memory_held();
  for (int round = 0; round < 100; round++) {
    wl_scope outer = wl_scope_begin();
    const char *kept = wl_print("kept %d", round);
    wl_scope inner = wl_scope_begin();
    for (size_t size = 0; size < 200000; size = size * 2 + 1) memset(wl_alloc(size), 0xff, size);
    wl_scope_end(inner);
    WL_EXPECT(*(char *)wl_alloc(1) == 0);
    WL_EXPECT_TEXT(kept, wl_print("kept %d", round));
    wl_scope_end(outer);
  }
  // One chunk is kept.
  WL_EXPECT(wl_memory_held() <= before + 65536);
}

static void thousands_of_syncs_leave_nothing(void) {
  wl_test_begin(&controller);
  put_a();
  wl_test_sync("default/a");
  size_t held = wl_memory_held();
  for (int round = 0; round < 10000; round++) {
    wl_result result = wl_test_sync(round % 7 == 0 ? "default/gone" : "default/a");
    WL_EXPECT(result.kind == (round % 7 == 0 ? WL_RETRY : WL_REQUEUE_AFTER));
    wl_scope scope = wl_scope_begin();
    wl_test_calls();
    wl_scope_end(scope);
  }
  WL_EXPECT(wl_memory_held() == held);
}

static void every_verb_has_its_answer(void) {
  wl_test_begin(&controller);
  wl_json body = wl_json_print("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'a'}, 'spec': 1}");
  wl_json answer;
  WL_EXPECT(wl_create(WL_NO_SYNC, &config_maps, "default", body, &answer) == NULL);
  WL_EXPECT_TEXT(wl_uid(answer), "uid-1");
  const wl_error *error = wl_create(WL_NO_SYNC, &config_maps, "default", body, NULL);
  WL_EXPECT(wl_is(error, WL_ALREADY_EXISTS) && error->code == 409);
  WL_EXPECT(wl_get(WL_NO_SYNC, &config_maps, a, &answer) == NULL);
  wl_json changed = wl_json_set(answer, wl_json_print("2"), "spec");
  WL_EXPECT(wl_update(WL_NO_SYNC, &config_maps, a, changed, &answer) == NULL && wl_generation(answer) == 2);
  WL_EXPECT(wl_is(wl_update(WL_NO_SYNC, &config_maps, a, changed, NULL), WL_CONFLICT));
  wl_json status = wl_json_set(wl_json_set(answer, wl_json_print("3"), "spec"), wl_json_print("{'x': 1}"), "status");
  WL_EXPECT(wl_update_status(WL_NO_SYNC, &config_maps, a, status, &answer) == NULL);
  WL_EXPECT_JSON(wl_json_at(answer, "spec"), "2");
  WL_EXPECT_JSON(wl_json_at(answer, "status"), "{'x': 1}");
  wl_json patch = wl_json_print("{'status': {'x': null, 'y': 2}}");
  WL_EXPECT(wl_patch(WL_NO_SYNC, &config_maps, a, WL_MERGE_PATCH, patch, &answer) == NULL);
  WL_EXPECT_JSON(wl_json_at(answer, "status"), "{'x': 1}");
  WL_EXPECT(wl_patch_status(WL_NO_SYNC, &config_maps, a, WL_MERGE_PATCH, patch, &answer) == NULL);
  WL_EXPECT_JSON(wl_json_at(answer, "status"), "{'y': 2}");
  WL_EXPECT(wl_list(WL_NO_SYNC, &config_maps, (wl_list_options){.namespace = "default"}, &answer) == NULL);
  WL_EXPECT(wl_json_count(wl_json_at(answer, "items")) == 1);
  WL_EXPECT(wl_subresource(WL_NO_SYNC, WL_VERB_CREATE, &config_maps, a, "binding", body, NULL) == NULL);
  WL_EXPECT(wl_is(wl_delete(WL_NO_SYNC, &config_maps, a, (wl_delete_options){.uid = "another"}), WL_CONFLICT));
  WL_EXPECT(wl_delete(WL_NO_SYNC, &config_maps, a, (wl_delete_options){.uid = "uid-1"}) == NULL);
  WL_EXPECT(wl_is(wl_get(WL_NO_SYNC, &config_maps, a, NULL), WL_NOT_FOUND));
  wl_test_calls();
  WL_EXPECT(wl_is(wl_update(WL_NO_SYNC, &config_maps, a, (wl_json){0}, NULL), WL_BAD_REQUEST));
  WL_EXPECT_TEXT(wl_test_calls(), "");
}

static void listers_find_what_is_asked_for(void) {
  wl_test_begin(&controller);
  put_a();
  wl_test_put("{'kind': 'ConfigMap', 'metadata': {'namespace': 'other', 'name': 'b', 'ownerReferences': ["
              "{'uid': 'owner', 'controller': true}]}}");
  WL_EXPECT(wl_lister_list(0, NULL, "").count == 2);
  WL_EXPECT(wl_lister_list(0, "other", "").count == 1);
  WL_EXPECT(wl_lister_list(0, NULL, "app=x").count == 1);
  WL_EXPECT(wl_lister_list(0, NULL, "app!=x").count == 1);
  WL_EXPECT(wl_lister_list(0, NULL, "app,app==x").count == 1);
  WL_EXPECT(wl_lister_list(0, NULL, "!app").count == 1);
  WL_EXPECT(wl_lister_by_index(0, "key", "value").count == 1);
  WL_EXPECT(wl_lister_by_index(0, "unknown", "value").count == 0);
  WL_EXPECT_TEXT(wl_test_log(), "error a lister refused problem=no index unknown");
  WL_EXPECT(wl_lister_by_owner(0, "owner").count == 1);
  WL_EXPECT(wl_lister_orphans(0, "other").count == 0);
  WL_EXPECT(wl_lister_orphans(0, "default").count == 1);
}

static void finalizers_come_and_go(void) {
  wl_test_begin(&controller);
  wl_json object = put_a();
  WL_EXPECT(wl_add_finalizer(WL_NO_SYNC, &config_maps, object, "example.com/x") == NULL);
  WL_EXPECT(wl_is(wl_add_finalizer(WL_NO_SYNC, &config_maps, object, "example.com/y"), WL_CONFLICT));
  object = wl_test_get("configmaps", "default/a");
  WL_EXPECT(wl_has_finalizer(object, "example.com/x"));
  WL_EXPECT(wl_delete(WL_NO_SYNC, &config_maps, a, (wl_delete_options){0}) == NULL);
  object = wl_test_get("configmaps", "default/a");
  WL_EXPECT(wl_is_deleting(object));
  WL_EXPECT(wl_remove_finalizer(WL_NO_SYNC, &config_maps, object, "example.com/x") == NULL);
  WL_EXPECT(wl_test_count("configmaps") == 0);
}

static void owners_adopt_and_release(void) {
  wl_test_begin(&controller);
  wl_json owner = wl_test_put("{'kind': 'Deployment', 'metadata': {'namespace': 'default', 'name': 'web'}}");
  WL_EXPECT(wl_adopt(WL_NO_SYNC, &deployments, owner, &config_maps, put_a()) == NULL);
  wl_json object = wl_test_get("configmaps", "default/a");
  WL_EXPECT_JSON(wl_json_at(object, "metadata", "ownerReferences"),
                 "[{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'web', 'uid': %s, 'controller': true,"
                 " 'blockOwnerDeletion': true}]",
                 wl_uid(owner));
  WL_EXPECT(wl_is_controlled_by(object, wl_uid(owner)) && !wl_is_controlled_by(object, "another"));
  WL_EXPECT(wl_release(WL_NO_SYNC, wl_uid(owner), &config_maps, object) == NULL);
  WL_EXPECT(!wl_has_controller(wl_test_get("configmaps", "default/a")));
  wl_test_remove("configmaps", "default/a");
  WL_EXPECT(wl_release(WL_NO_SYNC, wl_uid(owner), &config_maps, object) == NULL);
}

static void the_transition_time_changes_with_the_status_alone(void) {
  wl_test_begin(&controller);
  wl_condition ready = {.type = "Ready", .status = "False", .reason = "Progressing", .observed_generation = 1};
  wl_json conditions = wl_json_print("[{'type': 'Other', 'status': 'True', 'more': 1}]");
  conditions = wl_condition_set(conditions, ready);
  wl_test_advance(1500);
  ready.reason = "NameTaken";
  conditions = wl_condition_set(conditions, ready);
  WL_EXPECT_JSON(conditions,
                 "[{'type': 'Other', 'status': 'True', 'more': 1}, {'type': 'Ready', 'status': 'False', 'reason':"
                 " 'NameTaken', 'message': '', 'lastTransitionTime': '2026-01-01T00:00:00Z', 'observedGeneration': 1}]");
  ready.status = "True";
  conditions = wl_condition_set(conditions, ready);
  wl_json now = wl_json_at(wl_condition_find(conditions, "Ready"), "lastTransitionTime");
  WL_EXPECT_TEXT(wl_json_text(now), "2026-01-01T00:00:01Z");
}

static void services_are_there(void) {
  wl_test_begin(&controller);
  wl_json object = put_a();
  wl_event(WL_WARNING, &config_maps, object, "Failed", "Failed %d times", 3);
  WL_EXPECT_TEXT(wl_test_events(), "Warning Failed Failed 3 times");
  wl_info("a line", "name", "value", "nothing", NULL);
  WL_EXPECT_TEXT(wl_test_log(), "info a line name=value nothing=");
  wl_enqueue_key(a, 5, 0);
  WL_EXPECT_TEXT(wl_test_queued(), "default/a after 5 ms");
  WL_EXPECT_JSON(wl_config(), "{}");
  wl_test_configure("{'size': %d}", 3);
  WL_EXPECT(wl_json_int(wl_json_at(wl_config(), "size"), 0) == 3);
  uint32_t gauge;
  WL_EXPECT(wl_metric_declare(&(wl_metric){.name = "size", .kind = WL_GAUGE}, &gauge) == NULL);
  wl_metric_set(gauge, NULL, 5);
  wl_metric_add(gauge, NULL, -2);
  WL_EXPECT(wl_test_metric("size", NULL) == 3);
  wl_resource resource;
  bool namespaced;
  WL_EXPECT(wl_resolve("apps", "v1", "Deployment", &resource, &namespaced) && namespaced);
  WL_EXPECT_TEXT(resource.plural, "deployments");
  WL_EXPECT(wl_random() != wl_random());
  wl_test_observe(0, WL_DELTA_ADDED, "configmaps", "default/a");
  WL_EXPECT(observed == 1);
  wl_test_fail("get configmaps", WL_TIMEOUT);
  WL_EXPECT(wl_is(wl_get(WL_NO_SYNC, &config_maps, a, NULL), WL_TIMEOUT));
}

int main(void) {
  wl_scope scope = wl_scope_begin();
  WL_RUN(times_are_read_and_written);
  WL_RUN(what_is_left_is_rounded_up);
  WL_RUN(scopes_end_as_if_nothing_had_been);
  WL_RUN(thousands_of_syncs_leave_nothing);
  WL_RUN(every_verb_has_its_answer);
  WL_RUN(listers_find_what_is_asked_for);
  WL_RUN(finalizers_come_and_go);
  WL_RUN(owners_adopt_and_release);
  WL_RUN(the_transition_time_changes_with_the_status_alone);
  WL_RUN(services_are_there);
  wl_test_end();
  wl_scope_end(scope);
  return 0;
}
