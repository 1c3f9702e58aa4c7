// What the SDK asks of its host, asked through the contract's imports.

#include "../host.h"

#include "convert.h"
#include "windlass/lister.h"
#include "windlass/object.h"
#include "windlass/services.h"
#include "windlass/time.h"

// === Lister ===

wl_json wl_lister_get(uint32_t watch, wl_key key) {
  windlass_controller_types_object_key_t lent = wl_lend_key(key);
  windlass_controller_lister_json_t body;
  return windlass_controller_lister_get(watch, &lent, &body) ? wl_take_json(body) : (wl_json){0};
}

static wl_objects take_objects(windlass_controller_lister_list_json_t list) {
  wl_json *objects = wl_alloc(list.len * sizeof *objects);
  for (size_t at = 0; at < list.len; at++) objects[at] = wl_take_json(list.ptr[at]);
  if (list.len > 0) free(list.ptr);
  return (wl_objects){.objects = objects, .count = list.len};
}

static wl_objects refused(windlass_string_t problem) {
  wl_error_line("a lister refused", "problem", wl_take(problem));
  return (wl_objects){0};
}

wl_objects wl_lister_list(uint32_t watch, const char *namespace, const char *label_selector) {
  windlass_string_t of = wl_lend(namespace), selector = wl_lend(label_selector), problem;
  windlass_controller_lister_list_json_t list;
  bool found = windlass_controller_lister_list(watch, namespace == NULL ? NULL : &of, &selector, &list, &problem);
  return found ? take_objects(list) : refused(problem);
}

wl_objects wl_lister_by_index(uint32_t watch, const char *index, const char *value) {
  windlass_string_t name = wl_lend(index), wanted = wl_lend(value), problem;
  windlass_controller_lister_list_json_t list;
  bool found = windlass_controller_lister_by_index(watch, &name, &wanted, &list, &problem);
  return found ? take_objects(list) : refused(problem);
}

wl_objects wl_lister_by_owner(uint32_t watch, const char *uid) {
  windlass_string_t lent = wl_lend(uid);
  windlass_controller_lister_list_json_t list;
  windlass_controller_lister_by_owner(watch, &lent, &list);
  return take_objects(list);
}

wl_objects wl_lister_orphans(uint32_t watch, const char *namespace) {
  windlass_string_t lent = wl_lend(namespace);
  windlass_controller_lister_list_json_t list;
  windlass_controller_lister_orphans(watch, &lent, &list);
  return take_objects(list);
}

// === Client ===

static const wl_error *take_error(windlass_controller_types_api_error_t error) {
  wl_cause *causes = wl_alloc(error.causes.len * sizeof *causes);
  for (size_t at = 0; at < error.causes.len; at++) {
    windlass_controller_types_status_cause_t cause = error.causes.ptr[at];
    causes[at] = (wl_cause){
        .reason = wl_take(cause.reason), .field = wl_take(cause.field), .message = wl_take(cause.message)};
  }
  if (error.causes.len > 0) free(error.causes.ptr);
  wl_error *taken = wl_alloc(sizeof *taken);
  *taken = (wl_error){
      // In the contract's order; what a later contract adds is like anything else.
      .kind = error.kind > WL_OTHER ? WL_OTHER : (wl_error_kind)error.kind,
      .code = error.code,
      .reason = wl_take(error.reason),
      .message = wl_take(error.message),
      .causes = causes,
      .cause_count = error.causes.len,
      .has_retry_after = error.retry_after_ms.is_some,
      .retry_after_ms = error.retry_after_ms.is_some ? error.retry_after_ms.val : 0,
  };
  return taken;
}

_Static_assert((int)WL_OTHER == WINDLASS_CONTROLLER_TYPES_API_ERROR_KIND_OTHER, "as in the contract");
_Static_assert((int)WL_STRATEGIC_MERGE_PATCH == WINDLASS_CONTROLLER_TYPES_PATCH_TYPE_STRATEGIC_MERGE_PATCH,
               "as in the contract");
_Static_assert((int)WL_TRACE == WINDLASS_CONTROLLER_LOGGING_LEVEL_TRACE, "as in the contract");
_Static_assert((int)WL_HISTOGRAM == WINDLASS_CONTROLLER_METRICS_METRIC_KIND_HISTOGRAM, "as in the contract");
_Static_assert((int)WL_WARNING == WINDLASS_CONTROLLER_RECORDER_EVENT_TYPE_WARNING, "as in the contract");
_Static_assert(WL_PROPAGATION_ORPHAN - 1 == WINDLASS_CONTROLLER_TYPES_PROPAGATION_POLICY_ORPHAN,
               "as in the contract, behind the default");

static windlass_option_string_t lend_option(const char *text) {
  return (windlass_option_string_t){.is_some = text != NULL, .val = wl_lend(text)};
}

static windlass_controller_types_delete_options_t lend_deletion(const wl_delete_options *options) {
  windlass_controller_types_delete_options_t lent = {
      .grace_period_seconds = {.is_some = options->has_grace_period, .val = options->grace_period_seconds},
      .preconditions = {.uid = lend_option(options->uid), .resource_version = lend_option(options->resource_version)},
  };
  if (options->propagation != WL_PROPAGATION_DEFAULT) {
    lent.propagation_policy.is_some = true;
    lent.propagation_policy.val = (uint8_t)(options->propagation - 1);
  }
  return lent;
}

static windlass_controller_types_list_options_t lend_list(const wl_list_options *options) {
  return (windlass_controller_types_list_options_t){
      .namespace_ = wl_lend(options->namespace),
      .label_selector = wl_lend(options->label_selector),
      .field_selector = wl_lend(options->field_selector),
      .limit = options->limit,
      .continue_ = wl_lend(options->continue_from),
  };
}

const wl_error *wl_host_call(const wl_call *call, wl_json *answer) {
  windlass_controller_types_target_t target = {
      .resource = wl_lend_resource(call->resource),
      .key = wl_lend_key(call->key),
      .subresource = wl_lend(call->subresource),
  };
  windlass_controller_types_json_t body = wl_lend_json(call->body), got = {0};
  windlass_controller_types_list_options_t list = lend_list(&call->list);
  windlass_controller_types_delete_options_t deletion = lend_deletion(&call->deletion);
  windlass_controller_types_api_error_t error;
  uint64_t sync = call->sync.id;
  bool ok = false;
  switch (call->verb) {
    case WL_CALL_GET: ok = windlass_controller_clientset_get(sync, &target, &got, &error); break;
    case WL_CALL_LIST: ok = windlass_controller_clientset_list(sync, &target.resource, &list, &got, &error); break;
    case WL_CALL_CREATE: ok = windlass_controller_clientset_create(sync, &target, &body, &got, &error); break;
    case WL_CALL_UPDATE: ok = windlass_controller_clientset_update(sync, &target, &body, &got, &error); break;
    case WL_CALL_PATCH:
      ok = windlass_controller_clientset_patch(sync, &target, (uint8_t)call->patch_type, &body, &got, &error);
      break;
    case WL_CALL_DELETE: ok = windlass_controller_clientset_delete(sync, &target, &deletion, &got, &error); break;
  }
  if (!ok) return take_error(error);
  *answer = wl_take_json(got);
  return NULL;
}

// === Log and events ===

void wl_log(wl_level level, const char *const *texts, size_t count) {
  if (count == 0) return;
  size_t pairs = (count - 1) / 2;
  windlass_tuple2_string_string_t *fields = wl_alloc(pairs * sizeof *fields);
  for (size_t at = 0; at < pairs; at++) {
    fields[at].f0 = wl_lend(texts[1 + 2 * at]);
    fields[at].f1 = wl_lend(texts[2 + 2 * at]);
  }
  windlass_string_t message = wl_lend(texts[0]);
  windlass_list_tuple2_string_string_t list = {.ptr = fields, .len = pairs};
  windlass_controller_logging_log((uint8_t)level, &message, &list);
}

bool wl_log_enabled(wl_level level) { return windlass_controller_logging_enabled((uint8_t)level); }

void wl_host_record(const wl_host_event *event) {
  wl_key key = wl_key_of(event->regarding);
  wl_json version = wl_json_at(event->regarding, "metadata", "resourceVersion");
  windlass_controller_recorder_event_t lent = {
      .regarding = {.api_version = wl_lend(wl_api_version(event->resource)),
                    .kind = wl_lend(event->resource->kind),
                    .namespace_ = wl_lend(key.namespace),
                    .name = wl_lend(key.name),
                    .uid = wl_lend(wl_uid(event->regarding)),
                    .resource_version = wl_lend(wl_json_text(version))},
      .event_type = (uint8_t)event->type,
      .reason = wl_lend(event->reason),
      .message = wl_lend(event->message),
      .action = wl_lend(event->action),
  };
  windlass_controller_recorder_record(&lent);
}

// === Metrics ===

static windlass_list_string_t lend_list_of(const char *const *texts) {
  size_t count = 0;
  while (texts != NULL && texts[count] != NULL) count++;
  windlass_string_t *lent = wl_alloc(count * sizeof *lent);
  for (size_t at = 0; at < count; at++) lent[at] = wl_lend(texts[at]);
  return (windlass_list_string_t){.ptr = lent, .len = count};
}

const char *wl_metric_declare(const wl_metric *metric, uint32_t *id) {
  windlass_controller_metrics_metric_t lent = {
      .name = wl_lend(metric->name),
      .help = wl_lend(metric->help),
      .kind = {.tag = (uint8_t)metric->kind},
      .labels = lend_list_of(metric->labels),
  };
  lent.kind.val.histogram.ptr = (double *)metric->buckets;
  lent.kind.val.histogram.len = metric->bucket_count;
  windlass_string_t problem;
  return windlass_controller_metrics_declare(&lent, id, &problem) ? NULL : wl_take(problem);
}

void wl_metric_add(uint32_t id, const char *const *labels, double value) {
  windlass_list_string_t lent = lend_list_of(labels);
  windlass_controller_metrics_add(id, &lent, value);
}

void wl_metric_set(uint32_t id, const char *const *labels, double value) {
  windlass_list_string_t lent = lend_list_of(labels);
  windlass_controller_metrics_set(id, &lent, value);
}

void wl_metric_observe(uint32_t id, const char *const *labels, double value) {
  windlass_list_string_t lent = lend_list_of(labels);
  windlass_controller_metrics_observe(id, &lent, value);
}

// === The rest ===

wl_time wl_now(void) {
  windlass_controller_clock_datetime_t now;
  windlass_controller_clock_now(&now);
  return (wl_time){.seconds = now.seconds, .nanoseconds = now.nanoseconds};
}

uint64_t wl_monotonic(void) { return windlass_controller_clock_monotonic(); }

wl_json wl_config(void) {
  windlass_controller_module_config_json_t config;
  windlass_controller_module_config_get(&config);
  return wl_take_json(config);
}

void wl_enqueue_key(wl_key key, uint64_t after_ms, int32_t priority) {
  windlass_controller_workqueue_item_t item = {.key = wl_lend_key(key), .after_ms = after_ms, .priority = priority};
  windlass_controller_workqueue_list_item_t items = {.ptr = &item, .len = 1};
  windlass_controller_workqueue_add(&items);
}

bool wl_resolve(const char *group, const char *version, const char *kind, wl_resource *resource, bool *namespaced) {
  windlass_string_t lent_group = wl_lend(group), lent_version = wl_lend(version), lent_kind = wl_lend(kind);
  windlass_controller_discovery_mapping_t mapping;
  if (!windlass_controller_discovery_resolve(&lent_group, &lent_version, &lent_kind, &mapping)) return false;
  *resource = (wl_resource){.group = wl_take(mapping.resource.group),
                            .version = wl_take(mapping.resource.version),
                            .plural = wl_take(mapping.resource.plural),
                            .kind = kind};
  *namespaced = mapping.namespaced;
  return true;
}

uint64_t wl_random(void) { return windlass_controller_random_next(); }
