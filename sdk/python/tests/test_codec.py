"""JSON to dataclasses and back."""

from __future__ import annotations

import unittest
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

from windlass import DecodeError, Object, ObjectMeta, decode, encode, format_time, json_name, parse_time


class Phase(Enum):
    RUNNING = "Running"


@dataclass
class Port:
    name: str
    target_port: int | str = 80


@dataclass
class Spec:
    image: str
    ports: list[Port] = field(default_factory=list)
    external_ips: list[str] = field(default_factory=list, metadata=json_name("externalIPs"))
    weight: float | None = None
    phase: Phase = Phase.RUNNING
    policy: Literal["Always", "Never"] = "Always"
    extra: Any = None
    continue_: str = ""
    children: list[Spec] = field(default_factory=list)


@dataclass
class Thing(Object, group="test.windlass.dev", version="v1", plural="things", kind="Thing"):
    spec: Spec


class CodecTest(unittest.TestCase):
    def test_names_types_and_defaults(self) -> None:
        ports = [{"name": "a"}, {"name": "b", "targetPort": "http"}]
        body = {
            "image": "x",
            "ports": ports,
            "externalIPs": ["::1"],
            "weight": 2,
            "phase": "Running",
            "continue": "token",
            "children": [{"image": "y"}],
        }
        spec = decode(Spec, body)
        self.assertEqual(spec.ports, [Port("a"), Port("b", "http")])
        self.assertEqual((spec.external_ips, spec.weight, spec.continue_), (["::1"], 2.0, "token"))
        self.assertEqual(spec.children, [Spec("y")])
        ports[0]["targetPort"] = 80  # type: ignore[assignment]
        body["policy"] = "Always"
        body["children"] = [{"image": "y", "phase": "Running", "policy": "Always"}]
        self.assertEqual(encode(spec), body)

    def test_null_is_a_default_as_in_go(self) -> None:
        self.assertEqual(decode(Spec, {"image": "x", "ports": None}), Spec("x"))

    def test_what_does_not_fit_says_where(self) -> None:
        for body, message in [
            ({}, "image: missing"),
            ({"image": 1}, "image: expected str, found int"),
            ({"image": "x", "ports": {}}, "ports: expected a list, found dict"),
            ({"image": "x", "ports": [{"name": "a"}, {}]}, "ports[1].name: missing"),
            ({"image": "x", "weight": True}, "weight: expected float, found bool"),
            ({"image": "x", "phase": "Odd"}, "phase: 'Odd' is not a valid Phase"),
            ({"image": "x", "policy": "Odd"}, "policy: 'Odd' is none of 'Always', 'Never'"),
        ]:
            with self.subTest(message), self.assertRaises(DecodeError) as raised:
                decode(Spec, body)
            self.assertEqual(str(raised.exception), message)

    def test_what_a_type_does_not_know_is_kept(self) -> None:
        metadata = {"name": "a", "selfLink": "/a", "labels": {"x": "y"}}
        body = {
            "apiVersion": "test.windlass.dev/v1",
            "kind": "Thing",
            "metadata": metadata,
            "spec": {"image": "x", "unknown": [1], "phase": "Running", "policy": "Always"},
            "status": {"ready": True},
        }
        thing = Thing.from_json(body)
        self.assertEqual(thing.to_json(), body)
        thing.spec.image = "z"
        thing.metadata.labels = {}
        changed = thing.to_json()
        self.assertEqual(changed["spec"], {**body["spec"], "image": "z"})  # type: ignore[dict-item]
        self.assertEqual(changed["metadata"], {"name": "a", "selfLink": "/a"})

    def test_what_is_unknown_is_kept_beside_what_is_absent(self) -> None:
        @dataclass
        class Scale:
            replicas: int | None

        body = {"unknown": 1}
        self.assertEqual(encode(decode(Scale, body)), body)

    def test_strict_refuses_unknown_keys(self) -> None:
        with self.assertRaisesRegex(DecodeError, "Port: unknown: colour"):
            decode(Port, {"name": "a", "colour": "red"}, strict=True)

    def test_times(self) -> None:
        time = parse_time("2026-01-02T03:04:05.25+02:00")
        self.assertEqual(format_time(time), "2026-01-02T01:04:05Z")
        for text in ("", "2026-01-02", "2026-01-02T03:04:05", "tomorrow", "2026-13-02T03:04:05Z"):
            with self.subTest(text), self.assertRaises(ValueError):
                parse_time(text)
        meta = decode(ObjectMeta, {"creationTimestamp": "2026-01-02T03:04:05Z"})
        self.assertEqual(meta.creation_timestamp, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        self.assertEqual(encode(meta), {"creationTimestamp": "2026-01-02T03:04:05Z"})


if __name__ == "__main__":
    unittest.main()
