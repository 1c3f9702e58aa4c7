"""The controller against a fake cluster."""

from __future__ import annotations

import unittest
from datetime import timedelta

from app import ANNOTATION, ConfigMap, Ttl
from windlass import NotFound, Result, Terminal, format_time
from windlass.testing import Cluster


class TtlTest(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(Ttl)
        self.addCleanup(self.cluster.close)

    def put(self, expires: str | None) -> None:
        annotations = {} if expires is None else {ANNOTATION: expires}
        metadata = {"namespace": "default", "name": "a", "uid": "1", "annotations": annotations}
        self.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    def put_expiring_in(self, seconds: int) -> None:
        self.put(format_time(self.cluster.now + timedelta(seconds=seconds)))

    def test_what_is_gone_or_does_not_expire_is_let_be(self) -> None:
        self.assertEqual(self.cluster.sync("default/a"), Result())
        self.put(None)
        self.assertEqual(self.cluster.sync("default/a"), Result())
        self.assertEqual(self.cluster.take_calls(), [])

    def test_what_is_not_due_is_looked_at_when_it_is(self) -> None:
        self.put_expiring_in(60)
        self.assertEqual(self.cluster.sync("default/a"), Result(timedelta(seconds=60)))
        self.cluster.run()
        self.cluster.advance(timedelta(seconds=60))
        self.cluster.run()
        self.assertIsNone(self.cluster.find(ConfigMap, "default/a"))

    def test_what_is_due_is_deleted_and_counted(self) -> None:
        self.put_expiring_in(-1)
        with self.assertLogs("app", "INFO") as logs:
            self.cluster.sync("default/a")
        self.assertEqual(self.cluster.take_bodies(), [("delete configmaps default/a", {"uid": "1"})])
        self.assertEqual(self.cluster.metric("expired_total", namespace="default"), 1)
        self.assertEqual(logs.records[0].getMessage(), "expired")

    def test_what_went_in_the_meantime_is_fine(self) -> None:
        self.put_expiring_in(-1)
        self.cluster.fail(lambda call: NotFound("gone"))
        self.assertEqual(self.cluster.sync("default/a"), Result())

    def test_what_is_no_time_is_terminal(self) -> None:
        self.put("tomorrow")
        with self.assertRaisesRegex(Terminal, "'tomorrow' is not an RFC 3339 time"):
            self.cluster.sync("default/a")


if __name__ == "__main__":
    unittest.main()
