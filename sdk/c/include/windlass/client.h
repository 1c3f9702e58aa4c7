// Calls to the API server. Each waits for its answer; none is tried again by itself.
//
// They return NULL, or why they failed. `answer` may be NULL where it is of no interest.

#ifndef WINDLASS_CLIENT_H
#define WINDLASS_CLIENT_H

#include "windlass/controller.h"

// What kind of failure a call met, as `api-error-kind` of the contract says.
typedef enum wl_error_kind {
  WL_NOT_FOUND,
  WL_ALREADY_EXISTS,
  WL_CONFLICT,
  WL_INVALID,
  WL_BAD_REQUEST,
  WL_FORBIDDEN,
  WL_NAMESPACE_TERMINATING,
  WL_GONE,
  WL_UNSUPPORTED_MEDIA_TYPE,
  WL_TOO_MANY_REQUESTS,
  // The write may have happened.
  WL_TIMEOUT,
  // The write may have happened.
  WL_UNAVAILABLE,
  // Refused by the host: the module was not granted this.
  WL_NOT_PERMITTED,
  WL_OTHER,
} wl_error_kind;

// One entry of `Status.details.causes`.
typedef struct wl_cause {
  const char *reason;
  const char *field;
  const char *message;
} wl_cause;

typedef struct wl_error {
  wl_error_kind kind;
  // HTTP status, or 0 when there was no answer.
  unsigned code;
  // `Status.reason`; may be "".
  const char *reason;
  // For people; never "".
  const char *message;
  const wl_cause *causes;
  size_t cause_count;
  // When the server said how long to back off.
  bool has_retry_after;
  uint64_t retry_after_ms;
} wl_error;

// Whether a call failed in this way; false for NULL.
bool wl_is(const wl_error *error, wl_error_kind kind);

// A sync's result for a failed call: to be tried again.
wl_result wl_failed(const wl_error *error);

// A live read, not from the cache.
const wl_error *wl_get(wl_sync sync, const wl_resource *resource, wl_key key, wl_json *answer);

// NULL stands for "" in all of them.
typedef struct wl_list_options {
  // None for all namespaces.
  const char *namespace;
  const char *label_selector;
  const char *field_selector;
  // Page size; 0 for everything at once.
  uint32_t limit;
  // From the previous page's `metadata.continue`.
  const char *continue_from;
} wl_list_options;

// A live list; one page.
const wl_error *wl_list(wl_sync sync, const wl_resource *resource, wl_list_options options, wl_json *answer);

// Creates an object, whose name, or what it is generated from, is in the body.
const wl_error *wl_create(wl_sync sync, const wl_resource *resource, const char *namespace, wl_json body,
                          wl_json *answer);

// Replaces an object. With `metadata.resourceVersion` in the body a change in between is a
// conflict.
const wl_error *wl_update(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body, wl_json *answer);

// Replaces an object's status.
const wl_error *wl_update_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body,
                                 wl_json *answer);

typedef enum wl_patch_type {
  WL_JSON_PATCH,
  WL_MERGE_PATCH,
  WL_STRATEGIC_MERGE_PATCH,
} wl_patch_type;

const wl_error *wl_patch(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type, wl_json body,
                         wl_json *answer);
const wl_error *wl_patch_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type,
                                wl_json body, wl_json *answer);

typedef enum wl_propagation {
  // The resource's default.
  WL_PROPAGATION_DEFAULT,
  WL_PROPAGATION_BACKGROUND,
  WL_PROPAGATION_FOREGROUND,
  WL_PROPAGATION_ORPHAN,
} wl_propagation;

// What is left out leaves the choice to the server.
typedef struct wl_delete_options {
  wl_propagation propagation;
  bool has_grace_period;
  uint32_t grace_period_seconds;
  // Preconditions.
  const char *uid;
  const char *resource_version;
} wl_delete_options;

const wl_error *wl_delete(wl_sync sync, const wl_resource *resource, wl_key key, wl_delete_options options);

typedef enum wl_verb {
  WL_VERB_GET,
  WL_VERB_CREATE,
  WL_VERB_UPDATE,
  WL_VERB_PATCH,
} wl_verb;

// Any subresource: `scale`, `binding`, `eviction`, … The patch is a merge patch.
const wl_error *wl_subresource(wl_sync sync, wl_verb verb, const wl_resource *resource, wl_key key,
                               const char *subresource, wl_json body, wl_json *answer);

#endif
