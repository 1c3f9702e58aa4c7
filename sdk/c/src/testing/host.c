// The fake cluster's caches, and the services of its host.

#include <stdlib.h>
#include <string.h>

#include "state.h"

// === Lister ===

static const char *plural_of(uint32_t watch) {
  const wl_manifest *manifest = wl_the_fake.manifest;
  // A host ends the instance; so does this.
  if (watch >= manifest->watch_count || manifest->watches[watch].resource == NULL) abort();
  return manifest->watches[watch].resource->plural;
}

static wl_objects watched(uint32_t watch, const char *namespace) {
  return wl_store_list(plural_of(watch), namespace);
}

wl_json wl_lister_get(uint32_t watch, wl_key key) { return wl_store_find(plural_of(watch), key); }

typedef bool (*condition)(wl_json object, const char *argument, const char *other);

static wl_objects filter(wl_objects all, condition matches, const char *argument, const char *other) {
  wl_json *objects = wl_alloc(all.count * sizeof *objects);
  size_t count = 0;
  for (size_t at = 0; at < all.count; at++) {
    if (matches(all.objects[at], argument, other)) objects[count++] = all.objects[at];
  }
  return (wl_objects){.objects = objects, .count = count};
}

// One requirement of a selector: `name=value`, `name==value`, `name!=value`, `name`, `!name`.
static bool meets(wl_json object, const char *requirement, size_t length) {
  char *name = (char *)wl_copy(requirement, length);
  if (name[0] == '!') return wl_label(object, name + 1) == NULL;
  char *equals = strchr(name, '=');
  if (equals == NULL) return wl_label(object, name) != NULL;
  const char *value = equals[1] == '=' ? equals + 2 : equals + 1;
  bool is_negative = equals > name && equals[-1] == '!';
  *(is_negative ? equals - 1 : equals) = 0;
  const char *label = wl_label(object, name);
  return (label != NULL && strcmp(label, value) == 0) != is_negative;
}

static bool is_selected(wl_json object, const char *selector, const char *other) {
  (void)other;
  while (*selector != 0) {
    size_t length = strcspn(selector, ",");
    if (!meets(object, selector, length)) return false;
    selector += length + (selector[length] == ',');
  }
  return true;
}

wl_objects wl_lister_list(uint32_t watch, const char *namespace, const char *label_selector) {
  return filter(watched(watch, namespace), is_selected, label_selector, NULL);
}

static bool is_indexed(wl_json object, const char *path, const char *value) {
  while (*path != 0) {
    size_t length = strcspn(path, ".");
    object = wl_json_at(object, wl_copy(path, length));
    path += length + (path[length] == '.');
  }
  if (wl_json_type_of(object) == WL_JSON_STRING) return wl_json_is(object, value);
  return object.text != NULL && object.length == strlen(value) && memcmp(object.text, value, object.length) == 0;
}

wl_objects wl_lister_by_index(uint32_t watch, const char *index, const char *value) {
  wl_objects all = watched(watch, NULL);
  const wl_index *indexes = wl_the_fake.manifest->watches[watch].indexes;
  for (; indexes != NULL && indexes->name != NULL; indexes++) {
    if (strcmp(indexes->name, index) == 0) return filter(all, is_indexed, indexes->path, value);
  }
  wl_error_line("a lister refused", "problem", wl_print("no index %s", index));
  return (wl_objects){0};
}

static bool is_of_owner(wl_json object, const char *uid, const char *other) {
  (void)other;
  return wl_is_controlled_by(object, uid);
}

wl_objects wl_lister_by_owner(uint32_t watch, const char *uid) {
  return filter(watched(watch, NULL), is_of_owner, uid, NULL);
}

static bool is_orphan(wl_json object, const char *argument, const char *other) {
  (void)argument, (void)other;
  return !wl_has_controller(object);
}

wl_objects wl_lister_orphans(uint32_t watch, const char *namespace) {
  return filter(watched(watch, namespace), is_orphan, NULL, NULL);
}

// === Log and events ===

void wl_log(wl_level level, const char *const *texts, size_t count) {
  static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
  if (count == 0) return;
  const char *line = wl_print("%s %s", names[level], texts[0]);
  for (size_t at = 1; at + 1 < count; at += 2) {
    line = wl_print("%s %s=%s", line, texts[at], texts[at + 1] == NULL ? "" : texts[at + 1]);
  }
  wl_lines_add(&wl_the_fake.log, line);
}

bool wl_log_enabled(wl_level level) {
  (void)level;
  return true;
}

void wl_host_record(const wl_host_event *event) {
  const char *type = event->type == WL_WARNING ? "Warning" : "Normal";
  wl_lines_add(&wl_the_fake.events, wl_print("%s %s %s", type, event->reason, event->message));
}

// === Metrics ===

typedef struct series {
  uint32_t metric;
  char *labels;
  double value;
} series;

static char **names;
static uint32_t name_count;
static series *all_series;
static size_t series_count;

static char *join(const char *const *labels) {
  const char *joined = "";
  for (; labels != NULL && *labels != NULL; labels++) joined = wl_print("%s\n%s", joined, *labels);
  return (char *)joined;
}

static double *value_of(uint32_t metric, const char *labels, bool make) {
  for (size_t at = 0; at < series_count; at++) {
    if (all_series[at].metric == metric && strcmp(all_series[at].labels, labels) == 0) return &all_series[at].value;
  }
  if (!make) return NULL;
  all_series = realloc(all_series, (series_count + 1) * sizeof *all_series);
  if (all_series == NULL) abort();
  all_series[series_count] = (series){.metric = metric, .labels = wl_keep(labels, strlen(labels))};
  return &all_series[series_count++].value;
}

static uint32_t place_of(const char *name) {
  uint32_t place = 0;
  while (place < name_count && strcmp(names[place], name) != 0) place++;
  return place;
}

const char *wl_metric_declare(const wl_metric *metric, uint32_t *id) {
  *id = place_of(metric->name);
  if (*id < name_count) return NULL;
  names = realloc(names, (name_count + 1) * sizeof *names);
  if (names == NULL) abort();
  names[name_count++] = wl_keep(metric->name, strlen(metric->name));
  return NULL;
}

void wl_metric_add(uint32_t id, const char *const *labels, double value) { *value_of(id, join(labels), true) += value; }

void wl_metric_set(uint32_t id, const char *const *labels, double value) { *value_of(id, join(labels), true) = value; }

void wl_metric_observe(uint32_t id, const char *const *labels, double value) { wl_metric_add(id, labels, value); }

double wl_test_metric(const char *name, const char *const *labels) {
  const double *value = value_of(place_of(name), join(labels), false);
  return value == NULL ? 0 : *value;
}

void wl_metrics_clear(void) {
  while (name_count > 0) free(names[--name_count]);
  while (series_count > 0) free(all_series[--series_count].labels);
  free(names);
  free(all_series);
  names = NULL;
  all_series = NULL;
}

// === The rest ===

wl_time wl_now(void) { return wl_the_fake.now; }

uint64_t wl_monotonic(void) {
  return (uint64_t)wl_the_fake.now.seconds * 1000000000 + wl_the_fake.now.nanoseconds;
}

wl_json wl_config(void) {
  const char *config = wl_the_fake.config == NULL ? "{}" : wl_copy(wl_the_fake.config, strlen(wl_the_fake.config));
  return wl_json_parse(config, strlen(config));
}

void wl_enqueue_key(wl_key key, uint64_t after_ms, int32_t priority) {
  (void)priority;
  const char *line = wl_print("%s after %llu ms", wl_key_print(key), (unsigned long long)after_ms);
  wl_lines_add(&wl_the_fake.queued, line);
}

bool wl_resolve(const char *group, const char *version, const char *kind, wl_resource *resource, bool *namespaced) {
  const char *plural = wl_plural_of(wl_json_print("{'kind': %s}", kind));
  *resource = (wl_resource){.group = group, .version = version, .plural = plural, .kind = kind};
  *namespaced = true;
  return true;
}

uint64_t wl_random(void) { return wl_fake_number() * 0x9E3779B97F4A7C15u; }
