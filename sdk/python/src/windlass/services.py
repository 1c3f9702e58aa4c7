"""The small services of the host: the controller's own queue, discovery, configuration,
time and randomness."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ._host import QueueItem, host
from .codec import decode
from .objects import ObjectKey, Resource

T = TypeVar("T")


def enqueue(*keys: ObjectKey, after: timedelta = timedelta(), priority: int = 0) -> None:
    """Adds keys to the controller's own queue, to be synced after a while. A higher priority
    goes first. Past the module's limit on queue length the surplus is dropped and logged."""
    host().enqueue([QueueItem(key, after, priority) for key in keys])


def resolve(group: str, version: str, kind: str) -> Resource | None:
    """The resource that serves a kind, or nothing when discovery does not know it."""
    return host().resolve(group, version, kind)


def config(kind: type[T]) -> T:
    """The module's configuration, as a dataclass of the author's. Raises `DecodeError` for
    what does not fit and for unknown keys."""
    return decode(kind, json.loads(host().config()), strict=True)


def now() -> datetime:
    """The host's wall clock, in UTC; may jump. Tests set it."""
    return host().now()


def monotonic() -> timedelta:
    """Time since an arbitrary start; never goes back."""
    return timedelta(microseconds=host().monotonic() // 1000)


class Random(random.Random):
    """The host's randomness behind the interface of `random.Random`: good enough for names and
    jitter, not for secrets.

    The functions of the module `random` were seeded when the component was built, so in
    every instance they return the same.
    """

    def random(self) -> float:
        """In [0, 1)."""
        return (host().random() >> 11) / (1 << 53)

    def getrandbits(self, k: int, /) -> int:
        """An integer of `k` bits."""
        words = (k + 63) // 64
        value = 0
        for _ in range(words):
            value = value << 64 | host().random()
        return value >> (words * 64 - k)

    def seed(self, *arguments: Any, **options: Any) -> None:
        """Does nothing: the host seeds itself."""

    def getstate(self) -> Any:
        """Raises `TypeError`, and so do copies, which ask for it: the state is the host's."""
        raise TypeError("the host's randomness has no state to get")

    def setstate(self, state: Any) -> None:
        """Raises `TypeError`."""
        raise TypeError("the host's randomness has no state to set")
