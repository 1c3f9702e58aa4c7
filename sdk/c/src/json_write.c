// Writing JSON, by pieces or by a template, and editing what was read.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "utf8.h"
#include "windlass/json.h"

static const wl_json absent = {0};

// === Pieces ===

static void put_bytes(wl_json_writer *writer, const char *bytes, size_t length) {
  if (writer->capacity - writer->length < length) {
    size_t capacity = writer->capacity * 2 + length + 120;
    writer->bytes = wl_arena_grow(writer->bytes, writer->length, capacity);
    writer->capacity = capacity;
  }
  if (length > 0) memcpy(writer->bytes + writer->length, bytes, length);
  writer->length += length;
}

static void put_byte(wl_json_writer *writer, char byte) { put_bytes(writer, &byte, 1); }

// The comma in front of an item or a member that is not the first.
static void separate(wl_json_writer *writer) {
  if (writer->length > 0 && strchr("{[,:", writer->bytes[writer->length - 1]) == NULL) put_byte(writer, ',');
}

// The escape of an ASCII character that has to have one.
static void put_escape(wl_json_writer *writer, char byte) {
  static const char values[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
  const char *value = strchr(values, byte);
  char escape[7];
  int length = value != NULL ? snprintf(escape, sizeof escape, "\\%c", names[value - values])
                             : snprintf(escape, sizeof escape, "\\u%04x", (unsigned)byte);
  put_bytes(writer, escape, (size_t)length);
}

static void put_quoted(wl_json_writer *writer, const char *text) {
  const char *end = text + strlen(text);
  put_byte(writer, '"');
  while (text < end) {
    const char *plain = text;
    while (text < end && (unsigned char)*text >= 0x20 && (unsigned char)*text < 0x80 && *text != '"' && *text != '\\') {
      text++;
    }
    put_bytes(writer, plain, (size_t)(text - plain));
    if (text == end) break;
    size_t length = wl_utf8_length(text, end);
    if (length == 0) {
      put_bytes(writer, "\xEF\xBF\xBD", 3);
    } else if (length == 1) {
      put_escape(writer, *text);
    } else {
      put_bytes(writer, text, length);
    }
    text += length == 0 ? 1 : length;
  }
  put_byte(writer, '"');
}

void wl_json_open(wl_json_writer *writer, char bracket) {
  separate(writer);
  put_byte(writer, bracket);
}

void wl_json_close(wl_json_writer *writer, char bracket) { put_byte(writer, bracket); }

void wl_json_name(wl_json_writer *writer, const char *name) {
  wl_json_put_string(writer, name);
  put_byte(writer, ':');
}

void wl_json_put_string(wl_json_writer *writer, const char *text) {
  separate(writer);
  if (text == NULL) {
    put_bytes(writer, "null", 4);
  } else {
    put_quoted(writer, text);
  }
}

void wl_json_put_int(wl_json_writer *writer, int64_t number) {
  char digits[24];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)number);
  separate(writer);
  put_bytes(writer, digits, (size_t)length);
}

void wl_json_put_bool(wl_json_writer *writer, bool boolean) {
  separate(writer);
  put_bytes(writer, boolean ? "true" : "false", boolean ? 4 : 5);
}

void wl_json_put(wl_json_writer *writer, wl_json value) {
  separate(writer);
  if (value.text == NULL) {
    put_bytes(writer, "null", 4);
  } else {
    put_bytes(writer, value.text, value.length);
  }
}

wl_json wl_json_finish(wl_json_writer *writer) { return wl_json_parse(writer->bytes, writer->length); }

// === Templates ===

// A number's conversion, such as `lld`: its text, and what follows it in the format. NULL if
// it is not one of a template's.
static const char *put_number(wl_json_writer *writer, const char *conversion, va_list *arguments) {
  int longs = 0;
  while (conversion[longs] == 'l') longs++;
  char kind = conversion[longs];
  if (longs > 2 || (kind != 'd' && kind != 'u')) return NULL;
  char digits[24];
  int length;
  if (kind == 'd') {
    long long number = longs == 0   ? va_arg(*arguments, int)
                       : longs == 1 ? va_arg(*arguments, long)
                                    : va_arg(*arguments, long long);
    length = snprintf(digits, sizeof digits, "%lld", number);
  } else {
    unsigned long long number = longs == 0   ? va_arg(*arguments, unsigned)
                                : longs == 1 ? va_arg(*arguments, unsigned long)
                                             : va_arg(*arguments, unsigned long long);
    length = snprintf(digits, sizeof digits, "%llu", number);
  }
  put_bytes(writer, digits, (size_t)length);
  return conversion + longs + 1;
}

static void put_text_argument(wl_json_writer *writer, const char *text) {
  if (text == NULL) {
    put_bytes(writer, "null", 4);
  } else {
    put_quoted(writer, text);
  }
}

// What a conversion stands for; returns what follows it, or NULL.
static const char *put_argument(wl_json_writer *writer, const char *conversion, va_list *arguments) {
  if (*conversion == 's') {
    put_text_argument(writer, va_arg(*arguments, const char *));
    return conversion + 1;
  }
  if (strncmp(conversion, ".*s", 3) == 0) {
    int length = va_arg(*arguments, int);
    const char *text = va_arg(*arguments, const char *);
    if (text == NULL) {
      put_bytes(writer, "null", 4);
    } else {
      put_bytes(writer, text, length < 0 ? 0 : (size_t)length);
    }
    return conversion + 3;
  }
  return put_number(writer, conversion, arguments);
}

wl_json wl_json_vprint(const char *format, va_list arguments) {
  va_list rest;
  va_copy(rest, arguments);
  wl_json_writer writer = {0};
  while (format != NULL && *format != 0) {
    if (*format == '%') {
      format = put_argument(&writer, format + 1, &rest);
    } else if (*format == '\'') {
      put_byte(&writer, '"');
      format++;
    } else {
      size_t plain = strcspn(format, "%'");
      put_bytes(&writer, format, plain);
      format += plain;
    }
  }
  va_end(rest);
  return format == NULL ? absent : wl_json_finish(&writer);
}

wl_json wl_json_print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  wl_json value = wl_json_vprint(format, arguments);
  va_end(arguments);
  return value;
}

// === Editing ===

static void put_member(wl_json_writer *writer, wl_json name, wl_json value) {
  wl_json_put(writer, name);
  put_byte(writer, ':');
  wl_json_put(writer, value);
}

// An array with another item at a position; a position that is not there changes nothing.
static wl_json set_item(wl_json array, const char *const *path, wl_json item) {
  wl_json present = wl_json_at(array, path[0]);
  wl_json_writer writer = {0};
  wl_json_open(&writer, '[');
  wl_json_walk walk = {.of = array};
  while (wl_json_next(&walk)) {
    bool is_it = walk.value.text == present.text;
    wl_json value = is_it ? wl_json_set_path(walk.value, path + 1, item) : walk.value;
    if (value.text != NULL) wl_json_put(&writer, value);
  }
  wl_json_close(&writer, ']');
  return wl_json_finish(&writer);
}

static wl_json set_member(wl_json object, const char *const *path, wl_json member) {
  wl_json_writer writer = {0};
  wl_json_open(&writer, '{');
  bool is_there = false;
  wl_json_walk walk = {.of = object};
  while (wl_json_next(&walk)) {
    bool is_it = wl_json_is(walk.name, path[0]);
    if (is_it && is_there) continue;
    is_there |= is_it;
    wl_json value = is_it ? wl_json_set_path(walk.value, path + 1, member) : walk.value;
    if (value.text != NULL) put_member(&writer, walk.name, value);
  }
  if (!is_there && member.text != NULL) {
    wl_json_name(&writer, path[0]);
    wl_json_put(&writer, wl_json_set_path(absent, path + 1, member));
  }
  wl_json_close(&writer, '}');
  return wl_json_finish(&writer);
}

wl_json wl_json_set_path(wl_json value, const char *const *path, wl_json member) {
  if (path[0] == NULL) return member;
  return wl_json_type_of(value) == WL_JSON_ARRAY ? set_item(value, path, member) : set_member(value, path, member);
}

wl_json wl_json_merge(wl_json value, wl_json patch) {
  if (wl_json_type_of(patch) != WL_JSON_OBJECT) return patch;
  wl_json_writer writer = {0};
  wl_json_open(&writer, '{');
  bool is_object = wl_json_type_of(value) == WL_JSON_OBJECT;
  wl_json_walk old = {.of = is_object ? value : absent};
  while (wl_json_next(&old)) {
    if (wl_json_counterpart(patch, old.name).text == NULL) put_member(&writer, old.name, old.value);
  }
  wl_json_walk change = {.of = patch};
  while (wl_json_next(&change)) {
    if (wl_json_type_of(change.value) == WL_JSON_NULL) continue;
    wl_json present = is_object ? wl_json_counterpart(value, change.name) : absent;
    wl_json merged = wl_json_merge(present, change.value);
    put_member(&writer, change.name, merged);
  }
  wl_json_close(&writer, '}');
  return wl_json_finish(&writer);
}
