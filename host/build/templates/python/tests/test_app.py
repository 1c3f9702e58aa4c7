"""The controller on a fake cluster: no API server, no wasm, a few milliseconds."""

import unittest

from app import ConfigMap, Greeter, Greeting
from windlass import Condition, find_condition
from windlass.testing import Cluster

KEY = "default/hello"


class GreeterTest(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(Greeter)
        self.addCleanup(self.cluster.close)

    def greet(self) -> None:
        """A Greeting, and all that it leads to."""
        metadata = {"namespace": "default", "name": "hello"}
        self.cluster.put(
            {"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": metadata, "spec": {"name": "World"}}
        )
        self.cluster.run()

    def ready(self) -> Condition:
        condition = find_condition(self.cluster.get(Greeting, KEY).status.conditions, "Ready")
        assert condition is not None
        return condition

    def test_a_greeting_gets_a_config_map_a_status_and_an_event(self) -> None:
        self.greet()
        calls = self.cluster.take_calls()
        self.assertEqual(len(calls), 2, calls)
        greeting, config_map = self.cluster.get(Greeting, KEY), self.cluster.get(ConfigMap, KEY)
        self.assertEqual(config_map.data, {"message": "Hello, World!"})
        self.assertTrue(config_map.metadata.is_controlled_by(greeting))
        self.assertEqual(self.cluster.take_events(), ["Normal Created Created ConfigMap hello"])
        self.assertEqual((greeting.status.message, greeting.status.observed_generation), ("Hello, World!", 1))
        self.assertEqual(self.ready().status, "True")
        self.cluster.sync(KEY)
        self.assertEqual(self.cluster.take_calls(), [], "nothing is left to do")

    def test_drift_is_corrected_and_what_others_added_stays(self) -> None:
        self.greet()
        with self.cluster.edit(ConfigMap, KEY) as config_map:
            config_map["data"] = {"message": "Go away!", "colour": "blue"}
        self.cluster.run()
        data = self.cluster.get(ConfigMap, KEY).data
        self.assertEqual(data, {"message": "Hello, World!", "colour": "blue"})
        self.cluster.remove(ConfigMap, KEY)
        self.cluster.run()
        self.assertIsNotNone(self.cluster.find(ConfigMap, KEY))

    def test_another_name_arrives(self) -> None:
        self.greet()
        with self.cluster.edit(Greeting, KEY) as greeting:
            greeting["spec"]["name"] = "Windlass"
            greeting["metadata"]["generation"] = 2
        self.cluster.run()
        self.assertEqual(self.cluster.get(ConfigMap, KEY).data["message"], "Hello, Windlass!")
        status = self.cluster.get(Greeting, KEY).status
        self.assertEqual((status.message, status.observed_generation), ("Hello, Windlass!", 2))

    def test_a_config_map_of_somebody_else_is_left_alone(self) -> None:
        metadata = {"namespace": "default", "name": "hello"}
        self.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        self.greet()
        self.assertEqual(self.cluster.take_calls(), ["patch greetings/status default/hello"])
        self.assertEqual((self.ready().status, self.ready().reason), ("False", "Conflict"))
        self.assertIsNotNone(self.cluster.sync(KEY).requeue_after)


if __name__ == "__main__":
    unittest.main()
