/// @file
/// JSON: reading, comparing, editing and writing.
///
/// A value is a view of text that was checked once; looking something up walks that text,
/// no tree is ever built. Every function takes absent values and those of another type than
/// it is about, and answers as for nothing, so that lookups need no checks in between.

#ifndef WINDLASS_JSON_H
#define WINDLASS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A JSON value; absent if `text` is NULL. The text is not ended by a zero.
typedef struct wl_json {
  /// Where it begins, without white space in front.
  const char *text;
  /// Its length in bytes.
  size_t length;
} wl_json;

/// What a value is.
typedef enum wl_json_type {
  /// There is no value.
  WL_JSON_ABSENT,
  /// `null`.
  WL_JSON_NULL,
  /// `true` or `false`.
  WL_JSON_BOOL,
  /// A number.
  WL_JSON_NUMBER,
  /// A string.
  WL_JSON_STRING,
  /// An array.
  WL_JSON_ARRAY,
  /// An object.
  WL_JSON_OBJECT,
} wl_json_type;

/// How deep values may be nested. Deeper text does not parse.
#define WL_JSON_DEPTH 256

// === Reading ===

/// Checks text as RFC 8259 has it, UTF-8 included, and returns its value; absent if it is
/// malformed. The text has to outlast the value.
wl_json wl_json_parse(const char *text, size_t length);

/// What a value is, by its first byte.
wl_json_type wl_json_type_of(wl_json value);

/// Whether there is a value other than null.
bool wl_json_is_set(wl_json value);

/// The value under a path of member names, ended by NULL. In an array a step is a position
/// in digits. Of members with the same name the first counts.
wl_json wl_json_path(wl_json value, const char *const *path);

/// The same with the steps as arguments: `wl_json_at(pod, "spec", "containers", "0", "image")`.
#define wl_json_at(value, ...) wl_json_path((value), (const char *const[]){__VA_ARGS__, NULL})

/// A string without its escapes. NULL if the value is none, or has U+0000 in it, which a C
/// string cannot hold. A lone surrogate reads as U+FFFD.
const char *wl_json_string(wl_json value);

/// The same, or "" where wl_json_string() has NULL.
const char *wl_json_text(wl_json value);

/// Whether the value is this string.
bool wl_json_is(wl_json value, const char *text);

/// A whole number, or `otherwise` if the value is none or does not fit.
int64_t wl_json_int(wl_json value, int64_t otherwise);

/// A number, or `otherwise`.
double wl_json_double(wl_json value, double otherwise);

/// A boolean, or `otherwise`.
bool wl_json_bool(wl_json value, bool otherwise);

/// How many items an array, or members an object, has.
size_t wl_json_count(wl_json value);

/// Where a walk over an array or an object is. Starts as `{.of = value}`.
typedef struct wl_json_walk {
  /// What is walked over.
  wl_json of;
  /// The present item, or the value of the present member.
  wl_json value;
  /// The present member's name, a JSON string; absent in an array.
  wl_json name;
  /// Where the rest begins; for wl_json_next() alone.
  const char *next;
} wl_json_walk;

/// Moves to the first or next item; false after the last.
bool wl_json_next(wl_json_walk *walk);

// === Comparing ===

/// Whether two values are the same: members in any order, strings without their escapes,
/// numbers by what they stand for.
bool wl_json_equal(wl_json one, wl_json other);

/// Whether all that is in `wanted` is in `present`. More members do not matter; arrays have
/// as many items, each covering its like. How a controller sees whether the fields that it
/// sets are as they should be without a word about those that it does not.
bool wl_json_covers(wl_json present, wl_json wanted);

// === Writing ===

/// JSON by a template, in which ' stands for a quotation mark:
///
///     wl_json_print("{'metadata': {'name': %s, 'labels': " WL_JSON "}}", name, WL_JSON_ARG(labels))
///
/// A template takes
///
///     %s                           a C string, written with quotation marks and escapes, or null for NULL
///     %d, %u, %ld, %lu, %lld, %llu a number
///     WL_JSON                      a value, or null for an absent one
///
/// Bytes that are no UTF-8 become U+FFFD. Absent if the result is malformed.
wl_json wl_json_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A value in a template; its argument is WL_JSON_ARG().
#define WL_JSON "%.*s"
/// The argument of a #WL_JSON.
#define WL_JSON_ARG(value) (int)(value).length, (value).text

/// JSON written piece by piece. Starts as `{0}`; commas and colons come by themselves. Its
/// members are for the functions below alone.
typedef struct wl_json_writer {
  /// What was written so far.
  char *bytes;
  /// How much that is, in bytes.
  size_t length;
  /// How much there is room for, in bytes.
  size_t capacity;
} wl_json_writer;

/// Begins an object by `{` or an array by `[`.
void wl_json_open(wl_json_writer *writer, char bracket);
/// Ends it by `}` or `]`.
void wl_json_close(wl_json_writer *writer, char bracket);
/// A member's name, before its value.
void wl_json_name(wl_json_writer *writer, const char *name);
/// A string as a value, with its escapes; null for NULL.
void wl_json_put_string(wl_json_writer *writer, const char *text);
/// A number as a value.
void wl_json_put_int(wl_json_writer *writer, int64_t number);
/// A boolean as a value.
void wl_json_put_bool(wl_json_writer *writer, bool boolean);
/// Any value, as it is written; null for an absent one.
void wl_json_put(wl_json_writer *writer, wl_json value);
/// What was written; absent if it is malformed.
wl_json wl_json_finish(wl_json_writer *writer);

// === Editing ===

/// The value with another one at a path, on the way to which objects are made where they are
/// missing; an absent one takes the member away. Everything else stays as it is written.
wl_json wl_json_set_path(wl_json value, const char *const *path, wl_json member);

/// The same with the steps as arguments: `wl_json_set(pod, name, "metadata", "name")`.
#define wl_json_set(value, member, ...) \
  wl_json_set_path((value), (const char *const[]){__VA_ARGS__, NULL}, (member))

/// The value after a merge patch (RFC 7386).
wl_json wl_json_merge(wl_json value, wl_json patch);

#endif
