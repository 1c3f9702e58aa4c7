// The arena: a stack of chunks, and a list of buffers that others allocated.

#include "windlass/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

// Tests that look for bytes out of place give each allocation a chunk of its own.
#ifndef WL_CHUNK_SIZE
#define WL_CHUNK_SIZE 32768
#endif

#define ALIGNMENT _Alignof(max_align_t)

typedef struct chunk {
  struct chunk *below;
  size_t size;
  size_t used;
  max_align_t data[];
} chunk;

typedef struct adopted {
  struct adopted *before;
  void *buffer;
} adopted;

static chunk *top;
static adopted *last_adopted;
static size_t held;

static chunk *push(size_t size) {
  if (size < WL_CHUNK_SIZE) size = WL_CHUNK_SIZE;
  chunk *fresh = malloc(sizeof *fresh + size);
  if (fresh == NULL) abort();
  *fresh = (chunk){.below = top, .size = size};
  held += size;
  top = fresh;
  return fresh;
}

static void pop(void) {
  chunk *gone = top;
  top = gone->below;
  held -= gone->size;
  free(gone);
}

void *wl_alloc(size_t size) {
  if (size > SIZE_MAX / 2) abort();
  size_t rounded = size + (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
  // Nothing has an address of its own, too.
  if (rounded == 0) rounded = ALIGNMENT;
  chunk *from = top;
  if (from == NULL || from->size - from->used < rounded) from = push(WL_CHUNK_SIZE > 1 ? rounded : size + !size);
  char *bytes = (char *)from->data + from->used;
  from->used = from->size - from->used < rounded ? from->size : from->used + rounded;
  return memset(bytes, 0, size);
}

void *wl_arena_grow(void *bytes, size_t old, size_t size) {
  void *larger = wl_alloc(size);
  if (old > 0) memcpy(larger, bytes, old);
  return larger;
}

void wl_arena_adopt(void *buffer) {
  if (buffer == NULL) return;
  adopted *entry = wl_alloc(sizeof *entry);
  *entry = (adopted){.before = last_adopted, .buffer = buffer};
  last_adopted = entry;
}

const char *wl_copy(const char *text, size_t length) {
  char *copy = wl_alloc(length + 1);
  if (length > 0) memcpy(copy, text, length);
  return copy;
}

const char *wl_arena_vprint(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  if (length < 0) length = 0;
  char *text = wl_alloc((size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

const char *wl_print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = wl_arena_vprint(format, arguments);
  va_end(arguments);
  return text;
}

wl_scope wl_scope_begin(void) {
  return (wl_scope){.chunk = top, .used = top == NULL ? 0 : top->used, .adopted = last_adopted};
}

void wl_scope_end(wl_scope scope) {
  while (last_adopted != scope.adopted) {
    free(last_adopted->buffer);
    last_adopted = last_adopted->before;
  }
  while (top != scope.chunk) {
    // One chunk of the usual size is kept for the next call.
    if (top->below == NULL && top->size == WL_CHUNK_SIZE && WL_CHUNK_SIZE > 1) break;
    pop();
  }
  if (top != NULL) top->used = top == scope.chunk ? scope.used : 0;
}

size_t wl_memory_held(void) { return held; }
