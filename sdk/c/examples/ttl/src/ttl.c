// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.
//
// Over the bare bindings, to show what they are. What a guest passes to the host stays
// the guest's; what it returns, the bindings free, so it must come from malloc.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "windlass.h"

#define ANNOTATION "\"ttl.windlass.dev/expires\":\""
#define UID "\"uid\":\""

static uint32_t expired;

static windlass_string_t borrowed(const char *text) {
  return (windlass_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

static windlass_string_t owned(const char *text) {
  windlass_string_t copy;
  windlass_string_dup(&copy, text);
  return copy;
}

static windlass_list_string_t owned_list(const char *only) {
  windlass_string_t *entry = malloc(sizeof *entry);
  *entry = owned(only);
  return (windlass_list_string_t){.ptr = entry, .len = 1};
}

void exports_windlass_controller_handler_describe(exports_windlass_controller_handler_manifest_t *ret) {
  windlass_controller_manifest_watch_t *watch = calloc(1, sizeof *watch);
  watch->target.tag = WINDLASS_CONTROLLER_MANIFEST_WATCH_TARGET_ONE;
  watch->target.val.one.version = owned("v1");
  watch->target.val.one.plural = owned("configmaps");
  watch->view.tag = WINDLASS_CONTROLLER_MANIFEST_VIEW_METADATA;
  watch->enqueue.tag = WINDLASS_CONTROLLER_MANIFEST_ENQUEUE_RULE_ITSELF;
  watch->on = WINDLASS_CONTROLLER_MANIFEST_EVENT_KINDS_ADDED | WINDLASS_CONTROLLER_MANIFEST_EVENT_KINDS_UPDATED;

  windlass_controller_manifest_permission_t *permission = malloc(sizeof *permission);
  permission->groups = owned_list("");
  permission->resources = owned_list("configmaps");
  permission->verbs = owned_list("delete");

  *ret = (exports_windlass_controller_handler_manifest_t){
      .name = owned("ttl-c"),
      .version = owned("0.1.0"),
      .watches = {.ptr = watch, .len = 1},
      .workers = 1,
      .permissions = {.ptr = permission, .len = 1},
  };
}

bool exports_windlass_controller_handler_start(windlass_string_t *err) {
  windlass_string_t label = borrowed("namespace");
  windlass_controller_metrics_metric_t metric = {
      .name = borrowed("expired_total"),
      .help = borrowed("Objects deleted because their time was up."),
      .kind = {.tag = WINDLASS_CONTROLLER_METRICS_METRIC_KIND_COUNTER},
      .labels = {.ptr = &label, .len = 1},
  };
  return windlass_controller_metrics_declare(&metric, &expired, err);
}

// The string value after a member's name, ended by a zero in place.
static char *member(char *json, const char *name) {
  char *value = strstr(json, name);
  if (value == NULL) return NULL;
  value += strlen(name);
  char *end = strchr(value, '"');
  if (end == NULL) return NULL;
  *end = 0;
  return value;
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
static int64_t days(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// Seconds since 1970 of 2026-11-26T18:00:00Z.
static bool seconds(const char *text, int64_t *result) {
  int year, month, day, hour, minute, second;
  char zone;
  if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c", &year, &month, &day, &hour, &minute, &second, &zone) != 7) return false;
  if (zone != 'Z') return false;
  *result = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  return true;
}

static bool delete_it(uint64_t sync, exports_windlass_controller_handler_object_key_t *key, char *uid,
                      exports_windlass_controller_handler_sync_error_t *err) {
  windlass_controller_clientset_target_t target = {
      .resource = {.version = borrowed("v1"), .plural = borrowed("configmaps")},
      .key = *key,
  };
  windlass_controller_clientset_delete_options_t options = {
      .preconditions.uid = {.is_some = true, .val = borrowed(uid)},
  };
  windlass_controller_clientset_json_t answer;
  windlass_controller_clientset_api_error_t error;
  if (windlass_controller_clientset_delete(sync, &target, &options, &answer, &error)) {
    windlass_controller_types_json_free(&answer);
    return true;
  }
  bool gone = error.kind == WINDLASS_CONTROLLER_TYPES_API_ERROR_KIND_NOT_FOUND;
  if (!gone) {
    err->tag = WINDLASS_CONTROLLER_TYPES_SYNC_ERROR_RETRY;
    windlass_string_dup_n(&err->val.retry, (const char *)error.message.ptr, error.message.len);
  }
  windlass_controller_types_api_error_free(&error);
  return gone;
}

static bool sync_object(uint64_t sync, exports_windlass_controller_handler_object_key_t *key, char *json,
                        exports_windlass_controller_handler_outcome_t *ret,
                        exports_windlass_controller_handler_sync_error_t *err) {
  ret->tag = WINDLASS_CONTROLLER_TYPES_OUTCOME_DONE;
  // The one that comes later in the text first: finding a member ends it in place.
  char *uid = member(json, UID);
  char *annotated = member(json, ANNOTATION);
  if (annotated == NULL || uid == NULL) return true;
  int64_t expires;
  if (!seconds(annotated, &expires)) {
    err->tag = WINDLASS_CONTROLLER_TYPES_SYNC_ERROR_TERMINAL;
    err->val.terminal = owned("not a time");
    return false;
  }
  windlass_controller_clock_datetime_t now;
  windlass_controller_clock_now(&now);
  if (expires > now.seconds) {
    ret->tag = WINDLASS_CONTROLLER_TYPES_OUTCOME_REQUEUE_AFTER;
    ret->val.requeue_after = (uint64_t)(expires - now.seconds) * 1000;
    return true;
  }
  if (!delete_it(sync, key, uid, err)) return false;
  windlass_string_t namespace = key->namespace_;
  windlass_list_string_t labels = {.ptr = &namespace, .len = 1};
  windlass_controller_metrics_add(expired, &labels, 1);
  windlass_tuple2_string_string_t field = {.f0 = borrowed("at"), .f1 = borrowed(annotated)};
  windlass_list_tuple2_string_string_t fields = {.ptr = &field, .len = 1};
  windlass_string_t message = borrowed("expired");
  windlass_controller_logging_log(WINDLASS_CONTROLLER_LOGGING_LEVEL_INFO, &message, &fields);
  return true;
}

bool exports_windlass_controller_handler_sync_handler(
    uint64_t sync, exports_windlass_controller_handler_object_key_t *key,
    exports_windlass_controller_handler_outcome_t *ret, exports_windlass_controller_handler_sync_error_t *err) {
  windlass_controller_lister_json_t body;
  ret->tag = WINDLASS_CONTROLLER_TYPES_OUTCOME_DONE;
  bool ok = true;
  if (windlass_controller_lister_get(0, key, &body)) {
    char *json = malloc(body.len + 1);
    memcpy(json, body.ptr, body.len);
    json[body.len] = 0;
    ok = sync_object(sync, key, json, ret, err);
    free(json);
    windlass_controller_types_json_free(&body);
  }
  exports_windlass_controller_handler_object_key_free(key);
  return ok;
}
