/// @file
/// Everything else that the host does for a controller: log, events, metrics, configuration,
/// the queue, discovery, chance. None of it waits.

#ifndef WINDLASS_SERVICES_H
#define WINDLASS_SERVICES_H

#include "windlass/controller.h"

// === Log ===

/// How much a line of the log matters.
typedef enum wl_level {
  /// It needs an operator.
  WL_ERROR,
  /// Degraded, but coping.
  WL_WARN,
  /// Lifecycle.
  WL_INFO,
  /// About one line per sync.
  WL_DEBUG,
  /// Everything else.
  WL_TRACE,
} wl_level;

/// A line: a constant message, then names and values in turn, `count` texts altogether. NULL
/// is "".
void wl_log(wl_level level, const char *const *texts, size_t count);
/// Whether a line of this level would be written.
bool wl_log_enabled(wl_level level);

/// The same with the texts as arguments.
#define wl_log_line(level, ...) \
  wl_log((level), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
/// A line at WL_ERROR.
#define wl_error_line(...) wl_log_line(WL_ERROR, __VA_ARGS__)
/// A line at WL_WARN.
#define wl_warn(...) wl_log_line(WL_WARN, __VA_ARGS__)
/// A line at WL_INFO: `wl_info("expired", "at", text)`.
#define wl_info(...) wl_log_line(WL_INFO, __VA_ARGS__)
/// A line at WL_DEBUG.
#define wl_debug(...) wl_log_line(WL_DEBUG, __VA_ARGS__)
/// A line at WL_TRACE.
#define wl_trace(...) wl_log_line(WL_TRACE, __VA_ARGS__)

// === Events ===

/// What an event means.
typedef enum wl_event_type {
  /// Something went as it should.
  WL_NORMAL,
  /// Something may be wrong.
  WL_WARNING,
} wl_event_type;

/// A Kubernetes event about an object, sent in the background; losing one is not an error.
/// The reason is CamelCase; of the message, which is as printf makes it, 1,024 bytes are
/// kept.
void wl_event(wl_event_type type, const wl_resource *resource, wl_json object, const char *reason,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/// The same through `events.k8s.io/v1`, with what was being done, such as `Binding`.
void wl_event_with_action(wl_event_type type, const wl_resource *resource, wl_json object, const char *reason,
                          const char *action, const char *message);

// === Metrics ===

/// What a metric counts.
typedef enum wl_metric_kind {
  /// Only goes up.
  WL_COUNTER,
  /// Goes up and down.
  WL_GAUGE,
  /// Counts observations by size.
  WL_HISTOGRAM,
} wl_metric_kind;

/// A metric's declaration.
typedef struct wl_metric {
  /// Letters, digits and underscores, at most 100, no digit in front. Shown as
  /// `windlass_custom_NAME`.
  const char *name;
  /// One line for people.
  const char *help;
  /// What it counts.
  wl_metric_kind kind;
  /// Names of its labels, at most 8, ended by NULL; NULL for none. See WL_LIST().
  const char *const *labels;
  /// A histogram's upper bounds, ascending, at most 32; none for the usual ones, 5 ms to 10 s.
  const double *buckets;
  /// How many bounds there are.
  size_t bucket_count;
} wl_metric;

/// Declares a metric, which the other functions name by `id`. NULL, or what is wrong with it.
/// Values belong to the module and outlive its instances.
const char *wl_metric_declare(const wl_metric *metric, uint32_t *id);
/// Adds to a counter, nothing below zero, or to a gauge. Labels are values in the order of the declaration, ended by
/// NULL.
void wl_metric_add(uint32_t id, const char *const *labels, double value);
/// Sets a gauge.
void wl_metric_set(uint32_t id, const char *const *labels, double value);
/// Adds an observation to a histogram.
void wl_metric_observe(uint32_t id, const char *const *labels, double value);

// === The rest ===

/// The module's configuration; `{}` when the operator gave none.
wl_json wl_config(void);

/// Adds a key to the controller's own queue, after a time in milliseconds. Higher priorities
/// go first; the usual one is 0.
void wl_enqueue_key(wl_key key, uint64_t after_ms, int32_t priority);

/// Finds the resource that serves a kind; false when discovery does not know it.
bool wl_resolve(const char *group, const char *version, const char *kind, wl_resource *resource, bool *namespaced);

/// Random bits, good enough for names and jitter, not for secrets.
uint64_t wl_random(void);

#endif
