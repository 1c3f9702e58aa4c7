"""What an author writes."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from . import metrics
from ._host import sync_id
from .codec import JsonObject
from .errors import Error, Retry, Terminal
from .manifest import Manifest, Watch
from .objects import ObjectKey, ObjectT, Resource

_log = logging.getLogger("windlass")


@dataclass(frozen=True)
class Result:
    """How a sync ended well."""

    requeue_after: timedelta | None = None
    """Sync again after this long, unless an event comes first. Rounded up to milliseconds."""


@dataclass(frozen=True)
class MappedEvent:
    """An event on a watch that is enqueued by `Mapped`."""

    watch: int
    """Position in the manifest."""
    key: ObjectKey
    """The object's key."""
    body: bytes
    """The object as JSON; of a deleted one its last known state."""
    old: bytes | None = None
    """The previous body, if the watch has `old_bodies`."""

    def of(self, watch: Watch[ObjectT]) -> bool:
        """Whether it is an event of this watch."""
        return self.watch == watch.position

    def object(self, watch: Watch[ObjectT]) -> ObjectT:
        """The object, read as the watch says. Raises `DecodeError`."""
        return watch.type.from_json(json.loads(self.body))


@dataclass(frozen=True)
class Delta:
    """A change of one object."""

    kind: Literal["added", "updated", "deleted"]
    """What happened to it."""
    key: ObjectKey
    """The object's key."""
    initial: bool
    """Part of the initial list, of a relist, or of a late subscription."""
    body: bytes
    """The object as JSON; of a deleted one its last known state."""
    old: bytes | None = None
    """The previous body of an updated object, if the watch has `old_bodies`."""

    def json(self) -> JsonObject:
        """The object."""
        value: JsonObject = json.loads(self.body)
        return value


@dataclass(frozen=True)
class Batch:
    """Consecutive deltas of one resource."""

    watch: int
    """Position in the manifest."""
    resource: Resource
    """What the objects are of; of interest where a watch covers more than one resource."""
    deltas: Sequence[Delta]
    """The changes, in the order in which they happened."""


class Controller(ABC):
    """A controller. `windlass.main` makes a component of it. One that observes or maps has the
    methods of `Observer` and `Mapper` besides.

    There is one per instance, made before the first call that needs it. Between two
    `await`s nothing else runs, so its attributes need no lock. Syncs of different keys
    overlap up to the manifest's `workers`; do not have one wait for another (a lock, a future
    or an event of `asyncio` across syncs never wakes), and do not sleep: return
    `Result(requeue_after=...)`.
    """

    manifest: ClassVar[Manifest]
    """What it watches and needs. Override `describe` if that depends on configuration."""

    def describe(self) -> Manifest:
        """What it watches and needs; may depend on `config` and on nothing else. Called once,
        before anything else. What it raises ends the instance."""
        return self.manifest

    async def start(self) -> None:
        """Called once, after the caches have synced and the initial content was observed. What
        it raises is a failed start: back-off, then a new instance."""

    @abstractmethod
    async def sync_handler(self, key: ObjectKey) -> Result | None:
        """One level-triggered pass for one key; must be idempotent. The object may be gone.

        Raise `Retry` or `Terminal`, or let an `ApiError` pass, which is tried again. Any other
        exception is tried again, too, with its traceback in the log, and ends nothing else.
        """


@runtime_checkable
class Observer(Protocol):
    """What a controller has whose `windlass.yaml` says `exports: [observer]`. Whoever has the
    method is one; to be a base as well (`class Mine(Controller, Observer)`) lets type checkers
    compare."""

    @abstractmethod
    def observe(self, batches: Sequence[Batch]) -> None:
        """Every delta of the watches with `observe`, in order, the initial content first, and
        before any sync that could depend on it. Must not wait. What it raises ends the
        instance, since a model that missed a change is wrong; a new one begins afresh."""


@runtime_checkable
class Mapper(Protocol):
    """What a controller has whose `windlass.yaml` says `exports: [mapper]`, as `Observer` is."""

    @abstractmethod
    def keys_for(self, event: MappedEvent) -> Iterable[ObjectKey]:
        """The keys that an event concerns. May read listers. Must not wait. What it raises ends
        the instance, since the keys would be lost."""


ControllerT = TypeVar("ControllerT", bound=Controller)


def check_exports(kind: type[Controller], exported: Container[str]) -> None:
    """What the controller has is what the component exports. Raises `TypeError`."""
    if inspect.isabstract(kind):
        missing = ", ".join(f"`{name}`" for name in sorted(kind.__abstractmethods__))
        raise TypeError(f"{kind.__name__} has no method {missing}")
    for export, method in (("observer", "observe"), ("mapper", "keys_for")):
        is_there, is_exported = hasattr(kind, method), export in exported
        if is_there and not is_exported:
            raise TypeError(
                f"{kind.__name__} has a method `{method}`, which nobody would call: "
                f"write `exports: [{export}]` into windlass.yaml"
            )
        if is_exported and not is_there:
            raise TypeError(f"windlass.yaml exports the {export}, but {kind.__name__} has no method `{method}`")


async def run_start(controller: Controller) -> None:
    """`start` as the host calls it. Raises `Terminal` for whatever goes wrong."""
    try:
        metrics.declare_all()
        await controller.start()
    except Error as error:
        raise Terminal(str(error)) from error
    except Exception as error:
        _log.exception("start raised an exception")
        raise Terminal(_one_line(error)) from error


async def run_sync(controller: Controller, sync: int, key: ObjectKey) -> Result:
    """One sync as the host calls it. Raises `Retry` or `Terminal`, whatever goes wrong."""
    sync_id.set(sync)
    try:
        return await controller.sync_handler(key) or Result()
    except Error:
        raise
    except ExceptionGroup as group:
        rest = group.split(Error)[1]
        if rest is not None:
            _log.exception("sync_handler raised an exception")
        raise _joined(group) from group
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        _log.exception("sync_handler raised an exception")
        raise Retry(_one_line(error)) from error


def _joined(group: ExceptionGroup[Exception]) -> Error:
    """What a `TaskGroup` raised: terminal only if all of it is."""
    errors = list(_leaves(group))
    text = ", ".join(str(error) if isinstance(error, Error) else _one_line(error) for error in errors)
    text = text if len(errors) == 1 else f"[{text}]"
    return Terminal(text) if all(isinstance(error, Terminal) for error in errors) else Retry(text)


def _leaves(group: ExceptionGroup[Exception]) -> Iterable[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _one_line(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
