/// @file
/// Reads from the host's caches. They never wait and never ask the API server; what a sync
/// reads is not older than what earlier syncs of its key wrote. `watch` is a position in the
/// manifest's watches; a wrong one ends the instance.

#ifndef WINDLASS_LISTER_H
#define WINDLASS_LISTER_H

#include "windlass/controller.h"

/// Objects in no order.
typedef struct wl_objects {
  /// The first of them.
  const wl_json *objects;
  /// How many there are.
  size_t count;
} wl_objects;

/// One object; absent if there is none.
wl_json wl_lister_get(uint32_t watch, wl_key key);

/// All objects of a namespace, or with NULL of all, that match a label selector, or with ""
/// all. A selector that does not parse finds nothing and is logged as an error.
wl_objects wl_lister_list(uint32_t watch, const char *namespace, const char *label_selector);

/// Objects with this value under a declared index. An undeclared one finds nothing and is
/// logged as an error.
wl_objects wl_lister_by_index(uint32_t watch, const char *index, const char *value);

/// Objects whose controlling owner has this UID.
wl_objects wl_lister_by_owner(uint32_t watch, const char *uid);

/// Objects of a namespace without a controlling owner.
wl_objects wl_lister_orphans(uint32_t watch, const char *namespace);

#endif
