// The fake cluster as tests handle it.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arena.h"
#include "state.h"

// 2026-01-01T00:00:00Z.
#define BEGINNING 1767225600

wl_fake wl_the_fake;
// Of the last sync.
static char *last_message;

uint64_t wl_fake_number(void) { return ++wl_the_fake.counter; }

char *wl_keep(const char *text, size_t length) {
  char *kept = malloc(length + 1);
  if (kept == NULL) abort();
  memcpy(kept, text, length);
  kept[length] = 0;
  return kept;
}

void wl_lines_add(wl_lines *lines, const char *line) {
  size_t length = strlen(line);
  char *longer = realloc(lines->text, lines->length + length + 2);
  if (longer == NULL) abort();
  if (lines->length > 0) longer[lines->length++] = '\n';
  memcpy(longer + lines->length, line, length + 1);
  *lines = (wl_lines){.text = longer, .length = lines->length + length};
}

const char *wl_lines_take(wl_lines *lines) {
  const char *taken = lines->text == NULL ? "" : wl_copy(lines->text, lines->length);
  free(lines->text);
  *lines = (wl_lines){0};
  return taken;
}

wl_key wl_parse_key(const char *key) {
  const char *slash = strchr(key, '/');
  if (slash == NULL) return (wl_key){.namespace = "", .name = key};
  return (wl_key){.namespace = wl_copy(key, (size_t)(slash - key)), .name = slash + 1};
}

void wl_test_end(void) {
  if (!wl_the_fake.is_begun) return;
  wl_store_clear();
  wl_metrics_clear();
  free(wl_the_fake.calls.text);
  free(wl_the_fake.events.text);
  free(wl_the_fake.log.text);
  free(wl_the_fake.queued.text);
  free(wl_the_fake.config);
  free(wl_the_fake.failing_call);
  free(last_message);
  last_message = NULL;
  wl_scope_end(wl_the_fake.scope);
  wl_the_fake = (wl_fake){0};
}

void wl_test_begin(const wl_controller *controller) {
  wl_test_end();
  wl_the_fake = (wl_fake){
      .controller = controller, .scope = wl_scope_begin(), .is_begun = true, .now = {.seconds = BEGINNING}};
  wl_the_fake.manifest = controller->describe();
}

static void fail(const char *what, const char *about) {
  fprintf(stderr, "%s: %s\n", what, about);
  exit(1);
}

wl_json wl_test_put(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  wl_json object = wl_json_vprint(format, arguments);
  va_end(arguments);
  if (wl_json_type_of(wl_json_at(object, "metadata")) != WL_JSON_OBJECT) fail("this is no object", format);
  return wl_store_put(object);
}

void wl_test_edit(const char *plural, const char *key, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  wl_json patch = wl_json_vprint(format, arguments);
  va_end(arguments);
  wl_json object = wl_test_get(plural, key);
  if (object.text == NULL || patch.text == NULL) fail("this cannot be edited", key);
  wl_store_put(wl_json_merge(object, patch));
}

wl_json wl_test_get(const char *plural, const char *key) { return wl_store_find(plural, wl_parse_key(key)); }

size_t wl_test_count(const char *plural) { return wl_store_list(plural, NULL).count; }

void wl_test_remove(const char *plural, const char *key) { wl_store_remove(plural, wl_parse_key(key)); }

const char *wl_test_start(void) {
  return wl_the_fake.controller->start == NULL ? NULL : wl_the_fake.controller->start();
}

wl_result wl_test_sync(const char *key) {
  wl_scope scope = wl_scope_begin();
  wl_result result = wl_the_fake.controller->sync_handler((wl_sync){1}, wl_parse_key(key));
  free(last_message);
  last_message = result.message == NULL ? NULL : wl_keep(result.message, strlen(result.message));
  result.message = last_message;
  wl_scope_end(scope);
  return result;
}

const char *wl_test_keys_for(uint32_t watch, const char *plural, const char *key) {
  wl_keys keys = wl_the_fake.controller->keys_for(watch, wl_parse_key(key), wl_test_get(plural, key), (wl_json){0});
  wl_lines lines = {0};
  for (size_t at = 0; at < keys.count; at++) wl_lines_add(&lines, wl_key_print(keys.keys[at]));
  return wl_lines_take(&lines);
}

void wl_test_observe(uint32_t watch, wl_delta_kind kind, const char *plural, const char *key) {
  wl_delta delta = {.kind = kind, .key = wl_parse_key(key), .body = wl_test_get(plural, key)};
  wl_batch batch = {.watch = watch, .namespaced = true, .deltas = &delta, .count = 1};
  const wl_resource *resource = wl_the_fake.manifest->watches[watch].resource;
  if (resource != NULL) batch.resource = *resource;
  wl_the_fake.controller->observe(&batch, 1);
}

const char *wl_test_calls(void) { return wl_lines_take(&wl_the_fake.calls); }

const char *wl_test_events(void) { return wl_lines_take(&wl_the_fake.events); }

const char *wl_test_log(void) { return wl_lines_take(&wl_the_fake.log); }

const char *wl_test_queued(void) { return wl_lines_take(&wl_the_fake.queued); }

void wl_test_fail(const char *call, wl_error_kind kind) {
  free(wl_the_fake.failing_call);
  wl_the_fake.failing_call = call == NULL ? NULL : wl_keep(call, strlen(call));
  wl_the_fake.failure = kind;
}

void wl_test_advance(uint64_t ms) {
  wl_time *now = &wl_the_fake.now;
  uint64_t nanoseconds = now->nanoseconds + ms % 1000 * 1000000;
  now->seconds += (int64_t)(ms / 1000 + nanoseconds / 1000000000);
  now->nanoseconds = (uint32_t)(nanoseconds % 1000000000);
}

void wl_test_configure(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  wl_json config = wl_json_vprint(format, arguments);
  va_end(arguments);
  if (config.text == NULL) fail("this is no JSON", format);
  free(wl_the_fake.config);
  wl_the_fake.config = wl_keep(config.text, config.length);
}

// === Expectations ===

void wl_test_run(const char *name, void (*test)(void)) {
  test();
  printf("ok %s\n", name);
}

void wl_test_expect(bool condition, const char *file, int line, const char *text) {
  if (!condition) fail(wl_print("%s:%d", file, line), text);
}

void wl_test_expect_text(const char *actual, const char *expected, const char *file, int line) {
  bool is_equal = actual == expected || (actual != NULL && expected != NULL && strcmp(actual, expected) == 0);
  if (is_equal) return;
  const char *nothing = "(NULL)";
  fail(wl_print("%s:%d", file, line), wl_print("found `%s`, expected `%s`", actual == NULL ? nothing : actual,
                                               expected == NULL ? nothing : expected));
}

static const char *text_of(wl_json value) {
  return value.text == NULL ? "(absent)" : wl_copy(value.text, value.length);
}

void wl_test_expect_json(wl_json actual, wl_json expected, const char *file, int line) {
  if (wl_json_equal(actual, expected)) return;
  fail(wl_print("%s:%d", file, line), wl_print("found `%s`, expected `%s`", text_of(actual), text_of(expected)));
}
