"""The controller's own figures, in the host's `/metrics` as `windlass_custom_NAME`.

Make them constants of a module. They are declared before `Controller.start`, so a wrong
declaration is a failed start. Values belong to the module and survive its instances. No
value is an error: what is out of place is dropped and counted by the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ._host import Host, MetricDeclaration, host

_all: list[_Metric] = []


class _Metric:
    def __init__(
        self,
        name: str,
        help: str,
        kind: Literal["counter", "gauge", "histogram"],
        labels: Sequence[str],
        buckets: Sequence[float] = (),
    ) -> None:
        self._declaration = MetricDeclaration(name, help, kind, tuple(labels), tuple(buckets))
        self._declared: tuple[Host, int] | None = None
        _all.append(self)

    def _id(self) -> int:
        """Declared to this host, which in tests may be another one than before."""
        current = host()
        if self._declared is None or self._declared[0] is not current:
            self._declared = (current, current.declare_metric(self._declaration))
        return self._declared[1]

    def _labels(self, labels: dict[str, str]) -> list[str]:
        if labels.keys() != set(self._declaration.labels):
            wanted = ", ".join(self._declaration.labels) or "none"
            raise TypeError(f"{self._declaration.name} has the labels {wanted}, not {', '.join(labels)}")
        return [labels[name] for name in self._declaration.labels]


class Counter(_Metric):
    """Only goes up. Its name ends in `_total`, which is added where it is missing."""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, "counter", labels)

    def add(self, value: float = 1, **labels: str) -> None:
        """Adds to it; nothing below zero."""
        host().add_metric(self._id(), self._labels(labels), value)


class Gauge(_Metric):
    """Goes up and down."""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, "gauge", labels)

    def add(self, value: float = 1, **labels: str) -> None:
        """Adds to it."""
        host().add_metric(self._id(), self._labels(labels), value)

    def set(self, value: float, **labels: str) -> None:
        """Sets it."""
        host().set_metric(self._id(), self._labels(labels), value)


class Histogram(_Metric):
    """Counts observations by size. `buckets` are upper bounds, ascending, at most 32; none for
    the usual ones, 5 ms to 10 s. The bucket without bound is added."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> None:
        super().__init__(name, help, "histogram", labels, buckets)

    def observe(self, value: float, **labels: str) -> None:
        """Adds an observation."""
        host().observe_metric(self._id(), self._labels(labels), value)


def declare_all() -> None:
    """Declares every metric of the program to the host. Raises `ValueError`."""
    for metric in _all:
        metric._id()
