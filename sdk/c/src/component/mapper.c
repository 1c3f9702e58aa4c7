// The mapper, for guests whose project file names it.

#ifdef WINDLASS_MAPPER

#include <stdlib.h>

#include "convert.h"
#include "windlass/controller.h"

__attribute__((weak)) void exports_windlass_controller_mapper_keys_for(
    uint32_t watch, exports_windlass_controller_mapper_object_key_t *key,
    exports_windlass_controller_mapper_json_t *body, exports_windlass_controller_mapper_json_t *maybe_old,
    exports_windlass_controller_mapper_list_object_key_t *ret) {
  wl_scope scope = wl_scope_begin();
  wl_json old = maybe_old == NULL ? (wl_json){0} : wl_take_json(*maybe_old);
  wl_keys keys = wl_registered()->keys_for(watch, wl_take_key(*key), wl_take_json(*body), old);
  *ret = (exports_windlass_controller_mapper_list_object_key_t){.len = keys.count};
  if (keys.count > 0) {
    ret->ptr = malloc(keys.count * sizeof *ret->ptr);
    if (ret->ptr == NULL) abort();
  }
  for (size_t at = 0; at < keys.count; at++) {
    ret->ptr[at].namespace_ = wl_give(keys.keys[at].namespace);
    ret->ptr[at].name = wl_give(keys.keys[at].name);
  }
  wl_scope_end(scope);
}

#endif
