// What the SDK's own sources know of the arena and of JSON.

#ifndef WINDLASS_ARENA_H
#define WINDLASS_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "windlass/json.h"

// A larger allocation with the old one's bytes.
void *wl_arena_grow(void *bytes, size_t old, size_t size);

// Frees a buffer from malloc when the present scope ends.
void wl_arena_adopt(void *buffer);

const char *wl_arena_vprint(const char *format, va_list arguments);

wl_json wl_json_vprint(const char *format, va_list arguments);

// The first member whose name is this JSON string, whatever the escapes of either.
wl_json wl_json_counterpart(wl_json object, wl_json name);

#endif
