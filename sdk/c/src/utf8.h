// UTF-8, as far as JSON needs it.

#ifndef WINDLASS_UTF8_H
#define WINDLASS_UTF8_H

#include <stddef.h>
#include <stdint.h>

// How long the well-formed code point at `at` is; 0 if it is none (overlong forms,
// surrogates and what is beyond U+10FFFF included).
static inline size_t wl_utf8_length(const char *at, const char *end) {
  const unsigned char *bytes = (const unsigned char *)at;
  size_t left = (size_t)(end - at);
  if (left == 0) return 0;
  unsigned char first = bytes[0];
  if (first < 0x80) return 1;
  size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || left < length) return 0;
  for (size_t place = 1; place < length; place++) {
    if ((bytes[place] & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && bytes[1] < 0xA0) return 0;
  if (first == 0xED && bytes[1] > 0x9F) return 0;
  if (first == 0xF0 && bytes[1] < 0x90) return 0;
  if (first == 0xF4 && bytes[1] > 0x8F) return 0;
  return length;
}

// Writes a code point, at most four bytes, and returns how many.
static inline size_t wl_utf8_put(uint32_t point, char *out) {
  if (point < 0x80) {
    out[0] = (char)point;
    return 1;
  }
  size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t place = length - 1; place > 0; place--) {
    out[place] = (char)(0x80 | (point & 0x3F));
    point >>= 6;
  }
  out[0] = (char)((0xF00 >> length) | point);
  return length;
}

#endif
