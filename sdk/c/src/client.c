// The verbs, as calls of the host.

#include "windlass/client.h"

#include "host.h"
#include "windlass/memory.h"

bool wl_is(const wl_error *error, wl_error_kind kind) { return error != NULL && error->kind == kind; }

wl_result wl_failed(const wl_error *error) { return wl_retry("%s", error->message); }

// A body that does not parse is an answer's or a template's fault and must not be sent.
static const wl_error *call(const wl_call *call, wl_json *answer) {
  static const wl_error no_body = {
      .kind = WL_BAD_REQUEST, .reason = "", .message = "the body is not JSON: nothing was sent"};
  bool has_body = call->verb == WL_CALL_CREATE || call->verb == WL_CALL_UPDATE || call->verb == WL_CALL_PATCH;
  if (has_body && call->body.text == NULL) return &no_body;
  wl_json dropped;
  return wl_host_call(call, answer == NULL ? &dropped : answer);
}

const wl_error *wl_get(wl_sync sync, const wl_resource *resource, wl_key key, wl_json *answer) {
  return call(&(wl_call){.sync = sync, .verb = WL_CALL_GET, .resource = resource, .key = key, .subresource = ""},
              answer);
}

const wl_error *wl_list(wl_sync sync, const wl_resource *resource, wl_list_options options, wl_json *answer) {
  wl_key key = {.namespace = options.namespace == NULL ? "" : options.namespace, .name = ""};
  return call(&(wl_call){.sync = sync,
                         .verb = WL_CALL_LIST,
                         .resource = resource,
                         .key = key,
                         .subresource = "",
                         .list = options},
              answer);
}

const wl_error *wl_create(wl_sync sync, const wl_resource *resource, const char *namespace, wl_json body,
                          wl_json *answer) {
  wl_key key = {.namespace = namespace, .name = ""};
  return call(&(wl_call){.sync = sync,
                         .verb = WL_CALL_CREATE,
                         .resource = resource,
                         .key = key,
                         .subresource = "",
                         .body = body},
              answer);
}

static const wl_error *write(wl_sync sync, wl_call_verb verb, const wl_resource *resource, wl_key key,
                             const char *subresource, wl_patch_type type, wl_json body, wl_json *answer) {
  return call(&(wl_call){.sync = sync,
                         .verb = verb,
                         .resource = resource,
                         .key = key,
                         .subresource = subresource,
                         .body = body,
                         .patch_type = type},
              answer);
}

const wl_error *wl_update(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body, wl_json *answer) {
  return write(sync, WL_CALL_UPDATE, resource, key, "", WL_JSON_PATCH, body, answer);
}

const wl_error *wl_update_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_json body,
                                 wl_json *answer) {
  return write(sync, WL_CALL_UPDATE, resource, key, "status", WL_JSON_PATCH, body, answer);
}

const wl_error *wl_patch(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type, wl_json body,
                         wl_json *answer) {
  return write(sync, WL_CALL_PATCH, resource, key, "", type, body, answer);
}

const wl_error *wl_patch_status(wl_sync sync, const wl_resource *resource, wl_key key, wl_patch_type type,
                                wl_json body, wl_json *answer) {
  return write(sync, WL_CALL_PATCH, resource, key, "status", type, body, answer);
}

const wl_error *wl_delete(wl_sync sync, const wl_resource *resource, wl_key key, wl_delete_options options) {
  return call(&(wl_call){.sync = sync,
                         .verb = WL_CALL_DELETE,
                         .resource = resource,
                         .key = key,
                         .subresource = "",
                         .deletion = options},
              NULL);
}

const wl_error *wl_subresource(wl_sync sync, wl_verb verb, const wl_resource *resource, wl_key key,
                               const char *subresource, wl_json body, wl_json *answer) {
  static const wl_call_verb verbs[] = {
      [WL_VERB_GET] = WL_CALL_GET,
      [WL_VERB_CREATE] = WL_CALL_CREATE,
      [WL_VERB_UPDATE] = WL_CALL_UPDATE,
      [WL_VERB_PATCH] = WL_CALL_PATCH,
  };
  return write(sync, verbs[verb], resource, key, subresource, WL_MERGE_PATCH, body, answer);
}
