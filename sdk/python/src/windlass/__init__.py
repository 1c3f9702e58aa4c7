"""Write Kubernetes controllers in Python and run them as WebAssembly components in Windlass.

A controller says in a `Manifest` what it watches and how that becomes keys, and implements
`Controller.sync_handler`; `main` makes a component of it. The host runs informers, caches,
queue, back-off and clients, and starts no sync before the caches hold what earlier syncs of
the same key wrote.

| for | use |
|---|---|
| reading the shared caches | `Lister` |
| talking to the API server | `Client`, and the subclasses of `ApiError` |
| objects | `Object` (dataclasses), `Unstructured` (dictionaries), `owned_metadata` |
| adopting and releasing dependents | `Claim` |
| finalizers, conditions, events | `add_finalizer`, `set_condition`, `record_event` |
| log lines, figures | `logging`, `metrics` |
| the rest of the host | `config`, `enqueue`, `resolve`, `now`, `Random` |
| native tests against a fake cluster | `windlass.testing` |
"""

from __future__ import annotations

import importlib.util
import sys

from . import codec, metrics
from ._host import PatchType, PropagationPolicy
from .claim import Claim
from .client import Client, Page
from .codec import JsonObject, decode, encode, format_time, json_name, parse_time
from .conditions import (
    Condition,
    ConditionStatus,
    find_condition,
    is_condition_true,
    remove_condition,
    set_condition,
)
from .controller import Batch, Controller, ControllerT, Delta, MappedEvent, Mapper, Observer, Result
from .errors import (
    AlreadyExists,
    ApiError,
    ApiErrorKind,
    BadRequest,
    Conflict,
    DecodeError,
    Error,
    Forbidden,
    Gone,
    Invalid,
    NamespaceTerminating,
    NotFound,
    NotPermitted,
    Retry,
    StatusCause,
    Terminal,
    Timeout,
    TooManyRequests,
    Unavailable,
    UnsupportedMediaType,
    aggregate,
)
from .events import EventType, record_event
from .finalizers import add_finalizer, remove_finalizer
from .lister import Lister
from .manifest import (
    DiscoveredWatch,
    Fields,
    Full,
    Index,
    Itself,
    Manifest,
    Mapped,
    Metadata,
    On,
    OwnedBy,
    Permission,
    Watch,
)
from .objects import (
    AnyObject,
    Object,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    Resource,
    Unstructured,
    controller_reference,
    owned_metadata,
)
from .selector import LabelSelector, Requirement, is_subset
from .services import Random, config, enqueue, monotonic, now, resolve

__version__ = "0.1.0"

__all__ = [
    "AlreadyExists",
    "AnyObject",
    "ApiError",
    "ApiErrorKind",
    "BadRequest",
    "Batch",
    "Claim",
    "Client",
    "Condition",
    "ConditionStatus",
    "Conflict",
    "Controller",
    "DecodeError",
    "Delta",
    "DiscoveredWatch",
    "Error",
    "EventType",
    "Fields",
    "Forbidden",
    "Full",
    "Gone",
    "Index",
    "Invalid",
    "Itself",
    "JsonObject",
    "LabelSelector",
    "Lister",
    "Manifest",
    "Mapped",
    "MappedEvent",
    "Mapper",
    "Metadata",
    "NamespaceTerminating",
    "NotFound",
    "NotPermitted",
    "Object",
    "ObjectKey",
    "ObjectMeta",
    "Observer",
    "On",
    "OwnedBy",
    "OwnerReference",
    "Page",
    "PatchType",
    "Permission",
    "PropagationPolicy",
    "Random",
    "Requirement",
    "Resource",
    "Result",
    "Retry",
    "StatusCause",
    "Terminal",
    "Timeout",
    "TooManyRequests",
    "Unavailable",
    "Unstructured",
    "UnsupportedMediaType",
    "Watch",
    "add_finalizer",
    "aggregate",
    "codec",
    "config",
    "controller_reference",
    "decode",
    "encode",
    "enqueue",
    "find_condition",
    "format_time",
    "is_condition_true",
    "is_subset",
    "json_name",
    "main",
    "metrics",
    "monotonic",
    "now",
    "owned_metadata",
    "parse_time",
    "record_event",
    "remove_condition",
    "remove_finalizer",
    "resolve",
    "set_condition",
]


def main(controller: type[ControllerT]) -> type[ControllerT]:
    """Makes a component of the module that calls this, which is the project's entry: as the
    decorator `@windlass.main`, or as the module's last line. Natively it does nothing, so
    tests import the module as it is.

    The build fails with a `TypeError` when the controller has no `sync_handler`, or when it and the
    `exports` of `windlass.yaml` disagree.
    """
    if importlib.util.find_spec("wit_world") is not None:
        from ._component import export

        export(controller, sys._getframe(1).f_globals)
    return controller
