// The fake cluster's objects.

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

// By plural, namespace and name.
typedef struct entry {
  char *plural, *namespace, *name;
  char *text;
  size_t length;
} entry;

static entry *entries;
static size_t count;

static int compare(const entry *entry, const char *plural, wl_key key) {
  int order = strcmp(entry->plural, plural);
  if (order == 0) order = strcmp(entry->namespace, key.namespace);
  return order == 0 ? strcmp(entry->name, key.name) : order;
}

// Where the object is, or would be.
static size_t place_of(const char *plural, wl_key key, bool *is_there) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (compare(&entries[middle], plural, key) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  *is_there = low < count && compare(&entries[low], plural, key) == 0;
  return low;
}

// A copy, which stays as it is whatever happens to the object.
static wl_json read(const entry *entry) { return wl_json_parse(wl_copy(entry->text, entry->length), entry->length); }

wl_json wl_store_find(const char *plural, wl_key key) {
  bool is_there;
  size_t place = place_of(plural, key, &is_there);
  return is_there ? read(&entries[place]) : (wl_json){0};
}

static entry *make_room(size_t place) {
  entries = realloc(entries, (count + 1) * sizeof *entries);
  if (entries == NULL) abort();
  memmove(&entries[place + 1], &entries[place], (count - place) * sizeof *entries);
  count++;
  return &entries[place];
}

static void store(wl_json object) {
  const char *plural = wl_plural_of(object);
  wl_key key = wl_key_of(object);
  bool is_there;
  size_t place = place_of(plural, key, &is_there);
  if (is_there) {
    free(entries[place].text);
  } else {
    *make_room(place) = (entry){
        .plural = wl_keep(plural, strlen(plural)),
        .namespace = wl_keep(key.namespace, strlen(key.namespace)),
        .name = wl_keep(key.name, strlen(key.name)),
    };
  }
  entries[place].text = wl_keep(object.text, object.length);
  entries[place].length = object.length;
}

static wl_json fill_in(wl_json object, const char *field, wl_json value) {
  if (wl_json_is_set(wl_json_at(object, "metadata", field))) return object;
  return wl_json_set(object, value, "metadata", field);
}

wl_json wl_store_put(wl_json object) {
  unsigned long long number = wl_fake_number();
  const char *from = wl_json_text(wl_json_at(object, "metadata", "generateName"));
  object = fill_in(object, "name", wl_json_print("%s", wl_print("%s%llu", from, number)));
  object = fill_in(object, "uid", wl_json_print("%s", wl_print("uid-%llu", number)));
  object = fill_in(object, "creationTimestamp", wl_json_print("%s", wl_time_print(wl_the_fake.now)));
  object = fill_in(object, "generation", wl_json_print("1"));
  object = wl_json_set(object, wl_json_print("%s", wl_print("%llu", number)), "metadata", "resourceVersion");
  store(object);
  return object;
}

static void drop(size_t place) {
  free(entries[place].plural);
  free(entries[place].namespace);
  free(entries[place].name);
  free(entries[place].text);
  count--;
  memmove(&entries[place], &entries[place + 1], (count - place) * sizeof *entries);
}

void wl_store_remove(const char *plural, wl_key key) {
  bool is_there;
  size_t place = place_of(plural, key, &is_there);
  if (is_there) drop(place);
}

wl_objects wl_store_list(const char *plural, const char *namespace) {
  wl_json *objects = wl_alloc(count * sizeof *objects);
  size_t found = 0;
  for (size_t at = 0; at < count; at++) {
    if (strcmp(entries[at].plural, plural) != 0) continue;
    if (namespace == NULL || strcmp(entries[at].namespace, namespace) == 0) objects[found++] = read(&entries[at]);
  }
  return (wl_objects){.objects = objects, .count = found};
}

const char *wl_plural_of(wl_json object) {
  const char *kind = wl_json_text(wl_json_at(object, "kind"));
  char *plural = wl_alloc(strlen(kind) + 2);
  size_t length = 0;
  for (; kind[length] != 0; length++) plural[length] = (char)tolower((unsigned char)kind[length]);
  plural[length] = 's';
  return plural;
}

void wl_store_clear(void) {
  while (count > 0) drop(count - 1);
  free(entries);
  entries = NULL;
}
