"""What a controller declares about itself. The host acts on it natively: watching, indexing
and turning events into keys never enters the guest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, Generic

from .objects import AnyObject, ObjectT, Resource
from .selector import Selector


@dataclass(frozen=True)
class Full:
    """A view of whole objects."""


@dataclass(frozen=True, init=False)
class Fields:
    """A view of `apiVersion`, `kind`, `metadata` and these fields, such as
    `Fields("spec.replicas", "spec.containers.image")`: a path keeps everything below it and
    walks through lists."""

    paths: tuple[str, ...]
    """The fields, by dotted paths."""

    def __init__(self, *paths: str) -> None:
        object.__setattr__(self, "paths", paths)


@dataclass(frozen=True)
class Metadata:
    """A view of `apiVersion`, `kind` and `metadata` only."""


@dataclass(frozen=True)
class Itself:
    """An event enqueues the object's own key."""


@dataclass(frozen=True)
class OwnedBy:
    """An event enqueues the controlling owner of this kind, in the object's namespace."""

    owner: type[AnyObject] | Resource
    """The owner's kind; any version of it matches."""
    matching_orphans: bool = False
    """An object without controlling owner enqueues every object of watch 0 in its namespace
    whose `spec.selector` matches it, so that it can be adopted."""

    @property
    def resource(self) -> Resource:
        """The owner's."""
        return self.owner if isinstance(self.owner, Resource) else self.owner.resource


@dataclass(frozen=True)
class Mapped:
    """An event is shown to `Mapper.keys_for`, whose keys are enqueued. The project's
    `windlass.yaml` says `exports: [mapper]`."""


class On(Flag):
    """Kinds of event."""

    ADDED = auto()
    """The object is new."""
    UPDATED = auto()
    """The object changed."""
    DELETED = auto()
    """The object is gone."""
    ANY = ADDED | UPDATED | DELETED
    """All of them."""


@dataclass(frozen=True)
class Index:
    """A named index over a watch, for `Lister.by_index`. The value is the scalar at `path`,
    such as `spec.nodeName`; objects without it are not in the index."""

    name: str
    """What it is asked for by."""
    path: str
    """Where the scalar is, as a dotted path."""


@dataclass(eq=False)
class Watch(Generic[ObjectT]):
    """One watch: which objects, how much of them, and whom they wake.

    Make it a constant, put it into the manifest, and read it with `Lister(WATCH)`.
    """

    type: type[ObjectT]
    """What its objects are read as; says which resource."""
    enqueue: Itself | OwnedBy | Mapped | None = None
    """How an event becomes keys; `None`: not at all."""
    view: Full | Fields | Metadata = Full()
    """How much of each object the host keeps."""
    label_selector: Selector = ""
    """Only objects whose labels match; empty for all."""
    on: On = On.ANY
    """Which events the rule applies to."""
    observe: bool = False
    """Deliver deltas to `Observer.observe`; `windlass.yaml` says `exports: [observer]`."""
    old_bodies: bool = False
    """Put the previous body into what observer and mapper get."""
    indexes: Sequence[Index] = ()
    """For `Lister.by_index`."""
    position: int | None = field(default=None, init=False)
    """In the manifest, which sets it."""


@dataclass(eq=False)
class DiscoveredWatch:
    """Watches the metadata of every resource that discovery finds with the verbs `delete`,
    `list` and `watch`, but for `exclude` (`group/plural`, the core group as `/plural`). It is
    not read by listers."""

    exclude: Sequence[str] = ()
    """Resources that it leaves out."""
    enqueue: Itself | OwnedBy | Mapped | None = None
    """How an event becomes keys; `None`: not at all."""
    label_selector: Selector = ""
    """Only objects whose labels match; empty for all."""
    on: On = On.ANY
    """Which events the rule applies to."""
    observe: bool = False
    """Deliver deltas to `Observer.observe`; `windlass.yaml` says `exports: [observer]`."""
    old_bodies: bool = False
    """Put the previous metadata into what observer and mapper get."""
    position: int | None = field(default=None, init=False)
    """In the manifest, which sets it."""


@dataclass(frozen=True)
class Permission:
    """These verbs on these resources (`pods`, `pods/status`), as a rule of a Role. `*` is
    allowed everywhere."""

    groups: Sequence[str]
    """API groups; the empty text is the core group."""
    resources: Sequence[str]
    """Such as `pods` or `pods/status`."""
    verbs: Sequence[str]
    """Such as `get` or `create`."""


@dataclass
class Manifest:
    """What a controller watches and needs."""

    name: str
    """Lower-case letters, digits and dashes, at most 63; also the source of its events."""
    version: str
    """The controller's own, for people."""
    watches: Sequence[Watch[Any] | DiscoveredWatch] = ()
    """What it watches; the order is that of positions."""
    workers: int = 1
    """How many syncs may be in flight at once."""
    permissions: Sequence[Permission] = ()
    """What it needs beyond reading what it watches."""
    api_qps: int = 0
    """API calls per second that it expects to need; 0 leaves it to the host."""
    api_burst: int = 0
    """API calls at once after a pause; 0 leaves it to the host."""

    def __post_init__(self) -> None:
        for position, watch in enumerate(self.watches):
            if watch.position not in (None, position):
                raise ValueError(f"watch {position} of {self.name} is another manifest's watch {watch.position}")
            watch.position = position
