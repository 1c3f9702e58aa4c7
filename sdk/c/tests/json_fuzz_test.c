// JSON that was damaged at random: it parses or it does not, and what parses bears all that
// can be done with it. The damage is the same in every run.

#include <stdlib.h>
#include <string.h>

#include "windlass/testing.h"

#define ROUNDS 60000

static const char *const seeds[] = {
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"labels\":{\"app\":\"a\"},"
    "\"annotations\":{\"ttl.windlass.dev/expires\":\"2026-11-26T18:00:00Z\"},\"generation\":3},\"data\":{\"k\":\"gr\\u00fcn\"}}",
    "[{\"image\":\"x:1\",\"ports\":[{\"containerPort\":80}]},null,true,false,-12.5e+7,\"\\\"\\\\\\n\"]",
    "\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\ud83d x \\u0000\"",
    "{\"a\":{\"b\":{\"c\":{\"d\":[[[[[1]]]]]}}},\"a\":2,\"\":{}}",
    "-9223372036854775808",
};

static uint64_t state = 88172645463325252u;

static uint64_t chance(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % below;
}

static char chosen(void) {
  static const char likely[] = "{}[]\",:\\u0e-.tfn \x80\xc3\xff";
  return chance(4) == 0 ? (char)chance(256) : likely[chance(sizeof likely)];
}

static size_t damage(char *text, size_t length, size_t capacity) {
  for (uint64_t times = chance(6); times > 0; times--) {
    size_t at = length == 0 ? 0 : chance(length);
    switch (chance(4)) {
      case 0:
        if (length > 0) text[at] = chosen();
        break;
      case 1:
        if (length == 0) break;
        memmove(text + at, text + at + 1, length - at - 1);
        length--;
        break;
      case 2:
        if (length == capacity) break;
        memmove(text + at + 1, text + at, length - at);
        text[at] = chosen();
        length++;
        break;
      default: length = at; break;
    }
  }
  return length;
}

// Reads every part of a value.
static size_t walk(wl_json value) {
  size_t parts = 1;
  (void)wl_json_string(value);
  (void)wl_json_int(value, 0);
  (void)wl_json_double(value, 0);
  wl_json_walk at = {.of = value};
  while (wl_json_next(&at)) {
    WL_EXPECT(wl_json_type_of(at.value) != WL_JSON_ABSENT);
    WL_EXPECT(at.value.text >= value.text && at.value.text + at.value.length <= value.text + value.length);
    parts += walk(at.value);
  }
  return parts;
}

static void use(wl_json value) {
  WL_EXPECT(wl_json_parse(value.text, value.length).length == value.length);
  walk(value);
  // Members with the same name may keep a value from being like itself.
  (void)wl_json_covers(value, value);
  (void)wl_json_equal(value, value);
  (void)wl_json_at(value, "metadata", "labels", "app");
  (void)wl_json_at(value, "0", "ports", "0");
  WL_EXPECT(wl_json_set(value, wl_json_print("[1]"), "a", "b").text != NULL);
  WL_EXPECT(wl_json_merge(value, value).text != NULL);
  wl_json again = wl_json_print(WL_JSON, WL_JSON_ARG(value));
  WL_EXPECT(again.length == value.length && memcmp(again.text, value.text, value.length) == 0);
  const char *text = wl_json_string(value);
  if (text != NULL) WL_EXPECT(wl_json_is(wl_json_print("%s", text), text));
}

static size_t try(const char *text, size_t length) {
  wl_scope scope = wl_scope_begin();
  // Of just this size, so that reading past the end is seen.
  char *exact = malloc(length == 0 ? 1 : length);
  memcpy(exact, text, length);
  wl_json value = wl_json_parse(exact, length);
  if (value.text != NULL) use(value);
  free(exact);
  wl_scope_end(scope);
  return value.text != NULL;
}

static void damaged_text_does_no_harm(void) {
  char text[1024];
  size_t valid = 0;
  for (size_t round = 0; round < ROUNDS; round++) {
    const char *seed = seeds[round % (sizeof seeds / sizeof *seeds)];
    size_t length = strlen(seed);
    memcpy(text, seed, length);
    valid += try(text, damage(text, length, sizeof text));
  }
  WL_EXPECT(valid > ROUNDS / 20 && valid < ROUNDS / 2);
}

static void no_beginning_of_a_text_is_read_past_its_end(void) {
  for (size_t seed = 0; seed < sizeof seeds / sizeof *seeds; seed++) {
    for (size_t length = 0; length <= strlen(seeds[seed]); length++) try(seeds[seed], length);
  }
}

int main(void) {
  wl_scope scope = wl_scope_begin();
  WL_RUN(no_beginning_of_a_text_is_read_past_its_end);
  WL_RUN(damaged_text_does_no_harm);
  wl_scope_end(scope);
  return 0;
}
