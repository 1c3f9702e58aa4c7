#include "windlass/testing.h"

static void begin(const char *expires) {
  wl_test_begin(wl_registered());
  WL_EXPECT_TEXT(wl_test_start(), NULL);
  wl_test_put("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'namespace': 'default', 'name': 'a',"
              " 'annotations': {'ttl.windlass.dev/expires': %s}}}",
              expires);
}

static void it_comes_back_when_the_time_is_up_and_deletes(void) {
  begin("2026-01-01T00:01:00.0005Z");
  wl_result result = wl_test_sync("default/a");
  WL_EXPECT(result.kind == WL_REQUEUE_AFTER && result.after_ms == 60001);
  WL_EXPECT_TEXT(wl_test_calls(), "");
  wl_test_advance(result.after_ms);
  WL_EXPECT(wl_test_sync("default/a").kind == WL_DONE);
  WL_EXPECT_TEXT(wl_test_calls(), "delete configmaps default/a");
  WL_EXPECT(wl_test_count("configmaps") == 0);
  WL_EXPECT(wl_test_metric("expired_total", WL_LIST("default")) == 1);
  WL_EXPECT_TEXT(wl_test_log(), "info expired at=2026-01-01T00:01:00.0005Z");
}

static void what_is_not_a_time_is_an_error_for_good(void) {
  begin("tomorrow");
  wl_result result = wl_test_sync("default/a");
  WL_EXPECT(result.kind == WL_TERMINAL);
  WL_EXPECT_TEXT(result.message, "ttl.windlass.dev/expires: `tomorrow` is not a time as RFC 3339 writes it");
  WL_EXPECT_TEXT(wl_test_calls(), "");
}

static void without_the_annotation_nothing_happens(void) {
  begin(NULL);
  WL_EXPECT(wl_test_sync("default/a").kind == WL_DONE);
  WL_EXPECT(wl_test_sync("default/gone").kind == WL_DONE);
  WL_EXPECT_TEXT(wl_test_calls(), "");
}

static void failures_are_tried_again_but_for_what_is_gone(void) {
  begin("2025-01-01T00:00:00Z");
  wl_test_fail("delete", WL_CONFLICT);
  WL_EXPECT(wl_test_sync("default/a").kind == WL_RETRY);
  wl_test_fail("delete", WL_NOT_FOUND);
  WL_EXPECT(wl_test_sync("default/a").kind == WL_DONE);
  WL_EXPECT(wl_test_metric("expired_total", WL_LIST("default")) == 0);
}

int main(void) {
  WL_RUN(it_comes_back_when_the_time_is_up_and_deletes);
  WL_RUN(what_is_not_a_time_is_an_error_for_good);
  WL_RUN(without_the_annotation_nothing_happens);
  WL_RUN(failures_are_tried_again_but_for_what_is_gone);
  wl_test_end();
  return 0;
}
