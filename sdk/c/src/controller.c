// Keys and results.

#include "windlass/controller.h"

#include <stdarg.h>

#include "arena.h"
#include "windlass/memory.h"

const char *wl_key_print(wl_key key) {
  return key.namespace[0] == 0 ? key.name : wl_print("%s/%s", key.namespace, key.name);
}

wl_result wl_done(void) { return (wl_result){.kind = WL_DONE}; }

wl_result wl_requeue_after(uint64_t ms) { return (wl_result){.kind = WL_REQUEUE_AFTER, .after_ms = ms}; }

wl_result wl_retry(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = wl_arena_vprint(format, arguments);
  va_end(arguments);
  return (wl_result){.kind = WL_RETRY, .message = message};
}

wl_result wl_terminal(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = wl_arena_vprint(format, arguments);
  va_end(arguments);
  return (wl_result){.kind = WL_TERMINAL, .message = message};
}

bool wl_is_failure(wl_result result) { return result.kind == WL_RETRY || result.kind == WL_TERMINAL; }
