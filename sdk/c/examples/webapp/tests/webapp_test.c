#include "windlass/testing.h"

#define KEY "default/shop"

static void begin(void) {
  wl_test_begin(wl_registered());
  wl_test_put("{'apiVersion': 'examples.windlass.dev/v1', 'kind': 'WebApp',"
              " 'metadata': {'namespace': 'default', 'name': 'shop', 'uid': 'app'},"
              " 'spec': {'image': 'shop:1', 'replicas': 2, 'config': {'COLOUR': 'gr\xc3\xbcn'}}}");
}

static void sync(void) { WL_EXPECT(wl_test_sync(KEY).kind == WL_DONE); }

// All that a new WebApp leads to.
static void settle(void) {
  begin();
  for (int round = 0; round < 3; round++) sync();
}

static void forget(void) {
  wl_test_calls();
  wl_test_events();
}

static wl_json condition(const char *field) {
  return wl_json_at(wl_test_get("webapps", KEY), "status", "conditions", "0", field);
}

static void the_finalizer_comes_first(void) {
  begin();
  sync();
  WL_EXPECT_TEXT(wl_test_calls(), "patch webapps default/shop");
  WL_EXPECT_JSON(wl_json_at(wl_test_get("webapps", KEY), "metadata", "finalizers"), "['examples.windlass.dev/webapp']");
}

static void it_owns_three_objects_of_its_name(void) {
  settle();
  WL_EXPECT_TEXT(wl_test_events(),
                 "Normal Created Created ConfigMap shop\n"
                 "Normal Created Created Deployment shop\n"
                 "Normal Created Created Service shop");
  static const char *const plurals[] = {"configmaps", "deployments", "services"};
  for (int at = 0; at < 3; at++) {
    wl_json object = wl_test_get(plurals[at], KEY);
    WL_EXPECT_JSON(wl_json_at(object, "metadata", "labels"), "{'app': 'shop'}");
    WL_EXPECT_JSON(wl_json_at(object, "metadata", "ownerReferences"),
                   "[{'apiVersion': 'examples.windlass.dev/v1', 'kind': 'WebApp', 'name': 'shop', 'uid': 'app',"
                   " 'controller': true, 'blockOwnerDeletion': true}]");
  }
  WL_EXPECT_JSON(wl_json_at(wl_test_get("configmaps", KEY), "data"), "{'COLOUR': 'gr\xc3\xbcn'}");
  WL_EXPECT_JSON(wl_json_at(wl_test_get("services", KEY), "spec"),
                 "{'selector': {'app': 'shop'}, 'ports': [{'port': 80, 'targetPort': 80}]}");
  WL_EXPECT_JSON(wl_json_at(wl_test_get("deployments", KEY), "spec", "template", "spec", "containers"),
                 "[{'name': 'web', 'image': 'shop:1', 'ports': [{'containerPort': 80}],"
                 " 'envFrom': [{'configMapRef': {'name': 'shop'}}]}]");
  WL_EXPECT_TEXT(wl_json_text(condition("reason")), "Progressing");
  WL_EXPECT_TEXT(wl_json_text(condition("message")), "0 of 2 replicas are ready");
  forget();
  sync();
  WL_EXPECT_TEXT(wl_test_calls(), "");
}

static void what_drifts_is_corrected_and_what_others_set_is_left(void) {
  settle();
  forget();
  wl_test_edit("deployments", KEY, "{'spec': {'replicas': 7, 'minReadySeconds': 5}}");
  wl_test_edit("configmaps", KEY, "{'data': {'COLOUR': 'red', 'more': 'less'}}");
  wl_test_edit("services", KEY, "{'spec': {'selector': {'and': 'more'}, 'type': 'ClusterIP'}}");
  sync();
  wl_json spec = wl_json_at(wl_test_get("deployments", KEY), "spec");
  WL_EXPECT(wl_json_covers(spec, wl_json_print("{'replicas': 2, 'minReadySeconds': 5}")));
  WL_EXPECT_JSON(wl_json_at(wl_test_get("configmaps", KEY), "data"), "{'COLOUR': 'gr\xc3\xbcn'}");
  wl_json service = wl_json_at(wl_test_get("services", KEY), "spec");
  WL_EXPECT_JSON(wl_json_at(service, "selector"), "{'app': 'shop'}");
  WL_EXPECT_TEXT(wl_json_text(wl_json_at(service, "type")), "ClusterIP");
  WL_EXPECT_TEXT(wl_test_events(),
                 "Normal Drifted Corrected ConfigMap shop\n"
                 "Normal Drifted Corrected Deployment shop\n"
                 "Normal Drifted Corrected Service shop");
  wl_test_edit("services", KEY, "{'metadata': {'labels': null}, 'spec': {'sessionAffinity': 'None'}}");
  sync();
  WL_EXPECT_TEXT(wl_test_events(), "Normal Drifted Corrected Service shop");
  WL_EXPECT_TEXT(wl_label(wl_test_get("services", KEY), "app"), "shop");
  wl_test_remove("services", KEY);
  sync();
  WL_EXPECT_TEXT(wl_test_events(), "Normal Created Created Service shop");
}

static void no_configuration_is_an_empty_one(void) {
  settle();
  wl_test_edit("webapps", KEY, "{'spec': {'config': null}}");
  sync();
  WL_EXPECT(wl_json_count(wl_json_at(wl_test_get("configmaps", KEY), "data")) == 0);
  wl_test_edit("configmaps", KEY, "{'data': null}");
  forget();
  sync();
  WL_EXPECT_TEXT(wl_test_events(), "");
}

static void it_is_ready_when_all_replicas_are(void) {
  settle();
  const char *before = wl_json_text(condition("lastTransitionTime"));
  wl_test_advance(60000);
  wl_test_edit("deployments", KEY, "{'status': {'readyReplicas': 1}}");
  sync();
  WL_EXPECT_TEXT(wl_json_text(condition("lastTransitionTime")), before);
  wl_test_edit("deployments", KEY, "{'status': {'readyReplicas': 2}}");
  sync();
  WL_EXPECT_TEXT(wl_json_text(condition("status")), "True");
  WL_EXPECT_TEXT(wl_json_text(condition("reason")), "AllReady");
  WL_EXPECT_TEXT(wl_json_text(condition("lastTransitionTime")), "2026-01-01T00:01:00Z");
  WL_EXPECT_JSON(wl_json_at(wl_test_get("webapps", KEY), "status", "readyReplicas"), "2");
}

static void what_belongs_to_somebody_else_is_not_touched(void) {
  begin();
  wl_test_put("{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'namespace': 'default', 'name': 'shop'}}");
  sync();
  forget();
  wl_result result = wl_test_sync(KEY);
  WL_EXPECT(result.kind == WL_TERMINAL);
  WL_EXPECT_TEXT(result.message, "Deployment default/shop exists and belongs to somebody else");
  WL_EXPECT_TEXT(wl_test_calls(), "create configmaps default/shop\nupdate webapps/status default/shop");
  WL_EXPECT_TEXT(wl_json_text(condition("reason")), "NameTaken");
}

static void conflicts_are_tried_again(void) {
  settle();
  wl_test_edit("deployments", KEY, "{'spec': {'replicas': 7}}");
  wl_test_fail("update deployments", WL_CONFLICT);
  WL_EXPECT(wl_test_sync(KEY).kind == WL_RETRY);
}

static void it_goes_after_its_service(void) {
  settle();
  forget();
  wl_test_edit("webapps", KEY, "{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z'}}");
  wl_test_edit("services", KEY, "{'metadata': {'finalizers': ['example.com/wait']}}");
  sync();
  WL_EXPECT_TEXT(wl_test_calls(), "delete services default/shop");
  sync();
  WL_EXPECT_TEXT(wl_test_calls(), "");
  wl_test_remove("services", KEY);
  sync();
  WL_EXPECT_TEXT(wl_test_calls(), "patch webapps default/shop");
  WL_EXPECT(wl_test_count("webapps") == 0);
}

int main(void) {
  WL_RUN(the_finalizer_comes_first);
  WL_RUN(it_owns_three_objects_of_its_name);
  WL_RUN(what_drifts_is_corrected_and_what_others_set_is_left);
  WL_RUN(no_configuration_is_an_empty_one);
  WL_RUN(it_is_ready_when_all_replicas_are);
  WL_RUN(what_belongs_to_somebody_else_is_not_touched);
  WL_RUN(conflicts_are_tried_again);
  WL_RUN(it_goes_after_its_service);
  wl_test_end();
  return 0;
}
