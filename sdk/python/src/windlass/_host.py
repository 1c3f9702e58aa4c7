"""The seam between the SDK and whoever plays the host: the contract's imports in a
component (`_component`), a fake cluster in native tests (`testing`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal, Protocol

from .objects import ObjectKey, Resource

sync_id: ContextVar[int] = ContextVar("windlass_sync_id", default=0)
"""The running sync, for the calls made on its behalf; 0 outside any."""


class PatchType(Enum):
    """How a patch is to be read."""

    JSON = "json-patch"
    """RFC 6902: a list of operations."""
    MERGE = "merge-patch"
    """RFC 7386: an object laid over; `None` removes, lists are replaced."""
    STRATEGIC = "strategic-merge-patch"
    """Like `MERGE`, with lists merged by key; not for custom resources."""


class PropagationPolicy(Enum):
    """What becomes of a deleted object's dependents."""

    BACKGROUND = "Background"
    """They are deleted after it."""
    FOREGROUND = "Foreground"
    """They are deleted before it."""
    ORPHAN = "Orphan"
    """They stay."""


@dataclass(frozen=True)
class DeleteOptions:
    """How a deletion goes; unset leaves the choice to the server."""

    propagation_policy: PropagationPolicy | None = None
    grace_period: timedelta | None = None
    """Whole seconds."""
    uid: str | None = None
    """Only the object with this UID."""
    resource_version: str | None = None
    """Only in this version."""


@dataclass(frozen=True)
class ListOptions:
    """Which objects a live list returns."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""


Verb = Literal["get", "list", "create", "update", "patch", "delete"]


@dataclass(frozen=True)
class Call:
    """One API call."""

    sync: int
    verb: Verb
    resource: Resource
    key: ObjectKey
    subresource: str = ""
    body: bytes = b""
    patch_type: PatchType = PatchType.MERGE
    options: DeleteOptions | ListOptions | None = None


@dataclass(frozen=True)
class ObjectReference:
    """What an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True)
class Event:
    """A Kubernetes event to be recorded."""

    regarding: ObjectReference
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = ""


@dataclass(frozen=True)
class QueueItem:
    """A key for the controller's own queue."""

    key: ObjectKey
    after: timedelta = timedelta()
    priority: int = 0


@dataclass(frozen=True)
class MetricDeclaration:
    """A metric as the host shows it."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


Level = Literal["error", "warn", "info", "debug", "trace"]


class Host(Protocol):
    """What a controller may ask. Positions of watches are those of the manifest; bodies are
    JSON."""

    def lister_get(self, watch: int, key: ObjectKey) -> bytes | None: ...

    def lister_list(self, watch: int, namespace: str | None, selector: str) -> Sequence[bytes]:
        """Raises `Terminal` for a selector that does not parse."""
        ...

    def lister_by_index(self, watch: int, index: str, value: str) -> Sequence[bytes]:
        """Raises `Terminal` for an index that is not declared."""
        ...

    def lister_by_owner(self, watch: int, uid: str) -> Sequence[bytes]: ...

    def lister_orphans(self, watch: int, namespace: str) -> Sequence[bytes]: ...

    async def call(self, call: Call) -> bytes:
        """Raises `ApiError`."""
        ...

    def resolve(self, group: str, version: str, kind: str) -> Resource | None: ...

    def enqueue(self, items: Sequence[QueueItem]) -> None: ...

    def record(self, event: Event) -> None: ...

    def log(self, level: Level, message: str, fields: Sequence[tuple[str, str]]) -> None: ...

    def log_enabled(self, level: Level) -> bool: ...

    def declare_metric(self, metric: MetricDeclaration) -> int:
        """Raises `ValueError` for a declaration that the host does not take."""
        ...

    def add_metric(self, metric: int, labels: Sequence[str], value: float) -> None: ...

    def set_metric(self, metric: int, labels: Sequence[str], value: float) -> None: ...

    def observe_metric(self, metric: int, labels: Sequence[str], value: float) -> None: ...

    def now(self) -> datetime: ...

    def monotonic(self) -> int:
        """Nanoseconds."""
        ...

    def random(self) -> int:
        """64 bits."""
        ...

    def config(self) -> bytes: ...


_hosts: list[Host] = []


def install(host: Host) -> None:
    """Makes this the host of whatever runs from now on."""
    _hosts.append(host)


def uninstall(host: Host) -> None:
    """Takes it away again; the one before it is the host once more."""
    _hosts[:] = [known for known in _hosts if known is not host]


def host() -> Host:
    """The host. Raises `RuntimeError` where there is none."""
    if not _hosts:
        raise RuntimeError(
            "there is no host to ask: not while a component is built, and in tests only "
            "while a windlass.testing.Cluster is there"
        )
    return _hosts[-1]
