// What the parts of the fake share.

#ifndef WINDLASS_TESTING_STATE_H
#define WINDLASS_TESTING_STATE_H

#include "../host.h"
#include "windlass/testing.h"

// Text that outlasts scopes.
typedef struct wl_lines {
  char *text;
  size_t length;
} wl_lines;

void wl_lines_add(wl_lines *lines, const char *line);
// The lines so far, in the arena, and none from now on.
const char *wl_lines_take(wl_lines *lines);

typedef struct wl_fake {
  const wl_controller *controller;
  const wl_manifest *manifest;
  wl_scope scope;
  bool is_begun;
  uint64_t counter;
  wl_time now;
  wl_lines calls, events, log, queued;
  char *config;
  char *failing_call;
  wl_error_kind failure;
} wl_fake;

extern wl_fake wl_the_fake;

uint64_t wl_fake_number(void);

// A copy from malloc.
char *wl_keep(const char *text, size_t length);

wl_key wl_parse_key(const char *key);

// === Store ===

wl_json wl_store_find(const char *plural, wl_key key);
// Fills in what the server would, and stores.
wl_json wl_store_put(wl_json object);
void wl_store_remove(const char *plural, wl_key key);
// Objects by key, of a namespace or with NULL of all.
wl_objects wl_store_list(const char *plural, const char *namespace);
const char *wl_plural_of(wl_json object);
void wl_store_clear(void);

void wl_metrics_clear(void);

#endif
