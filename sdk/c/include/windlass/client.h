/// @file
/// Calls to the API server. Each waits for its answer; none is tried again by itself.
///
/// They return NULL, or why they failed. `answer` may be NULL where it is of no interest.

#ifndef WINDLASS_CLIENT_H
#define WINDLASS_CLIENT_H

#include "windlass/controller.h"

/// What kind of failure a call met, as `api-error-kind` of the contract says.
typedef enum wl_error_kind {
  /// 404: there is no such object.
  WL_NOT_FOUND,
  /// 409 of a create: the name is taken.
  WL_ALREADY_EXISTS,
  /// 409: the object changed since it was read, or a precondition does not hold.
  WL_CONFLICT,
  /// 422: validation failed; the causes name the fields.
  WL_INVALID,
  /// 400: the request itself makes no sense, or its body is not JSON and was not sent.
  WL_BAD_REQUEST,
  /// 401 or 403 from the API server.
  WL_FORBIDDEN,
  /// 403: nothing can be created in this namespace any more.
  WL_NAMESPACE_TERMINATING,
  /// 410: a resource version or a continue token expired.
  WL_GONE,
  /// 415: the resource does not take this type of patch, as custom ones no strategic merge.
  WL_UNSUPPORTED_MEDIA_TYPE,
  /// 429: back off.
  WL_TOO_MANY_REQUESTS,
  /// 504, or no answer in time. The write may have happened.
  WL_TIMEOUT,
  /// 5xx, or no connection. The write may have happened.
  WL_UNAVAILABLE,
  /// Refused by the host: the module was not granted this.
  WL_NOT_PERMITTED,
  /// Everything else.
  WL_OTHER,
} wl_error_kind;

/// One entry of `Status.details.causes`.
typedef struct wl_cause {
  /// For programs, such as `FieldValueInvalid`.
  const char *reason;
  /// Where, such as `spec.replicas`; may be "".
  const char *field;
  /// For people.
  const char *message;
} wl_cause;

/// Why a call failed.
typedef struct wl_error {
  /// What it is told apart by.
  wl_error_kind kind;
  /// HTTP status, or 0 when there was no answer.
  unsigned code;
  /// `Status.reason`; may be "".
  const char *reason;
  /// For people; never "".
  const char *message;
  /// What was found wrong, `cause_count` of them.
  const wl_cause *causes;
  /// How many causes there are.
  size_t cause_count;
  /// Whether the server said how long to back off.
  bool has_retry_after;
  /// How long, in milliseconds.
  uint64_t retry_after_ms;
} wl_error;

/// Whether a call failed in this way; false for NULL.
bool wl_is(const wl_error *error, wl_error_kind kind);

/// A sync's result for a failed call: to be tried again.
wl_result wl_failed(const wl_error *error);

/// A live read, not from the cache. Fails with WL_NOT_FOUND.
const wl_error *wl_get(wl_sync sync, const wl_resource *resource, wl_key key, wl_json *answer);

/// What a live list covers. NULL stands for "" in all of them.
typedef struct wl_list_options {
  /// "" for all namespaces.
  const char *namespace;
  /// Only objects whose labels match, such as `app=web`.
  const char *label_selector;
  /// Only objects whose fields match, such as `spec.nodeName=a`.
  const char *field_selector;
  /// Page size; 0 for everything at once.
  uint32_t limit;
  /// From the previous page's `metadata.continue`.
  const char *continue_from;
} wl_list_options;

/// A live list; one page, whose objects are in the answer's `items`. An expired
/// `continue_from` is WL_GONE.
const wl_error *wl_list(wl_sync sync, const wl_resource *resource, wl_list_options options, wl_json *answer);

/// Creates an object, whose name, or what it is generated from, is in the body. `namespace`
/// is "" for cluster-scoped ones. Fails with WL_ALREADY_EXISTS.
const wl_error *wl_create(wl_sync sync, const wl_resource *resource, const char *namespace, wl_json body,
                          wl_json *answer);

/// Replaces an object. With `metadata.resourceVersion` in the body a change in between is a
/// conflict.
const wl_error *wl_update(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body, wl_json *answer);

/// Replaces an object's status; the rest of the body does not count, but for
/// `metadata.resourceVersion`, as in wl_update().
const wl_error *wl_update_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body,
                                 wl_json *answer);

/// The form of a patch.
typedef enum wl_patch_type {
  /// A list of operations (RFC 6902).
  WL_JSON_PATCH,
  /// The fields that change, null for those that go (RFC 7386); lists are replaced.
  WL_MERGE_PATCH,
  /// The same with lists merged by their keys, as Kubernetes has it; not for custom resources.
  WL_STRATEGIC_MERGE_PATCH,
} wl_patch_type;

/// Patches an object. `metadata.uid` and `metadata.resourceVersion` in a merge patch are
/// preconditions; where one does not hold the call fails with WL_CONFLICT.
const wl_error *wl_patch(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type, wl_json body,
                         wl_json *answer);
/// Patches an object's status; the body is as of the whole object: `{"status": …}`.
const wl_error *wl_patch_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type,
                                wl_json body, wl_json *answer);

/// What becomes of an object's dependents when it is deleted.
typedef enum wl_propagation {
  /// The resource's default.
  WL_PROPAGATION_DEFAULT,
  /// They are deleted after it.
  WL_PROPAGATION_BACKGROUND,
  /// They are deleted before it.
  WL_PROPAGATION_FOREGROUND,
  /// They stay.
  WL_PROPAGATION_ORPHAN,
} wl_propagation;

/// How an object is deleted. What is left out leaves the choice to the server.
typedef struct wl_delete_options {
  /// What becomes of its dependents.
  wl_propagation propagation;
  /// Whether `grace_period_seconds` counts.
  bool has_grace_period;
  /// How long it may take to end; 0 for at once.
  uint32_t grace_period_seconds;
  /// A precondition: only the object with this UID; NULL for any.
  const char *uid;
  /// A precondition: only this version of it; NULL for any.
  const char *resource_version;
} wl_delete_options;

/// Deletes an object. Fails with WL_NOT_FOUND, or with WL_CONFLICT where a precondition does
/// not hold. An object with finalizers only goes when the last of them does.
const wl_error *wl_delete(wl_sync sync, const wl_resource *resource, wl_key key, wl_delete_options options);

/// What is done with a subresource.
typedef enum wl_verb {
  /// Reads it.
  WL_VERB_GET,
  /// Posts to it.
  WL_VERB_CREATE,
  /// Replaces it.
  WL_VERB_UPDATE,
  /// Patches it, by a merge patch.
  WL_VERB_PATCH,
} wl_verb;

/// A call about a subresource: `scale`, `binding`, `eviction`, … The body is absent for
/// WL_VERB_GET.
const wl_error *wl_subresource(wl_sync sync, wl_verb verb, const wl_resource *resource, wl_key key,
                               const char *subresource, wl_json body, wl_json *answer);

#endif
