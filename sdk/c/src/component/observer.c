// The observer, for guests whose project file names it.

#ifdef WINDLASS_OBSERVER

#include <stdlib.h>

#include "convert.h"
#include "windlass/controller.h"

static const wl_delta_kind kinds[] = {
    [EXPORTS_WINDLASS_CONTROLLER_OBSERVER_DELTA_KIND_ADDED] = WL_DELTA_ADDED,
    [EXPORTS_WINDLASS_CONTROLLER_OBSERVER_DELTA_KIND_UPDATED] = WL_DELTA_UPDATED,
    [EXPORTS_WINDLASS_CONTROLLER_OBSERVER_DELTA_KIND_DELETED] = WL_DELTA_DELETED,
};

static wl_delta take_delta(const exports_windlass_controller_observer_delta_t *delta) {
  return (wl_delta){
      .kind = kinds[delta->kind],
      .key = wl_take_key(delta->key),
      .initial = delta->initial,
      .body = wl_take_json(delta->body),
      .old = delta->old.is_some ? wl_take_json(delta->old.val) : (wl_json){0},
  };
}

static wl_batch take_batch(const exports_windlass_controller_observer_batch_t *batch) {
  wl_delta *deltas = wl_alloc(batch->deltas.len * sizeof *deltas);
  for (size_t at = 0; at < batch->deltas.len; at++) deltas[at] = take_delta(&batch->deltas.ptr[at]);
  if (batch->deltas.len > 0) free(batch->deltas.ptr);
  return (wl_batch){
      .watch = batch->watch,
      .resource = {.group = wl_take(batch->resource.group),
                   .version = wl_take(batch->resource.version),
                   .plural = wl_take(batch->resource.plural),
                   .kind = wl_take(batch->kind)},
      .namespaced = batch->namespaced,
      .deltas = deltas,
      .count = batch->deltas.len,
  };
}

__attribute__((weak)) void exports_windlass_controller_observer_observe(
    exports_windlass_controller_observer_list_batch_t *batches) {
  wl_scope scope = wl_scope_begin();
  wl_batch *taken = wl_alloc(batches->len * sizeof *taken);
  for (size_t at = 0; at < batches->len; at++) taken[at] = take_batch(&batches->ptr[at]);
  if (batches->len > 0) free(batches->ptr);
  wl_registered()->observe(taken, batches->len);
  wl_scope_end(scope);
}

#endif
