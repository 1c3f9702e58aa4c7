// Reading, comparing, writing and editing JSON.

#include <stdlib.h>
#include <string.h>

#include "windlass/testing.h"

// From memory of just this size, so that reading past the end is seen.
static bool parses(const char *text, size_t length) {
  char *exact = malloc(length == 0 ? 1 : length);
  memcpy(exact, text, length);
  bool is_valid = wl_json_parse(exact, length).text != NULL;
  free(exact);
  return is_valid;
}

static void only_what_the_rfc_allows_parses(void) {
  static const char *const valid[] = {
      "{}", "[]", " null ", "true", "false", "0", "-0", "10.5e+3", "1E-2", "\"\"", "[1,2 , 3]",
      "{\"a\":{\"b\":[{},[],null]}}", "\"\\u00e4\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"gr\xc3\xbcn \xf0\x9f\x98\x80\"",
      "\"\x7f\"", "\r\n\t [ ]",
  };
  static const char *const invalid[] = {
      "", " ", "{", "}", "[", "]", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "01", "-",
      "+1", "1.", ".5", "1e", "1e+", "0x1", "nul", "tru", "truefalse", "\"", "\"\\", "\"\\x\"", "\"\\u12\"",
      "\"\\u12g4\"", "\"\n\"", "\"\x01\"", "\"\xc3\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
      "\"\xf4\x90\x80\x80\"", "[1 2]", "{\"a\" 1}", "1 2", "[}", "{]", "NaN", "Infinity", "'a'", "[1]x", "\xef\xbb\xbf{}",
  };
  for (size_t at = 0; at < sizeof valid / sizeof *valid; at++) WL_EXPECT(parses(valid[at], strlen(valid[at])));
  for (size_t at = 0; at < sizeof invalid / sizeof *invalid; at++) {
    if (parses(invalid[at], strlen(invalid[at]))) WL_EXPECT_TEXT(invalid[at], "something that does not parse");
  }
  WL_EXPECT(!parses("\0", 1));
  WL_EXPECT(!parses("[1]\0", 4));
  WL_EXPECT(wl_json_parse(NULL, 0).text == NULL);
}

static void nesting_has_an_end(void) {
  char text[2 * 100000];
  for (size_t depth = 1; depth < 100000; depth = depth * 3 / 2 + 1) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    WL_EXPECT(parses(text, 2 * depth) == (depth < WL_JSON_DEPTH + 1));
    WL_EXPECT(!parses(text, 2 * depth - 1));
  }
}

static void a_path_leads_to_a_value_or_to_nothing(void) {
  wl_json pod = wl_json_print(
      "{'metadata': {'annotations': {'a.b/c': 'dotted'}}, 'n\\u0061me': 'escaped',"
      " 'spec': {'containers': [{'image': 'one'}, {'image': 'two', 'n': -7}]}, 'twice': 1, 'twice': 2}");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(pod, "metadata", "annotations", "a.b/c")), "dotted");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(pod, "spec", "containers", "1", "image")), "two");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(pod, "name")), "escaped");
  WL_EXPECT(wl_json_int(wl_json_at(pod, "spec", "containers", "1", "n"), 0) == -7);
  WL_EXPECT(wl_json_int(wl_json_at(pod, "twice"), 0) == 1);
  WL_EXPECT(wl_json_at(pod, "spec", "containers", "2").text == NULL);
  WL_EXPECT(wl_json_at(pod, "spec", "containers", "-1").text == NULL);
  WL_EXPECT(wl_json_at(pod, "spec", "containers", "1x").text == NULL);
  WL_EXPECT(wl_json_at(pod, "spec", "containers", "").text == NULL);
  WL_EXPECT(wl_json_at(pod, "name", "further").text == NULL);
  WL_EXPECT(wl_json_at(pod, "nothing", "further").text == NULL);
  WL_EXPECT(wl_json_count(wl_json_at(pod, "spec", "containers")) == 2);
}

static void strings_lose_their_escapes(void) {
  wl_json list = wl_json_print(
      "['\\\"\\\\\\/\\b\\f\\n\\r\\t', '\\u0067r\\u00FCn', '\\ud83d\\ude00', '\\ud83d', '\\ude00x', '\\ud83d\\u0041',"
      " 'a\\u0000b', 5]");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "0")), "\"\\/\b\f\n\r\t");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "1")), "gr\xc3\xbcn");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "2")), "\xf0\x9f\x98\x80");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "3")), "\xef\xbf\xbd");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "4")), "\xef\xbf\xbdx");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "5")), "\xef\xbf\xbd\x41");
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "6")), NULL);
  WL_EXPECT(!wl_json_is(wl_json_at(list, "6"), "a"));
  WL_EXPECT_TEXT(wl_json_string(wl_json_at(list, "7")), NULL);
  WL_EXPECT_TEXT(wl_json_text(wl_json_at(list, "8")), "");
}

static void numbers_that_do_not_fit_are_not_taken(void) {
  wl_json list = wl_json_print("[9223372036854775807, -9223372036854775808, 9223372036854775808, 1.5, 1e400, '7',"
                               " 100000000000000000000000000000000]");
  WL_EXPECT(wl_json_int(wl_json_at(list, "0"), 0) == INT64_MAX);
  WL_EXPECT(wl_json_int(wl_json_at(list, "1"), 0) == INT64_MIN);
  for (int at = 2; at < 7; at++) WL_EXPECT(wl_json_int(wl_json_at(list, wl_print("%d", at)), 42) == 42);
  WL_EXPECT(wl_json_double(wl_json_at(list, "3"), 0) == 1.5);
  WL_EXPECT(wl_json_double(wl_json_at(list, "4"), 42) == 42);
  WL_EXPECT(wl_json_double(wl_json_at(list, "5"), 42) == 42);
}

static void what_is_the_same_is_equal(void) {
  wl_json one = wl_json_print("{'a': 1, 'b': ['x', null, true]}");
  WL_EXPECT(wl_json_equal(one, wl_json_print("{ 'b':['\\u0078',null,true], 'a': 1.0 }")));
  WL_EXPECT(!wl_json_equal(one, wl_json_print("{'a': 1, 'b': ['x', null]}")));
  WL_EXPECT(!wl_json_equal(one, wl_json_print("{'a': 1}")));
  WL_EXPECT(!wl_json_equal(one, wl_json_print("{'a': 1, 'b': ['x', null, false]}")));
  WL_EXPECT(!wl_json_equal(one, (wl_json){0}));
  WL_EXPECT(wl_json_equal((wl_json){0}, (wl_json){0}));
}

static void what_has_more_covers(void) {
  wl_json present = wl_json_print("{'a': [{'x': 1, 'default': 2}], 'b': 'text', 'c': null}");
  WL_EXPECT(wl_json_covers(present, wl_json_print("{'a': [{'x': 1}]}")));
  WL_EXPECT(!wl_json_covers(present, wl_json_print("{'a': []}")));
  WL_EXPECT(!wl_json_covers(present, wl_json_print("{'a': [{'x': 1}, {}]}")));
  WL_EXPECT(!wl_json_covers(present, wl_json_print("{'a': [{'x': 2}]}")));
  WL_EXPECT(!wl_json_covers(present, wl_json_print("{'d': null}")));
  WL_EXPECT(!wl_json_covers(present, wl_json_print("{'b': 1}")));
}

// Compilers warn of a NULL that they see.
static const char *volatile nothing;

static void templates_write_what_they_say(void) {
  wl_json value = wl_json_print("{'s': %s, 'none': %s, 'd': %d, 'u': %u, 'l': %ld, 'll': %lld, 'j': " WL_JSON "}",
                                "\"quoted\" 'single'\n\x01\xff gr\xc3\xbcn", nothing, -1, 2u, -3L, 4LL,
                                WL_JSON_ARG(wl_json_print("[1]")));
  WL_EXPECT(value.text != NULL);
  WL_EXPECT_TEXT(wl_copy(value.text, value.length),
                 "{\"s\": \"\\\"quoted\\\" 'single'\\n\\u0001\xef\xbf\xbd gr\xc3\xbcn\", \"none\": null, \"d\": -1, "
                 "\"u\": 2, \"l\": -3, \"ll\": 4, \"j\": [1]}");
  WL_EXPECT(wl_json_print("{'a': " WL_JSON "}", WL_JSON_ARG((wl_json){.text = nothing})).length ==
            strlen("{\"a\": null}"));
  WL_EXPECT(wl_json_print("{'a': }").text == NULL);
  WL_EXPECT(wl_json_print("%x", 5u).text == NULL);
}

static void pieces_make_a_whole(void) {
  wl_json_writer writer = {0};
  wl_json_open(&writer, '{');
  wl_json_name(&writer, "list");
  wl_json_open(&writer, '[');
  for (int at = 0; at < 3; at++) wl_json_put_int(&writer, at);
  wl_json_put_string(&writer, "ends with [");
  wl_json_put_bool(&writer, true);
  wl_json_open(&writer, '{');
  wl_json_close(&writer, '}');
  wl_json_close(&writer, ']');
  wl_json_name(&writer, "none");
  wl_json_put(&writer, (wl_json){0});
  wl_json_close(&writer, '}');
  wl_json value = wl_json_finish(&writer);
  WL_EXPECT(value.text != NULL);
  WL_EXPECT_TEXT(wl_copy(value.text, value.length), "{\"list\":[0,1,2,\"ends with [\",true,{}],\"none\":null}");
  wl_json_writer half = {0};
  wl_json_open(&half, '{');
  WL_EXPECT(wl_json_finish(&half).text == NULL);
}

static void editing_leaves_the_rest(void) {
  wl_json object = wl_json_print("{'a': {'b': 1, 'c': 2}, 'keep': '\\u0061'}");
  wl_json five = wl_json_print("5");
  WL_EXPECT_JSON(wl_json_set(object, five, "a", "b"), "{'a': {'b': 5, 'c': 2}, 'keep': 'a'}");
  WL_EXPECT_JSON(wl_json_set(object, five, "new", "deep"), "{'a': {'b': 1, 'c': 2}, 'keep': 'a', 'new': {'deep': 5}}");
  WL_EXPECT_JSON(wl_json_set(object, (wl_json){0}, "a", "b"), "{'a': {'c': 2}, 'keep': 'a'}");
  WL_EXPECT_JSON(wl_json_set(object, (wl_json){0}, "x", "y"), "{'a': {'b': 1, 'c': 2}, 'keep': 'a'}");
  WL_EXPECT_JSON(wl_json_set((wl_json){0}, five, "a"), "{'a': 5}");
  WL_EXPECT_JSON(wl_json_set(wl_json_print("[{'x': 1}, 2]"), five, "0", "x"), "[{'x': 5}, 2]");
  WL_EXPECT_JSON(wl_json_set(wl_json_print("{'a': 1, 'a': 2}"), five, "a"), "{'a': 5}");
}

static void merge_patches_are_those_of_the_rfc(void) {
  // The cases of RFC 7386, appendix A.
  static const char *const cases[][3] = {
      {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
      {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
      {"{'a':'b'}", "{'a':null}", "{}"},
      {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
      {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
      {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
      {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
      {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
      {"['a','b']", "['c','d']", "['c','d']"},
      {"{'a':'b'}", "['c']", "['c']"},
      {"{'a':'foo'}", "null", "null"},
      {"{'a':'foo'}", "'bar'", "'bar'"},
      {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
      {"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
      {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
  };
  for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    wl_json merged = wl_json_merge(wl_json_print(cases[at][0]), wl_json_print(cases[at][1]));
    wl_test_expect_json(merged, wl_json_print(cases[at][2]), __FILE__, __LINE__);
#pragma GCC diagnostic pop
  }
}

int main(void) {
  wl_scope scope = wl_scope_begin();
  WL_RUN(only_what_the_rfc_allows_parses);
  WL_RUN(nesting_has_an_end);
  WL_RUN(a_path_leads_to_a_value_or_to_nothing);
  WL_RUN(strings_lose_their_escapes);
  WL_RUN(numbers_that_do_not_fit_are_not_taken);
  WL_RUN(what_is_the_same_is_equal);
  WL_RUN(what_has_more_covers);
  WL_RUN(templates_write_what_they_say);
  WL_RUN(pieces_make_a_whole);
  WL_RUN(editing_leaves_the_rest);
  WL_RUN(merge_patches_are_those_of_the_rfc);
  wl_scope_end(scope);
  return 0;
}
