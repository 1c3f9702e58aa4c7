// Between the SDK's types and those of the generated bindings.

#ifndef WINDLASS_CONVERT_H
#define WINDLASS_CONVERT_H

#include <stdlib.h>
#include <string.h>

#include "../arena.h"
#include "windlass.h"
#include "windlass/client.h"
#include "windlass/memory.h"

// What is passed to the host stays the guest's, and is not changed.
static inline windlass_string_t wl_lend(const char *text) {
  return (windlass_string_t){.ptr = (uint8_t *)text, .len = text == NULL ? 0 : strlen(text)};
}

static inline windlass_controller_types_json_t wl_lend_json(wl_json value) {
  return (windlass_controller_types_json_t){.ptr = (uint8_t *)value.text, .len = value.length};
}

static inline windlass_controller_types_object_key_t wl_lend_key(wl_key key) {
  return (windlass_controller_types_object_key_t){.namespace_ = wl_lend(key.namespace), .name = wl_lend(key.name)};
}

static inline windlass_controller_types_api_resource_t wl_lend_resource(const wl_resource *resource) {
  return (windlass_controller_types_api_resource_t){
      .group = wl_lend(resource->group), .version = wl_lend(resource->version), .plural = wl_lend(resource->plural)};
}

// What comes from the host is the guest's: a string becomes one of the arena, bytes stay
// where they are and go with it.
static inline const char *wl_take(windlass_string_t text) {
  const char *copy = wl_copy((const char *)text.ptr, text.len);
  if (text.len > 0) free(text.ptr);
  return copy;
}

static inline wl_json wl_take_json(windlass_controller_types_json_t json) {
  if (json.len > 0) wl_arena_adopt(json.ptr);
  return wl_json_parse((const char *)json.ptr, json.len);
}

static inline wl_key wl_take_key(windlass_controller_types_object_key_t key) {
  return (wl_key){.namespace = wl_take(key.namespace_), .name = wl_take(key.name)};
}

// What a guest returns, the bindings free: it comes from malloc.
static inline windlass_string_t wl_give(const char *text) {
  windlass_string_t copy;
  windlass_string_dup(&copy, text == NULL ? "" : text);
  return copy;
}

#endif
