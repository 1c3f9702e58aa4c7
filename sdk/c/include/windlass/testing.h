/// @file
/// A fake cluster for native tests of a controller.
///
/// It answers everything that a controller may ask of the host, at once and from one store:
/// caches are never behind, names and UIDs are counted, time stands still until it is
/// advanced. It knows what controllers rely on (resource versions, conflicts, preconditions,
/// generations, status as a part of its own, finalizers) and validates nothing. The plural of
/// a kind is its name in lower case with an `s`; every kind is served and lives in
/// namespaces, as far as discovery is asked. JSON patches are refused, strategic ones merge
/// no list but `ownerReferences`, label selectors know =, ==, !=, NAME and !NAME.
///
/// A key is written `namespace/name`, or `name`. What happened is told of the time since it was
/// last asked, a line for each, "" for nothing. The program ends at the first expectation
/// that is not met.
///
/// A test is compiled with the controller's sources, the SDK's `src` and `src/testing`, by
/// any C compiler: see test.sh of the SDK. What the functions return lasts until the next
/// wl_test_begin(), a result's message until the next sync.

#ifndef WINDLASS_TESTING_H
#define WINDLASS_TESTING_H

#include "windlass/sdk.h"

/// An empty cluster with this controller in it; replaces the one before.
void wl_test_begin(const wl_controller *controller);

/// Frees everything. The SDK's memory is then as before the first test.
void wl_test_end(void);

// === Objects ===

/// Creates or replaces an object, status included, as anybody in the cluster might; the
/// template is that of wl_json_print(). What the server would fill in is filled in. Returns
/// what is stored. A test ends if it is no object.
wl_json wl_test_put(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Changes a stored object by a merge patch, as anybody might.
void wl_test_edit(const char *plural, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// A stored object; absent if there is none.
wl_json wl_test_get(const char *plural, const char *key);

/// How many objects a collection has.
size_t wl_test_count(const char *plural);

/// Removes an object without asking its finalizers.
void wl_test_remove(const char *plural, const char *key);

// === Running ===

/// Calls `start`: NULL, or what it says.
const char *wl_test_start(void);

/// Runs one sync to its end, with memory of its own as in a component.
wl_result wl_test_sync(const char *key);

/// Asks `keys_for` about a stored object: the keys, a line for each.
const char *wl_test_keys_for(uint32_t watch, const char *plural, const char *key);

/// Calls `observe` with one delta of a stored object.
void wl_test_observe(uint32_t watch, wl_delta_kind kind, const char *plural, const char *key);

// === What happened ===

/// What was asked of the API server, as in `update webapps/status default/shop`.
const char *wl_test_calls(void);

/// Events, as in `Normal Created Created Service shop`.
const char *wl_test_events(void);

/// Lines of the log, as in `info expired at=2026-01-01T00:00:00Z`.
const char *wl_test_log(void);

/// Keys that the controller enqueued itself, as in `default/shop after 5 ms`.
const char *wl_test_queued(void);

/// The value of a metric for these values of its labels, of a histogram the sum of what was
/// observed; 0 if it was never given one. Labels end with NULL: see WL_LIST().
double wl_test_metric(const char *name, const char *const *labels);

// === Circumstances ===

/// From now on, calls whose text as in wl_test_calls() begins so fail in this way. NULL ends it.
void wl_test_fail(const char *call, wl_error_kind kind);

/// Lets time pass. It begins with 2026-01-01T00:00:00Z.
void wl_test_advance(uint64_t ms);

/// The module's configuration.
void wl_test_configure(const char *format, ...) __attribute__((format(printf, 1, 2)));

// === Expectations ===

/// Runs a test and says so.
#define WL_RUN(test) wl_test_run(#test, test)
/// What WL_RUN() calls.
void wl_test_run(const char *name, void (*test)(void));

/// That a condition holds.
#define WL_EXPECT(condition) wl_test_expect((condition), __FILE__, __LINE__, #condition)
/// What WL_EXPECT() calls.
void wl_test_expect(bool condition, const char *file, int line, const char *text);

/// That two texts are the same; what differs is printed.
#define WL_EXPECT_TEXT(actual, expected) wl_test_expect_text((actual), (expected), __FILE__, __LINE__)
/// What WL_EXPECT_TEXT() calls.
void wl_test_expect_text(const char *actual, const char *expected, const char *file, int line);

/// That a value is the one that a template of wl_json_print() makes.
#define WL_EXPECT_JSON(actual, ...) wl_test_expect_json((actual), wl_json_print(__VA_ARGS__), __FILE__, __LINE__)
/// What WL_EXPECT_JSON() calls.
void wl_test_expect_json(wl_json actual, wl_json expected, const char *file, int line);

#endif
