// The fake cluster's API server.

#include <string.h>

#include "state.h"

static const wl_json absent = {0};

static const wl_error *error_of(wl_error_kind kind, const char *message) {
  static const struct {
    unsigned code;
    const char *reason;
  } known[] = {
      [WL_NOT_FOUND] = {404, "NotFound"},
      [WL_ALREADY_EXISTS] = {409, "AlreadyExists"},
      [WL_CONFLICT] = {409, "Conflict"},
      [WL_INVALID] = {422, "Invalid"},
      [WL_BAD_REQUEST] = {400, "BadRequest"},
      [WL_FORBIDDEN] = {403, "Forbidden"},
      [WL_NAMESPACE_TERMINATING] = {403, "Forbidden"},
      [WL_GONE] = {410, "Expired"},
      [WL_UNSUPPORTED_MEDIA_TYPE] = {415, "UnsupportedMediaType"},
      [WL_TOO_MANY_REQUESTS] = {429, "TooManyRequests"},
      [WL_TIMEOUT] = {504, "Timeout"},
      [WL_UNAVAILABLE] = {503, "ServiceUnavailable"},
      [WL_NOT_PERMITTED] = {0, ""},
      [WL_OTHER] = {0, ""},
  };
  wl_error *error = wl_alloc(sizeof *error);
  *error = (wl_error){.kind = kind, .code = known[kind].code, .reason = known[kind].reason, .message = message};
  return error;
}

static const char *describe(const wl_call *call) {
  static const char *const verbs[] = {
      [WL_CALL_GET] = "get",       [WL_CALL_LIST] = "list",   [WL_CALL_CREATE] = "create",
      [WL_CALL_UPDATE] = "update", [WL_CALL_PATCH] = "patch", [WL_CALL_DELETE] = "delete",
  };
  const char *name = call->key.name;
  if (call->verb == WL_CALL_CREATE && name[0] == 0) name = wl_json_text(wl_json_at(call->body, "metadata", "name"));
  return wl_print("%s %s%s%s %s", verbs[call->verb], call->resource->plural, call->subresource[0] == 0 ? "" : "/",
                  call->subresource, wl_key_print((wl_key){.namespace = call->key.namespace, .name = name}));
}

// The value under a path of one object put under the same path of another.
static wl_json copy(wl_json to, wl_json from, const char *const *path) {
  return wl_json_set_path(to, path, wl_json_path(from, path));
}

static wl_json copy_status(wl_json to, wl_json from) { return copy(to, from, WL_LIST("status")); }

static bool has_no_finalizers(wl_json object) {
  return wl_json_count(wl_json_at(object, "metadata", "finalizers")) == 0;
}

// Stores what the server keeps of a new body: the status of the old one or, through the
// status subresource, nothing but status and annotations.
static const wl_error *replace(wl_json old, wl_json body, const char *subresource, wl_json *answer) {
  wl_json version = wl_json_at(body, "metadata", "resourceVersion");
  if (wl_json_is_set(version) && !wl_json_equal(version, wl_json_at(old, "metadata", "resourceVersion"))) {
    return error_of(WL_CONFLICT, "the object has been modified");
  }
  bool is_status = strcmp(subresource, "status") == 0;
  wl_json object = is_status ? copy(copy_status(old, body), body, WL_LIST("metadata", "annotations"))
                             : copy_status(body, old);
  object = copy(object, old, WL_LIST("metadata", "uid"));
  if (!wl_json_equal(wl_json_at(object, "spec"), wl_json_at(old, "spec"))) {
    wl_json generation = wl_json_print("%lld", (long long)wl_generation(old) + 1);
    object = wl_json_set(object, generation, "metadata", "generation");
  }
  *answer = object;
  if (wl_is_deleting(object) && has_no_finalizers(object)) {
    wl_store_remove(wl_plural_of(old), wl_key_of(old));
  } else if (!wl_json_equal(object, old)) {
    *answer = wl_store_put(object);
  }
  return NULL;
}

static const wl_error *create(const wl_call *call, wl_json *answer) {
  if (call->subresource[0] != 0) {
    *answer = wl_json_print("{}");
    return NULL;
  }
  wl_json object = wl_json_set(call->body, wl_json_print("%s", call->key.namespace), "metadata", "namespace");
  wl_key key = wl_key_of(object);
  if (wl_store_find(call->resource->plural, key).text != NULL) {
    return error_of(WL_ALREADY_EXISTS, wl_print("%s \"%s\" already exists", call->resource->plural, key.name));
  }
  *answer = wl_store_put(object);
  return NULL;
}

// The owners after a strategic merge patch of them.
static wl_json merge_owners(wl_json owners, wl_json changes) {
  wl_json_writer list = {0};
  wl_json_open(&list, '[');
  wl_json_walk old = {.of = owners};
  while (wl_json_next(&old)) {
    bool is_changed = false;
    wl_json_walk change = {.of = changes};
    while (wl_json_next(&change)) {
      is_changed |= wl_json_equal(wl_json_at(change.value, "uid"), wl_json_at(old.value, "uid"));
    }
    if (!is_changed) wl_json_put(&list, old.value);
  }
  wl_json_walk change = {.of = changes};
  while (wl_json_next(&change)) {
    if (!wl_json_is(wl_json_at(change.value, "$patch"), "delete")) wl_json_put(&list, change.value);
  }
  wl_json_close(&list, ']');
  return wl_json_finish(&list);
}

static const wl_error *patch(const wl_call *call, wl_json old, wl_json *answer) {
  if (call->patch_type == WL_JSON_PATCH) {
    return error_of(WL_UNSUPPORTED_MEDIA_TYPE, "the fake cluster takes merge and strategic merge patches only");
  }
  wl_json uid = wl_json_at(call->body, "metadata", "uid");
  if (wl_json_is_set(uid) && !wl_json_equal(uid, wl_json_at(old, "metadata", "uid"))) {
    return error_of(WL_CONFLICT, "the UID in the precondition is another");
  }
  wl_json body = call->body, owners = wl_json_at(body, "metadata", "ownerReferences");
  if (call->patch_type == WL_STRATEGIC_MERGE_PATCH && owners.text != NULL) {
    wl_json merged = merge_owners(wl_json_at(old, "metadata", "ownerReferences"), owners);
    body = wl_json_set(body, merged, "metadata", "ownerReferences");
  }
  return replace(old, wl_json_merge(old, body), call->subresource, answer);
}

static bool is_met(const char *wanted, wl_json found) { return wanted == NULL || wl_json_is(found, wanted); }

static wl_json with_finalizer(wl_json object, const char *finalizer) {
  wl_json_writer list = {0};
  wl_json_open(&list, '[');
  wl_json_walk walk = {.of = wl_json_at(object, "metadata", "finalizers")};
  while (wl_json_next(&walk)) wl_json_put(&list, walk.value);
  if (!wl_has_finalizer(object, finalizer)) wl_json_put_string(&list, finalizer);
  wl_json_close(&list, ']');
  return wl_json_set(object, wl_json_finish(&list), "metadata", "finalizers");
}

static const wl_error *delete_object(const wl_call *call, wl_json object, wl_json *answer) {
  const wl_delete_options *options = &call->deletion;
  if (!is_met(options->uid, wl_json_at(object, "metadata", "uid")) ||
      !is_met(options->resource_version, wl_json_at(object, "metadata", "resourceVersion"))) {
    return error_of(WL_CONFLICT, "a precondition failed");
  }
  if (options->propagation == WL_PROPAGATION_FOREGROUND) object = with_finalizer(object, "foregroundDeletion");
  if (options->propagation == WL_PROPAGATION_ORPHAN) object = with_finalizer(object, "orphan");
  *answer = object;
  if (has_no_finalizers(object)) {
    wl_store_remove(call->resource->plural, call->key);
    return NULL;
  }
  wl_json now = wl_json_print("%s", wl_time_print(wl_the_fake.now));
  if (!wl_is_deleting(object)) *answer = wl_store_put(wl_json_set(object, now, "metadata", "deletionTimestamp"));
  return NULL;
}

static wl_json list(const wl_call *call) {
  const char *namespace = call->key.namespace[0] == 0 ? NULL : call->key.namespace;
  wl_objects found = wl_store_list(call->resource->plural, namespace);
  wl_json_writer writer = {0};
  wl_json_open(&writer, '{');
  wl_json_name(&writer, "items");
  wl_json_open(&writer, '[');
  for (size_t at = 0; at < found.count; at++) wl_json_put(&writer, found.objects[at]);
  wl_json_close(&writer, ']');
  wl_json_close(&writer, '}');
  return wl_json_finish(&writer);
}

const wl_error *wl_host_call(const wl_call *call, wl_json *answer) {
  const char *name = describe(call);
  wl_lines_add(&wl_the_fake.calls, name);
  const char *failing = wl_the_fake.failing_call;
  if (failing != NULL && strncmp(name, failing, strlen(failing)) == 0) {
    return error_of(wl_the_fake.failure, "as the test says");
  }
  *answer = absent;
  if (call->verb == WL_CALL_CREATE) return create(call, answer);
  if (call->verb == WL_CALL_LIST) {
    *answer = list(call);
    return NULL;
  }
  wl_json old = wl_store_find(call->resource->plural, call->key);
  if (old.text == NULL) {
    return error_of(WL_NOT_FOUND, wl_print("%s \"%s\" not found", call->resource->plural, call->key.name));
  }
  switch (call->verb) {
    case WL_CALL_UPDATE: return replace(old, call->body, call->subresource, answer);
    case WL_CALL_PATCH: return patch(call, old, answer);
    case WL_CALL_DELETE: return delete_object(call, old, answer);
    default: *answer = old; return NULL;
  }
}
