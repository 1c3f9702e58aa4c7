// Events.

#include "windlass/services.h"

#include <stdarg.h>

#include "arena.h"
#include "host.h"

void wl_event(wl_event_type type, const wl_resource *resource, wl_json object, const char *reason,
              const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = wl_arena_vprint(format, arguments);
  va_end(arguments);
  wl_event_with_action(type, resource, object, reason, "", message);
}

void wl_event_with_action(wl_event_type type, const wl_resource *resource, wl_json object, const char *reason,
                          const char *action, const char *message) {
  wl_host_record(&(wl_host_event){.type = type,
                                  .resource = resource,
                                  .regarding = object,
                                  .reason = reason,
                                  .message = message,
                                  .action = action});
}
