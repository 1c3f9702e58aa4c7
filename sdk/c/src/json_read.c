// Reading JSON: one pass that checks, and walks over text that has been checked.

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "utf8.h"
#include "windlass/json.h"
#include "windlass/memory.h"

static const wl_json absent = {0};

// === Checking ===

// Each function takes what is to be read next and returns what follows, or NULL.

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static int hex(char byte) {
  if (is_digit(byte)) return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

// The code unit of four digits; -1 if they are none.
static int32_t hex4(const char *at, const char *end) {
  if (end - at < 4) return -1;
  int32_t unit = 0;
  for (int place = 0; place < 4; place++) {
    int digit = hex(at[place]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

static const char *check_escape(const char *at, const char *end) {
  if (at == end) return NULL;
  if (*at == 'u') return hex4(at + 1, end) < 0 ? NULL : at + 5;
  return strchr("\"\\/bfnrt", *at) != NULL && *at != 0 ? at + 1 : NULL;
}

static const char *check_string(const char *at, const char *end) {
  if (at == end || *at != '"') return NULL;
  at++;
  while (at != NULL && at < end) {
    unsigned char byte = (unsigned char)*at;
    if (byte == '"') return at + 1;
    if (byte < 0x20) return NULL;
    if (byte == '\\') {
      at = check_escape(at + 1, end);
    } else {
      size_t length = wl_utf8_length(at, end);
      if (length == 0) return NULL;
      at += length;
    }
  }
  return NULL;
}

static const char *check_digits(const char *at, const char *end) {
  if (at == end || !is_digit(*at)) return NULL;
  while (at < end && is_digit(*at)) at++;
  return at;
}

static const char *check_number(const char *at, const char *end) {
  if (at < end && *at == '-') at++;
  bool is_zero = at < end && *at == '0';
  at = is_zero ? at + 1 : check_digits(at, end);
  if (at != NULL && at < end && *at == '.') at = check_digits(at + 1, end);
  if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    at = check_digits(at, end);
  }
  return at;
}

static const char *check_word(const char *at, const char *end, const char *word) {
  size_t length = strlen(word);
  return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static const char *check_value(const char *at, const char *end, int depth);

static const char *check_member(const char *at, const char *end, int depth) {
  at = check_string(at, end);
  if (at == NULL) return NULL;
  at = skip_space(at, end);
  if (at == end || *at != ':') return NULL;
  return check_value(skip_space(at + 1, end), end, depth);
}

static const char *check_items(const char *at, const char *end, int depth) {
  char close = *at == '{' ? '}' : ']';
  at = skip_space(at + 1, end);
  if (at < end && *at == close) return at + 1;
  while (at != NULL && at < end) {
    at = close == '}' ? check_member(at, end, depth - 1) : check_value(at, end, depth - 1);
    if (at == NULL) return NULL;
    at = skip_space(at, end);
    if (at == end) return NULL;
    if (*at == close) return at + 1;
    if (*at != ',') return NULL;
    at = skip_space(at + 1, end);
  }
  return NULL;
}

static const char *check_value(const char *at, const char *end, int depth) {
  if (at == end || depth == 0) return NULL;
  switch (*at) {
    case '{':
    case '[': return check_items(at, end, depth);
    case '"': return check_string(at, end);
    case 't': return check_word(at, end, "true");
    case 'f': return check_word(at, end, "false");
    case 'n': return check_word(at, end, "null");
    default: return check_number(at, end);
  }
}

wl_json wl_json_parse(const char *text, size_t length) {
  if (text == NULL) return absent;
  const char *end = text + length;
  const char *start = skip_space(text, end);
  const char *after = check_value(start, end, WL_JSON_DEPTH);
  if (after == NULL || skip_space(after, end) != end) return absent;
  return (wl_json){.text = start, .length = (size_t)(after - start)};
}

// === Walking ===

static const char *skip_string(const char *at, const char *end) {
  for (at++; at < end && *at != '"'; at++) {
    if (*at == '\\') at++;
  }
  return at < end ? at + 1 : end;
}

// What follows a checked value: its brackets are balanced.
static const char *skip_value(const char *at, const char *end) {
  size_t depth = 0;
  while (at < end) {
    char byte = *at;
    if (byte == '"') {
      at = skip_string(at, end);
    } else if (byte == '{' || byte == '[') {
      depth++;
      at++;
    } else if (byte == '}' || byte == ']') {
      if (depth == 0) return at;
      depth--;
      at++;
    } else if (depth == 0 && strchr(",: \t\r\n", byte) != NULL && byte != 0) {
      return at;
    } else {
      at++;
      continue;
    }
    if (depth == 0) return at;
  }
  return end;
}

wl_json_type wl_json_type_of(wl_json value) {
  if (value.text == NULL || value.length == 0) return WL_JSON_ABSENT;
  switch (*value.text) {
    case '{': return WL_JSON_OBJECT;
    case '[': return WL_JSON_ARRAY;
    case '"': return WL_JSON_STRING;
    case 't':
    case 'f': return WL_JSON_BOOL;
    case 'n': return WL_JSON_NULL;
    default: return WL_JSON_NUMBER;
  }
}

bool wl_json_is_set(wl_json value) { return wl_json_type_of(value) > WL_JSON_NULL; }

static wl_json take(const char **at, const char *end) {
  const char *start = *at;
  *at = skip_value(start, end);
  return (wl_json){.text = start, .length = (size_t)(*at - start)};
}

bool wl_json_next(wl_json_walk *walk) {
  wl_json_type type = wl_json_type_of(walk->of);
  if (type < WL_JSON_ARRAY) return false;
  const char *end = walk->of.text + walk->of.length;
  const char *at = skip_space(walk->next == NULL ? walk->of.text + 1 : walk->next, end);
  if (walk->next != NULL && at < end && *at == ',') at = skip_space(at + 1, end);
  walk->next = end;
  if (at >= end - 1) return false;
  if (type == WL_JSON_OBJECT) {
    walk->name = take(&at, end);
    at = skip_space(at, end);
    if (at >= end || *at != ':') return false;
    at = skip_space(at + 1, end);
  }
  walk->value = take(&at, end);
  walk->next = at;
  return true;
}

size_t wl_json_count(wl_json value) {
  wl_json_walk walk = {.of = value};
  size_t count = 0;
  while (wl_json_next(&walk)) count++;
  return count;
}

static wl_json item(wl_json array, const char *step) {
  char *rest;
  unsigned long position = is_digit(*step) ? strtoul(step, &rest, 10) : 0;
  if (!is_digit(*step) || *rest != 0) return absent;
  wl_json_walk walk = {.of = array};
  while (wl_json_next(&walk)) {
    if (position-- == 0) return walk.value;
  }
  return absent;
}

static wl_json member(wl_json object, const char *name) {
  wl_json_walk walk = {.of = object};
  while (wl_json_next(&walk)) {
    if (wl_json_is(walk.name, name)) return walk.value;
  }
  return absent;
}

wl_json wl_json_path(wl_json value, const char *const *path) {
  for (; *path != NULL && value.text != NULL; path++) {
    value = wl_json_type_of(value) == WL_JSON_ARRAY ? item(value, *path) : member(value, *path);
  }
  return value;
}

// === Strings ===

// The code point of an escape such as \u00e9, of two where they are a surrogate pair. `at` is
// behind the `u`, and afterwards behind the digits.
static uint32_t code_point(const char **at, const char *end) {
  int32_t unit = hex4(*at, end);
  *at += 4;
  bool is_high = unit >= 0xD800 && unit < 0xDC00;
  if (is_high && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
    int32_t low = hex4(*at + 2, end);
    if (low >= 0xDC00 && low < 0xE000) {
      *at += 6;
      return 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    }
  }
  return unit < 0 || (unit >= 0xD800 && unit < 0xE000) ? 0xFFFD : (uint32_t)unit;
}

// Writes what an escape stands for and returns how long that is. `at` is behind the
// backslash.
static size_t unescape(const char **at, const char *end, char *out) {
  static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
  char byte = *(*at)++;
  if (byte == 'u') return wl_utf8_put(code_point(at, end), out);
  const char *name = strchr(names, byte);
  *out = name == NULL || byte == 0 ? byte : values[name - names];
  return 1;
}

// The string's content, which may have zeros in it.
static const char *content(wl_json value, size_t *length) {
  const char *at = value.text + 1, *end = value.text + value.length - 1;
  if (at > end) end = at;
  const char *backslash = memchr(at, '\\', (size_t)(end - at));
  if (backslash == NULL) {
    *length = (size_t)(end - at);
    return at;
  }
  char *text = wl_alloc((size_t)(end - at) + 1), *out = text;
  while (at < end) {
    if (*at != '\\') {
      *out++ = *at++;
    } else {
      at++;
      out += unescape(&at, end, out);
    }
  }
  *length = (size_t)(out - text);
  return text;
}

const char *wl_json_string(wl_json value) {
  if (wl_json_type_of(value) != WL_JSON_STRING) return NULL;
  size_t length;
  const char *text = content(value, &length);
  return memchr(text, 0, length) == NULL ? wl_copy(text, length) : NULL;
}

const char *wl_json_text(wl_json value) {
  const char *text = wl_json_string(value);
  return text == NULL ? "" : text;
}

bool wl_json_is(wl_json value, const char *text) {
  if (wl_json_type_of(value) != WL_JSON_STRING || text == NULL) return false;
  size_t length;
  const char *found = content(value, &length);
  return length == strlen(text) && memcmp(found, text, length) == 0;
}

// === Numbers ===

static bool whole(wl_json value, int64_t *number) {
  char digits[24];
  if (wl_json_type_of(value) != WL_JSON_NUMBER || value.length >= sizeof digits) return false;
  memcpy(digits, value.text, value.length);
  digits[value.length] = 0;
  char *rest;
  errno = 0;
  *number = strtoll(digits, &rest, 10);
  return errno == 0 && *rest == 0;
}

int64_t wl_json_int(wl_json value, int64_t otherwise) {
  int64_t number;
  return whole(value, &number) ? number : otherwise;
}

double wl_json_double(wl_json value, double otherwise) {
  if (wl_json_type_of(value) != WL_JSON_NUMBER) return otherwise;
  double number = strtod(wl_copy(value.text, value.length), NULL);
  return isfinite(number) ? number : otherwise;
}

bool wl_json_bool(wl_json value, bool otherwise) {
  return wl_json_type_of(value) == WL_JSON_BOOL ? *value.text == 't' : otherwise;
}

// === Comparing ===

static bool equal_numbers(wl_json one, wl_json other) {
  int64_t left, right;
  if (whole(one, &left) && whole(other, &right)) return left == right;
  return wl_json_double(one, NAN) == wl_json_double(other, NAN);
}

static bool equal_strings(wl_json one, wl_json other) {
  size_t left, right;
  const char *first = content(one, &left), *second = content(other, &right);
  return left == right && memcmp(first, second, left) == 0;
}

wl_json wl_json_counterpart(wl_json object, wl_json name) {
  wl_json_walk walk = {.of = object};
  while (wl_json_next(&walk)) {
    if (equal_strings(walk.name, name)) return walk.value;
  }
  return absent;
}

static bool covers_members(wl_json present, wl_json wanted) {
  wl_json_walk walk = {.of = wanted};
  while (wl_json_next(&walk)) {
    wl_json found = wl_json_counterpart(present, walk.name);
    if (found.text == NULL || !wl_json_covers(found, walk.value)) return false;
  }
  return true;
}

// Whether two arrays have as many items, each like the other's in its place.
static bool alike_items(wl_json one, wl_json other, bool (*alike)(wl_json, wl_json)) {
  if (wl_json_count(one) != wl_json_count(other)) return false;
  wl_json_walk left = {.of = one}, right = {.of = other};
  while (wl_json_next(&left) && wl_json_next(&right)) {
    if (!alike(left.value, right.value)) return false;
  }
  return true;
}

bool wl_json_covers(wl_json present, wl_json wanted) {
  wl_json_type type = wl_json_type_of(wanted);
  if (wl_json_type_of(present) != type) return false;
  switch (type) {
    case WL_JSON_OBJECT: return covers_members(present, wanted);
    case WL_JSON_ARRAY: return alike_items(present, wanted, wl_json_covers);
    case WL_JSON_STRING: return equal_strings(present, wanted);
    case WL_JSON_NUMBER: return equal_numbers(present, wanted);
    case WL_JSON_BOOL: return *present.text == *wanted.text;
    default: return true;
  }
}

static bool equal_members(wl_json one, wl_json other) {
  if (wl_json_count(one) != wl_json_count(other)) return false;
  wl_json_walk walk = {.of = one};
  while (wl_json_next(&walk)) {
    wl_json found = wl_json_counterpart(other, walk.name);
    if (found.text == NULL || !wl_json_equal(walk.value, found)) return false;
  }
  return true;
}

bool wl_json_equal(wl_json one, wl_json other) {
  wl_json_type type = wl_json_type_of(one);
  if (type != wl_json_type_of(other)) return false;
  if (type == WL_JSON_OBJECT) return equal_members(one, other);
  if (type == WL_JSON_ARRAY) return alike_items(one, other, wl_json_equal);
  return wl_json_covers(one, other);
}
