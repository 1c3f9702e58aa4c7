/// @file
/// Memory that lasts for one call of the host.
///
/// All that the SDK hands out lies in one arena, and so does what wl_alloc() gives: it is
/// there until the export that is running returns (a sync, `start`, a batch of deltas) and
/// is then freed as a whole. Nothing is freed one by one, nothing can leak. What has to last
/// longer is the author's: malloc, or a static.

#ifndef WINDLASS_MEMORY_H
#define WINDLASS_MEMORY_H

#include <stddef.h>

/// Zeroed bytes, aligned for anything. Without memory the instance ends, which the host
/// answers with a new one.
void *wl_alloc(size_t size);

/// A copy of the first `length` bytes of a text, ended by a zero.
const char *wl_copy(const char *text, size_t length);

/// Text as printf makes it.
const char *wl_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A point in the arena, to return to. Its members are for wl_scope_end() alone.
typedef struct wl_scope {
  /// The chunk that was on top.
  void *chunk;
  /// How much of that was used, in bytes.
  size_t used;
  /// The last buffer that the host had allocated.
  void *adopted;
} wl_scope;

/// Marks the present. The SDK does so around each export; within one it is useful around
/// the rounds of a long loop.
wl_scope wl_scope_begin(void);

/// Frees all that was allocated since. Scopes end in the opposite order of their beginning.
void wl_scope_end(wl_scope scope);

/// Bytes that the arena holds now, used or not.
size_t wl_memory_held(void);

#endif
