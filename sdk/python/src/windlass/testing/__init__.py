"""A fake cluster for native tests of a controller.

    with Cluster(MyController) as cluster:
        cluster.put({"apiVersion": "v1", "kind": "ConfigMap",
                     "metadata": {"namespace": "default", "name": "a"}})
        assert cluster.sync("default/a") == Result()
        assert cluster.take_calls() == []

A `Cluster` answers everything that a controller may ask of the host, at once and from one
store: caches are never behind and show no more than a watch's view, names and UIDs are
counted, time stands still until `advance`d. It knows what controllers rely on (resource
versions, conflicts, preconditions, generations, status as a part of its own, finalizers) and
validates nothing: no schemas, no defaults, no garbage collection, and nothing of a
`DiscoveredWatch`. The plural of a kind is as its type declares it, or its name in lower case
with an `s`. Its methods run syncs to their end, so they are not for use inside a running event
loop.
"""

from __future__ import annotations

import asyncio
import builtins
import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .._host import QueueItem, install, uninstall
from ..codec import JsonObject, decode
from ..controller import Batch, Controller, Delta, MappedEvent, Mapper, Observer, Result, run_start, run_sync
from ..errors import ApiError
from ..manifest import Itself, Mapped, On, OwnedBy, Watch
from ..objects import AnyObject, ObjectKey, ObjectT
from ..selector import LabelSelector, selector_text
from ._state import Collection, State, collection_at, controller_of, key_of, labels_of, parse_selector

ControllerT = TypeVar("ControllerT", bound=Controller)
"""The class of the controller under test."""
Key = ObjectKey | str
"""A key, or its text: `namespace/name`, or `name` of what lives in no namespace."""


class Cluster(Generic[ControllerT]):
    """A fake cluster, the host of whatever runs until it is closed, and one controller."""

    def __init__(self, kind: Callable[[], ControllerT], config: Mapping[str, Any] | None = None) -> None:
        """An empty cluster for a new controller of this class, with this configuration."""
        self._state = State(dict(config or {}))
        install(self._state)
        self.controller = kind()
        """The controller."""
        self._state.manifest = self.controller.describe()
        self._state.changed = self._changed
        self._queue: dict[ObjectKey, None] = {}
        self._later: dict[ObjectKey, datetime] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends being the host."""
        uninstall(self._state)

    # What is stored.

    def put(self, value: AnyObject | Mapping[str, Any]) -> JsonObject:
        """Creates or replaces an object, status included, as anybody else in the cluster might.
        What the server would fill in is filled in. Returns what is stored."""
        body = value.to_json() if isinstance(value, AnyObject) else dict(value)
        return copy.deepcopy(self._state.put(body))

    @contextmanager
    def edit(self, kind: type[AnyObject], key: Key) -> Iterator[JsonObject]:
        """Changes a stored object by hand: `with cluster.edit(Pod, "default/a") as pod: ...`."""
        value = copy.deepcopy(self._stored(kind, key))
        yield value
        self._state.put(value)

    def remove(self, kind: type[AnyObject], key: Key) -> None:
        """Removes an object without asking its finalizers."""
        self._state.remove(collection_at(kind.resource), _key(key))

    def get(self, kind: type[ObjectT], key: Key) -> ObjectT:
        """A stored object as its type sees it. Raises `KeyError`."""
        return kind.from_json(copy.deepcopy(self._stored(kind, key)))

    def find(self, kind: type[ObjectT], key: Key) -> ObjectT | None:
        """A stored object, or nothing."""
        found = self._state.collection(collection_at(kind.resource)).get(_key(key))
        return None if found is None else kind.from_json(copy.deepcopy(found))

    def list(self, kind: type[ObjectT]) -> builtins.list[ObjectT]:
        """All objects of a kind, by key."""
        found = sorted(self._state.collection(collection_at(kind.resource)).items())
        return [kind.from_json(copy.deepcopy(value)) for _, value in found]

    # Running the controller.

    def start(self) -> None:
        """Runs `Controller.start`. Raises `Terminal` when it fails."""
        asyncio.run(run_start(self.controller))

    def sync(self, key: Key) -> Result:
        """Runs one sync to its end. Raises `Retry` or `Terminal` as the host would be told."""
        key = _key(key)
        self._queue.pop(key, None)
        self._later.pop(key, None)
        result = asyncio.run(run_sync(self.controller, 1, key))
        if result.requeue_after is not None:
            self._later[key] = self.now + result.requeue_after
        return result

    def run(self, limit: int = 1000) -> int:
        """Syncs the keys of all events since the last time, as the watches' rules say, and of
        what is due, until nothing is left. Returns how many syncs that took; more than `limit`
        raise `AssertionError`. What a sync raises ends it.
        """
        syncs = 0
        while key := self._next():
            syncs += 1
            assert syncs <= limit, f"{key} and others are synced for ever"
            self.sync(key)
        return syncs

    @property
    def queue(self) -> builtins.list[ObjectKey]:
        """The keys that `run` would sync at once."""
        return [*self._queue]

    # What it did.

    def take_calls(self) -> builtins.list[str]:
        """What was asked of the API server since the last time, as in
        `update replicasets/status default/web`."""
        return [call for call, _ in self.take_bodies()]

    def take_bodies(self) -> builtins.list[tuple[str, Any]]:
        """The same with what was sent; of a deletion its options."""
        calls, self._state.calls = self._state.calls, []
        return calls

    def take_events(self) -> builtins.list[str]:
        """The events recorded since the last time, as in `Normal Created created the Service web`."""
        events, self._state.events = self._state.events, []
        return [f"{event.type} {event.reason} {event.message}" for event in events]

    def take_queued(self) -> builtins.list[QueueItem]:
        """The keys that the controller enqueued itself since the last time."""
        items, self._state.queued = self._state.queued, []
        return items

    def metric(self, name: str, **labels: str) -> float:
        """A counter's or gauge's value; 0 if it has none."""
        return sum(self.observations(name, **labels))

    def observations(self, name: str, **labels: str) -> builtins.list[float]:
        """What a histogram observed."""
        declaration = next((known for known in self._state.metrics if known.name == name), None)
        if declaration is None:
            return []
        return self._state.values.get((name, tuple(labels[label] for label in declaration.labels)), [])

    # What the world does.

    def fail(self, rule: Callable[[str], ApiError | None]) -> None:
        """From now on, calls for which this returns an error fail with it. A call reads as in
        `take_calls`."""
        self._state.failure = rule

    def scope(self, of_kind: Callable[[str], bool | None]) -> None:
        """From now on discovery says of a kind whether its objects live in namespaces, or with
        `None` that it is not served. Until then every kind is served and lives in namespaces."""
        self._state.scope = of_kind

    @property
    def now(self) -> datetime:
        """The present."""
        return self._state.time

    def advance(self, duration: timedelta) -> None:
        """Lets time pass."""
        self._state.time += duration

    # The host's part.

    def _stored(self, kind: type[AnyObject], key: Key) -> JsonObject:
        try:
            return self._state.collection(collection_at(kind.resource))[_key(key)]
        except KeyError:
            raise KeyError(f"there is no {kind.resource.kind} {key}") from None

    def _next(self) -> ObjectKey | None:
        for item in self.take_queued():
            if item.after:
                self._later[item.key] = self.now + item.after
            else:
                self._queue[item.key] = None
        for key, time in sorted(self._later.items(), key=lambda later: later[1]):
            if time <= self.now:
                del self._later[key]
                self._queue[key] = None
        return next(iter(self._queue), None)

    def _changed(self, collection: Collection, old: JsonObject | None, new: JsonObject | None) -> None:
        for position, watch in enumerate(self._state.manifest.watches):
            if not isinstance(watch, Watch) or collection_at(watch.type.resource) != collection:
                continue
            selector = parse_selector(selector_text(watch.label_selector))
            was = old if old is not None and selector.matches(labels_of(old)) else None
            is_ = new if new is not None and selector.matches(labels_of(new)) else None
            if was is None and is_ is None:
                continue
            self._observe(position, watch, was, is_)
            kind = On.DELETED if is_ is None else On.ADDED if was is None else On.UPDATED
            if kind in watch.on:
                for key in self._keys(position, watch, was, is_):
                    self._queue[key] = None

    def _observe(
        self, position: int, watch: Watch[Any], old: JsonObject | None, new: JsonObject | None
    ) -> None:
        if not watch.observe:
            return
        controller: object = self.controller
        assert isinstance(controller, Observer), f"watch {position} is observed, and there is no `observe`"
        body, before = _bodies(watch, old, new)
        kind = "deleted" if new is None else "added" if old is None else "updated"
        key = key_of(new or old or {})
        delta = Delta(kind, key, False, body, before)  # type: ignore[arg-type]
        controller.observe([Batch(position, watch.type.resource, [delta])])

    def _keys(
        self, position: int, watch: Watch[Any], old: JsonObject | None, new: JsonObject | None
    ) -> Iterable[ObjectKey]:
        states = [state for state in (old, new) if state is not None]
        match watch.enqueue:
            case Itself():
                return [key_of(states[-1])]
            case Mapped():
                controller: object = self.controller
                assert isinstance(controller, Mapper), f"watch {position} is mapped, and there is no `keys_for`"
                body, before = _bodies(watch, old, new)
                return controller.keys_for(MappedEvent(position, key_of(states[-1]), body, before))
            case OwnedBy() as rule:
                return [key for state in states for key in self._owners(rule, state)]
            case _:
                return []

    def _owners(self, rule: OwnedBy, state: JsonObject) -> Iterable[ObjectKey]:
        owner, namespace = controller_of(state), key_of(state).namespace
        if owner:
            group = owner["apiVersion"].rpartition("/")[0]
            if (group, owner["kind"]) == (rule.resource.group, rule.resource.kind):
                yield ObjectKey(namespace, owner["name"])
        elif rule.matching_orphans:
            first = self._state.manifest.watches[0]
            assert isinstance(first, Watch)
            for key, value in self._state.collection(collection_at(first.type.resource)).items():
                selector = decode(LabelSelector, value.get("spec", {}).get("selector") or {})
                if key.namespace == namespace and selector and selector.matches(labels_of(state)):
                    yield key


def _key(key: Key) -> ObjectKey:
    return ObjectKey.parse(key) if isinstance(key, str) else key


def _bodies(watch: Watch[Any], old: JsonObject | None, new: JsonObject | None) -> tuple[bytes, bytes | None]:
    body = json.dumps(old if new is None else new).encode()
    before = watch.old_bodies and old is not None and new is not None
    return body, json.dumps(old).encode() if before else None

