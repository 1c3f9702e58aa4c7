"""Reads from the host's shared caches: no I/O, no waiting."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable
from typing import Generic

from ._host import host
from .manifest import Watch
from .objects import AnyObject, ObjectKey, ObjectT
from .selector import Selector, selector_text


class Lister(Generic[ObjectT]):
    """Reads the objects of one watch. Make it a constant beside the watch.

    What a sync reads is never older than what earlier syncs of its key wrote. The order of
    lists is unspecified. An object that does not fit its type raises `DecodeError`, which
    ends a sync as a terminal error.
    """

    def __init__(self, watch: Watch[ObjectT]) -> None:
        self._watch = watch

    def get(self, key: ObjectKey) -> ObjectT | None:
        """One object, or nothing if it is not in the cache."""
        body = host().lister_get(self._position(), key)
        return None if body is None else self._read(body)

    def list(self, namespace: str | None = None, selector: Selector = "") -> builtins.list[ObjectT]:
        """The objects of a namespace, or of all, that match a label selector."""
        return self._read_all(host().lister_list(self._position(), namespace, selector_text(selector)))

    def by_index(self, index: str, value: str) -> builtins.list[ObjectT]:
        """The objects with this value under a declared index."""
        return self._read_all(host().lister_by_index(self._position(), index, value))

    def by_owner(self, owner: AnyObject | str) -> builtins.list[ObjectT]:
        """The objects whose controlling owner is this one, or has this UID."""
        uid = owner if isinstance(owner, str) else owner.metadata.uid
        return self._read_all(host().lister_by_owner(self._position(), uid))

    def orphans(self, namespace: str) -> builtins.list[ObjectT]:
        """The objects of a namespace without a controlling owner."""
        return self._read_all(host().lister_orphans(self._position(), namespace))

    def _position(self) -> int:
        if self._watch.position is None:
            raise RuntimeError(f"the watch on {self._watch.type.__name__} is in no manifest")
        return self._watch.position

    def _read(self, body: bytes) -> ObjectT:
        return self._watch.type.from_json(json.loads(body))

    def _read_all(self, bodies: Iterable[bytes]) -> builtins.list[ObjectT]:
        return [self._read(body) for body in bodies]
