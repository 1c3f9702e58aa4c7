#include "windlass/testing.h"

enum { NAMESPACES };

static void begin(const char *team) {
  wl_test_begin(wl_registered());
  wl_test_put("{'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'shop', 'labels': {%s: %s}}}",
              team == NULL ? "other" : "examples.windlass.dev/team", team);
}

static void put(const char *namespace, const char *name, const char *team) {
  wl_test_put("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'namespace': %s, 'name': %s,"
              " 'labels': {'app': 'a', %s: %s}}}",
              namespace, name, team == NULL ? "other" : "team", team == NULL ? "x" : team);
}

static const char *sync(const char *key) {
  WL_EXPECT(wl_test_sync(key).kind == WL_DONE);
  return wl_test_calls();
}

static void the_label_follows_the_namespace_and_goes_with_it(void) {
  begin("red");
  put("shop", "a", "blue");
  WL_EXPECT_TEXT(sync("shop/a"), "patch configmaps shop/a");
  wl_json metadata = wl_json_at(wl_test_get("configmaps", "shop/a"), "metadata");
  WL_EXPECT_JSON(wl_json_at(metadata, "labels"), "{'app': 'a', 'team': 'red'}");
  WL_EXPECT_JSON(wl_json_at(metadata, "annotations"), "{'examples.windlass.dev/propagated': 'true'}");
  WL_EXPECT_TEXT(sync("shop/a"), "");
  wl_test_edit("namespaces", "shop", "{'metadata': {'labels': null}}");
  WL_EXPECT_TEXT(sync("shop/a"), "patch configmaps shop/a");
  metadata = wl_json_at(wl_test_get("configmaps", "shop/a"), "metadata");
  WL_EXPECT_JSON(wl_json_at(metadata, "labels"), "{'app': 'a'}");
  WL_EXPECT_JSON(wl_json_at(metadata, "annotations"), "{}");
  WL_EXPECT_TEXT(sync("shop/a"), "");
}

static void what_others_set_stays(void) {
  begin(NULL);
  put("shop", "theirs", "blue");
  WL_EXPECT_TEXT(sync("shop/theirs"), "");
  WL_EXPECT_TEXT(sync("shop/gone"), "");
  begin("red");
  put("shop", "kube-root-ca.crt", NULL);
  WL_EXPECT_TEXT(sync("shop/kube-root-ca.crt"), "");
}

static void a_namespace_stands_for_all_that_is_in_it(void) {
  begin("red");
  put("shop", "a", NULL);
  put("shop", "b", NULL);
  put("other", "c", NULL);
  WL_EXPECT_TEXT(wl_test_keys_for(NAMESPACES, "namespaces", "shop"), "shop/a\nshop/b");
}

int main(void) {
  WL_RUN(the_label_follows_the_namespace_and_goes_with_it);
  WL_RUN(what_others_set_stays);
  WL_RUN(a_namespace_stands_for_all_that_is_in_it);
  wl_test_end();
  return 0;
}
