"""The controller against a fake cluster."""

from __future__ import annotations

import unittest
from datetime import timedelta
from typing import Any

from app import FINALIZER, ConfigMap, Deployment, Service, WebApp, WebAppController
from windlass import Conflict, Retry, Terminal, find_condition
from windlass.testing import Cluster

KEY = "default/shop"


class WebAppTest(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(WebAppController)
        self.addCleanup(self.cluster.close)

    def put(self, **spec: Any) -> None:
        self.cluster.put(
            {
                "apiVersion": "examples.windlass.dev/v1",
                "kind": "WebApp",
                "metadata": {"namespace": "default", "name": "shop"},
                "spec": {"image": "nginx", "config": {"COLOUR": "red"}, **spec},
            }
        )

    def run_app(self, ready: int | None = None, **spec: Any) -> WebApp:
        """A WebApp that has settled, as many of its replicas ready."""
        self.put(**spec)
        self.cluster.run()
        if ready is not None:
            with self.cluster.edit(Deployment, KEY) as deployment:
                deployment["status"] = {"readyReplicas": ready}
            self.cluster.run()
        return self.cluster.get(WebApp, KEY)

    def ready(self) -> tuple[str, str, str]:
        condition = find_condition(self.cluster.get(WebApp, KEY).status.conditions, "Ready")
        assert condition is not None
        return condition.status, condition.reason, condition.message

    def test_everything_is_created_once(self) -> None:
        app = self.run_app(replicas=2, port=8080)
        self.assertEqual(
            self.cluster.take_events(),
            [f"Normal Created created {kind} shop" for kind in ("ConfigMap", "Deployment", "Service")],
        )
        self.assertEqual(app.metadata.finalizers, [FINALIZER])
        for kind in (ConfigMap, Deployment, Service):
            owned = self.cluster.get(kind, KEY).metadata
            self.assertTrue(owned.is_controlled_by(app))
            self.assertEqual(owned.owner_references[0].block_owner_deletion, True)
            self.assertEqual(owned.labels, {"app": "shop"})
        self.assertEqual(self.cluster.get(ConfigMap, KEY)["data"], {"COLOUR": "red"})
        spec = self.cluster.get(Deployment, KEY)["spec"]
        self.assertEqual((spec["replicas"], spec["selector"]), (2, {"matchLabels": {"app": "shop"}}))
        container = {
            "name": "web",
            "image": "nginx",
            "ports": [{"containerPort": 8080}],
            "envFrom": [{"configMapRef": {"name": "shop"}}],
        }
        self.assertEqual(spec["template"]["spec"]["containers"], [container])
        service = self.cluster.get(Service, KEY)["spec"]
        self.assertEqual(service, {"selector": {"app": "shop"}, "ports": [{"port": 8080, "targetPort": 8080}]})
        self.cluster.take_calls()
        self.cluster.sync(KEY)
        self.assertEqual(self.cluster.take_calls(), [])

    def test_the_status_follows_the_deployment(self) -> None:
        self.run_app(ready=1, replicas=2)
        self.assertEqual(self.ready(), ("False", "Progressing", "1 of 2 replicas are ready"))
        began = self.cluster.now
        self.cluster.advance(timedelta(seconds=9))
        app = self.run_app(ready=2, replicas=2)
        self.assertEqual(self.ready(), ("True", "AllReady", "2 of 2 replicas are ready"))
        condition = app.status.conditions[0]
        self.assertEqual(condition.last_transition_time, began + timedelta(seconds=9))
        self.assertEqual(app.status.ready_replicas, 2)
        self.assertEqual(app.status.observed_generation, app.metadata.generation)

    def test_drift_is_corrected_and_others_fields_are_let_be(self) -> None:
        self.run_app()
        self.cluster.take_events()
        with self.cluster.edit(ConfigMap, KEY) as config_map:
            config_map["data"] = {"COLOUR": "blue", "EXTRA": "x"}
        with self.cluster.edit(Deployment, KEY) as deployment:
            deployment["spec"]["replicas"] = 9
            deployment["spec"]["strategy"] = {"type": "Recreate"}
            deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
        with self.cluster.edit(Service, KEY) as service:
            service["metadata"]["labels"] = {"other": "x"}
            service["spec"]["ports"][0]["protocol"] = "TCP"
        self.cluster.run()
        self.assertEqual(
            self.cluster.take_events(),
            [f"Normal Drifted corrected {kind} shop" for kind in ("ConfigMap", "Deployment", "Service")],
        )
        self.assertEqual(self.cluster.get(ConfigMap, KEY)["data"], {"COLOUR": "red"})
        spec = self.cluster.get(Deployment, KEY)["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))
        self.assertEqual(spec["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always")
        service = self.cluster.get(Service, KEY)
        self.assertEqual(service.metadata.labels, {"other": "x", "app": "shop"})
        self.assertEqual(service["spec"]["ports"][0]["protocol"], "TCP")

    def test_what_a_server_adds_is_no_drift(self) -> None:
        self.run_app(config={})
        with self.cluster.edit(Service, KEY) as service:
            service["spec"]["clusterIP"] = "10.0.0.1"
        with self.cluster.edit(ConfigMap, KEY) as config_map:
            config_map.pop("data", None)
        self.cluster.take_calls()
        self.cluster.run()
        self.assertEqual(self.cluster.take_calls(), [])

    def test_what_was_deleted_is_made_again(self) -> None:
        self.run_app()
        self.cluster.remove(Service, KEY)
        self.cluster.run()
        self.assertIsNotNone(self.cluster.find(Service, KEY))

    def test_somebody_elses_object_is_not_touched(self) -> None:
        metadata = {"namespace": "default", "name": "shop"}
        foreign = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 1}]}}
        self.cluster.put(foreign)
        self.put()
        message = "Service shop exists and is not this WebApp's"
        self.assertRaisesRegex(Terminal, message, self.cluster.run)
        self.assertEqual(self.ready(), ("False", "NameTaken", message))
        self.assertEqual(self.cluster.get(Service, KEY)["spec"], {"ports": [{"port": 1}]})

    def test_the_service_goes_before_the_webapp(self) -> None:
        self.run_app()
        with self.cluster.edit(Service, KEY) as service:
            service["metadata"]["finalizers"] = ["example.org/slow"]
        with self.cluster.edit(WebApp, KEY) as app:
            app["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.cluster.take_calls()
        self.cluster.run()
        self.assertEqual(self.cluster.take_calls(), ["delete services default/shop"])
        self.cluster.remove(Service, KEY)
        self.cluster.run()
        self.assertIsNone(self.cluster.find(WebApp, KEY))

    def test_a_conflict_is_tried_again(self) -> None:
        self.put()
        self.cluster.fail(lambda call: Conflict("changed") if call.startswith("update") else None)
        self.assertRaises(Retry, self.cluster.run)

    def test_a_spec_that_does_not_fit_is_terminal(self) -> None:
        self.put(replicas="many")
        self.assertRaisesRegex(Terminal, "spec.replicas: expected int, found str", self.cluster.run)


if __name__ == "__main__":
    unittest.main()
