/// @file
/// Time as Kubernetes writes it.

#ifndef WINDLASS_TIME_H
#define WINDLASS_TIME_H

#include <stdbool.h>
#include <stdint.h>

/// A point in time since 1970-01-01T00:00:00Z.
typedef struct wl_time {
  /// Whole seconds; negative before 1970.
  int64_t seconds;
  /// And these, below 1,000,000,000.
  uint32_t nanoseconds;
} wl_time;

/// The wall clock of the host; may jump.
wl_time wl_now(void);

/// Nanoseconds since an arbitrary start; never goes back.
uint64_t wl_monotonic(void);

/// Reads RFC 3339, with fractions and offsets; false for anything else, days that no
/// calendar has and NULL included.
bool wl_time_parse(const char *text, wl_time *time);

/// RFC 3339 in UTC, in whole seconds, as `metav1.Time` is written.
const char *wl_time_print(wl_time time);

/// Milliseconds from `now` to `time`, rounded up; 0 if that has passed.
uint64_t wl_time_until(wl_time time, wl_time now);

#endif
