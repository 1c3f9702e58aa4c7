// What the SDK asks of its host: `component/` asks the contract's imports, `testing/` the
// fake cluster. The functions of lister.h and services.h and the clock are such questions
// as they are; these are the others.

#ifndef WINDLASS_HOST_H
#define WINDLASS_HOST_H

#include "windlass/client.h"
#include "windlass/services.h"

typedef enum wl_call_verb {
  WL_CALL_GET,
  WL_CALL_LIST,
  WL_CALL_CREATE,
  WL_CALL_UPDATE,
  WL_CALL_PATCH,
  WL_CALL_DELETE,
} wl_call_verb;

// One call to the API server. What does not belong to its verb is zero.
typedef struct wl_call {
  wl_sync sync;
  wl_call_verb verb;
  const wl_resource *resource;
  wl_key key;
  const char *subresource;
  wl_json body;
  wl_patch_type patch_type;
  wl_list_options list;
  wl_delete_options deletion;
} wl_call;

// NULL, or why it failed. The answer is not NULL.
const wl_error *wl_host_call(const wl_call *call, wl_json *answer);

typedef struct wl_host_event {
  wl_event_type type;
  const wl_resource *resource;
  wl_json regarding;
  const char *reason;
  const char *message;
  const char *action;
} wl_host_event;

void wl_host_record(const wl_host_event *event);

#endif
