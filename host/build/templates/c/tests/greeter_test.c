// The controller on a fake cluster: no API server, no wasm, a few milliseconds.

#include "windlass/testing.h"

#define KEY "default/hello"

// A cluster with a Greeting that was not synced yet.
static void begin(void) {
  wl_test_begin(wl_registered());
  wl_test_put("{'apiVersion': 'example.com/v1', 'kind': 'Greeting',"
              " 'metadata': {'namespace': 'default', 'name': 'hello', 'uid': 'greeting'}, 'spec': {'name': 'World'}}");
}

// The calls that a sync makes.
static const char *sync(void) {
  WL_EXPECT(wl_test_sync(KEY).kind == WL_DONE);
  return wl_test_calls();
}

static wl_json data(void) { return wl_json_at(wl_test_get("configmaps", KEY), "data"); }

static wl_json status(void) { return wl_json_at(wl_test_get("greetings", KEY), "status"); }

static const char *ready(const char *field) {
  return wl_json_text(wl_json_at(wl_condition_find(wl_json_at(status(), "conditions"), "Ready"), field));
}

static void a_greeting_gets_a_config_map_a_status_and_an_event(void) {
  begin();
  WL_EXPECT_TEXT(sync(), "create configmaps default/hello\npatch greetings/status default/hello");
  WL_EXPECT_JSON(data(), "{'message': 'Hello, World!'}");
  WL_EXPECT(wl_is_controlled_by(wl_test_get("configmaps", KEY), "greeting"));
  WL_EXPECT_TEXT(wl_test_events(), "Normal Created Created ConfigMap hello");
  WL_EXPECT_TEXT(wl_json_text(wl_json_at(status(), "message")), "Hello, World!");
  WL_EXPECT_JSON(wl_json_at(status(), "observedGeneration"), "1");
  WL_EXPECT_TEXT(ready("status"), "True");
  WL_EXPECT_TEXT(sync(), "");
}

static void drift_is_corrected_and_what_others_added_stays(void) {
  begin();
  sync();
  wl_test_edit("configmaps", KEY, "{'data': {'message': 'Go away!', 'colour': 'blue'}}");
  WL_EXPECT_TEXT(sync(), "patch configmaps default/hello");
  WL_EXPECT(wl_json_covers(data(), wl_json_print("{'message': 'Hello, World!', 'colour': 'blue'}")));
  wl_test_remove("configmaps", KEY);
  sync();
  WL_EXPECT_JSON(data(), "{'message': 'Hello, World!'}");
}

static void another_name_arrives(void) {
  begin();
  sync();
  wl_test_edit("greetings", KEY, "{'metadata': {'generation': 2}, 'spec': {'name': 'Windlass'}}");
  sync();
  WL_EXPECT_JSON(data(), "{'message': 'Hello, Windlass!'}");
  WL_EXPECT_TEXT(wl_json_text(wl_json_at(status(), "message")), "Hello, Windlass!");
  WL_EXPECT_JSON(wl_json_at(status(), "observedGeneration"), "2");
}

static void a_config_map_of_somebody_else_is_left_alone(void) {
  begin();
  wl_test_put("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'namespace': 'default', 'name': 'hello'}}");
  WL_EXPECT(wl_test_sync(KEY).kind == WL_REQUEUE_AFTER);
  WL_EXPECT_TEXT(wl_test_calls(), "patch greetings/status default/hello");
  WL_EXPECT_TEXT(ready("status"), "False");
  WL_EXPECT_TEXT(ready("reason"), "Conflict");
}

int main(void) {
  WL_RUN(a_greeting_gets_a_config_map_a_status_and_an_event);
  WL_RUN(drift_is_corrected_and_what_others_added_stays);
  WL_RUN(another_name_arrives);
  WL_RUN(a_config_map_of_somebody_else_is_left_alone);
  wl_test_end();
  return 0;
}
