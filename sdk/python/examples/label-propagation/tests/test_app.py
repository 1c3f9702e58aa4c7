"""The controller against a fake cluster."""

from __future__ import annotations

import unittest

from app import PROPAGATED, TEAM, ConfigMap, LabelPropagation, Namespace
from windlass.testing import Cluster


class LabelPropagationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(LabelPropagation)
        self.addCleanup(self.cluster.close)

    def namespace(self, team: str | None) -> None:
        labels = {} if team is None else {TEAM: team}
        metadata = {"name": "shop", "labels": labels}
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def config_map(self, name: str, team: str | None = None) -> None:
        labels = {} if team is None else {"team": team}
        metadata = {"namespace": "shop", "name": name, "labels": labels}
        self.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    def team(self, name: str) -> tuple[str | None, str | None]:
        metadata = self.cluster.get(ConfigMap, f"shop/{name}").metadata
        return metadata.labels.get("team"), metadata.annotations.get(PROPAGATED)

    def test_a_label_is_set_changed_and_removed(self) -> None:
        self.namespace("red")
        self.config_map("a")
        self.config_map("b", team="blue")
        self.cluster.run()
        self.assertEqual((self.team("a"), self.team("b")), (("red", "true"), ("red", "true")))
        self.namespace("green")
        self.cluster.run()
        self.assertEqual((self.team("a"), self.team("b")), (("green", "true"), ("green", "true")))
        self.namespace(None)
        self.cluster.run()
        self.assertEqual((self.team("a"), self.team("b")), ((None, None), (None, None)))

    def test_what_is_right_is_not_written(self) -> None:
        self.namespace("red")
        self.config_map("a", team="red")
        self.cluster.run()
        self.assertEqual(self.cluster.take_calls(), [])
        self.namespace(None)
        self.cluster.run()
        self.assertEqual(self.team("a"), ("red", None))

    def test_a_change_of_a_namespace_concerns_its_config_maps_alone(self) -> None:
        self.config_map("a")
        self.cluster.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "other", "name": "b"}}
        )
        self.cluster.run()
        self.namespace("red")
        self.assertEqual([str(key) for key in self.cluster.queue], ["shop/a"])

    def test_a_label_that_was_taken_away_comes_back(self) -> None:
        self.namespace("red")
        self.config_map("a")
        self.cluster.run()
        with self.cluster.edit(ConfigMap, "shop/a") as config_map:
            config_map["metadata"]["labels"] = {}
        self.cluster.run()
        self.assertEqual(self.team("a"), ("red", "true"))

    def test_the_certificate_of_the_cluster_is_left_alone(self) -> None:
        self.namespace("red")
        self.config_map("kube-root-ca.crt")
        self.cluster.run()
        self.assertEqual(self.cluster.take_calls(), [])

    def test_the_patch_is_one_of_metadata(self) -> None:
        self.namespace("red")
        self.config_map("a")
        self.cluster.run()
        metadata = {"labels": {"team": "red"}, "annotations": {PROPAGATED: "true"}}
        self.assertEqual(self.cluster.take_bodies(), [("patch configmaps shop/a", {"metadata": metadata})])
        self.assertIsNotNone(self.cluster.get(Namespace, "shop"))


if __name__ == "__main__":
    unittest.main()
