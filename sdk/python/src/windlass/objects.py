"""Kubernetes objects: what all have, and how an author's own types become some.

Two ways, one interface. A dataclass of the fields that are read:

    @dataclass
    class Deployment(Object, group="apps", version="v1", plural="deployments", kind="Deployment"):
        spec: DeploymentSpec

and a plain `dict` with a name:

    class ConfigMap(Unstructured, version="v1", plural="configmaps", kind="ConfigMap"):
        pass
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

from .codec import OMIT_ZERO, JsonObject, decode, encode


class ObjectKey(NamedTuple):
    """Names an object in a collection, and what a work queue holds."""

    namespace: str
    """Empty for cluster-scoped objects."""
    name: str
    """The object's name."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def parse(cls, text: str) -> ObjectKey:
        """Of `namespace/name`, or of `name` alone."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash else cls("", namespace)


@dataclass(frozen=True)
class Resource:
    """A collection at the API server, as in `apps/v1 deployments`, and the kind it serves."""

    group: str
    """Empty for the core group."""
    version: str
    """The version of the API in which objects are read and written."""
    plural: str
    """The name of the collection, in lower case."""
    kind: str
    """The kind of its objects."""
    namespaced: bool = True
    """Whether its objects live in namespaces."""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass
class OwnerReference:
    """One owner of an object."""

    api_version: str = ""
    """Of the owner, such as `apps/v1`."""
    kind: str = ""
    """Of the owner."""
    name: str = ""
    """Of the owner, which lives in the same namespace or in none."""
    uid: str = ""
    """Of the owner; another object of the same name is none."""
    controller: bool | None = None
    """Whether it manages the object."""
    block_owner_deletion: bool | None = None
    """Whether foreground deletion of the owner waits for the object."""


@dataclass
class ObjectMeta:
    """The metadata that controllers read; the rest is kept and written back."""

    name: str = ""
    """Unique in its namespace and resource."""
    namespace: str = ""
    """Empty for cluster-scoped objects."""
    generate_name: str = ""
    """What the server generates a name from, in a create without one."""
    uid: str = ""
    """Tells the object from others that had or will have its name."""
    resource_version: str = ""
    """Opaque: compare for equality only."""
    generation: int = field(default=0, metadata=OMIT_ZERO)
    """Changes with every change of what is wanted."""
    creation_timestamp: datetime | None = None
    """When the server created it."""
    deletion_timestamp: datetime | None = None
    """When it is to be gone; set when its deletion was asked for and finalizers keep it."""
    labels: dict[str, str] = field(default_factory=dict)
    """What selectors match."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What no selector matches."""
    owner_references: list[OwnerReference] = field(default_factory=list)
    """Those without which it is garbage."""
    finalizers: list[str] = field(default_factory=list)
    """Who has to let go of it before it is deleted."""

    @property
    def is_deleting(self) -> bool:
        """Whether its deletion was asked for."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages the object."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    def is_controlled_by(self, owner: AnyObject | str) -> bool:
        """Whether the controlling owner is this object, or has this UID."""
        uid = owner if isinstance(owner, str) else owner.metadata.uid
        return self.controller is not None and self.controller.uid == uid


KINDS: dict[tuple[str, str], Resource] = {}
"""The resources of all types that were declared, by `apiVersion` and kind."""


class AnyObject:
    """What both sorts of objects have: `Object` and `Unstructured`, of which types are made
    by the arguments of their class."""

    resource: ClassVar[Resource]
    """Where its objects are kept, by the arguments of the class."""

    if TYPE_CHECKING:

        @property
        def metadata(self) -> ObjectMeta:
            """What all objects have."""

    def __init_subclass__(
        cls,
        *,
        group: str = "",
        version: str = "",
        plural: str = "",
        kind: str = "",
        namespaced: bool = True,
    ) -> None:
        super().__init_subclass__()
        if not (version or plural or kind):
            return
        if not (version and plural and kind):
            raise TypeError(f"{cls.__name__}: version, plural and kind belong together")
        cls.resource = Resource(group, version, plural, kind, namespaced)
        KINDS[cls.resource.api_version, kind] = cls.resource

    @property
    def key(self) -> ObjectKey:
        """Its name in the work queue."""
        return ObjectKey(self.metadata.namespace, self.metadata.name)

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Reads one. Raises `DecodeError` when it does not fit."""
        return decode(cls, value)

    def to_json(self) -> JsonObject:
        """All of it, with `apiVersion` and `kind`, as `json.dumps` takes it."""
        return {**encode(self), "apiVersion": self.resource.api_version, "kind": self.resource.kind}


@dataclass
class Object(AnyObject):
    """Base of dataclasses that are Kubernetes objects. What their type does not know of what
    they were read from is kept, and written by `to_json`."""

    metadata: ObjectMeta
    """What all objects have."""


class Unstructured(dict[str, Any], AnyObject):
    """Base of dictionaries that are Kubernetes objects. The cheapest way to read: nothing is
    done after `json.loads`."""

    @staticmethod
    @cache
    def of(resource: Resource) -> type[Unstructured]:
        """The class for a resource that is known only when it runs, as from `resolve`."""
        return type(resource.kind, (Unstructured,), {"resource": resource})

    @property
    def key(self) -> ObjectKey:
        metadata = self["metadata"]
        return ObjectKey(metadata.get("namespace", ""), metadata.get("name", ""))

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata, read anew each time; to change it, change the dictionary."""
        return decode(ObjectMeta, self["metadata"], "metadata")


ObjectT = TypeVar("ObjectT", bound=AnyObject)


def controller_reference(owner: AnyObject) -> OwnerReference:
    """The reference with which something names `owner` as its controlling owner."""
    metadata, resource = owner.metadata, owner.resource
    return OwnerReference(
        api_version=resource.api_version,
        kind=resource.kind,
        name=metadata.name,
        uid=metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def owned_metadata(
    owner: AnyObject, name: str, labels: dict[str, str] | None = None, finalizers: Iterable[str] = ()
) -> ObjectMeta:
    """Metadata of a dependent: in the owner's namespace, controlled by it."""
    return ObjectMeta(
        name=name,
        namespace=owner.key.namespace,
        labels=dict(labels or {}),
        owner_references=[controller_reference(owner)],
        finalizers=list(finalizers),
    )
