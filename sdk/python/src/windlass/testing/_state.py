"""The fake cluster's store, and its answers as a `Host`."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .._host import (
    Call,
    DeleteOptions,
    Event,
    Level,
    ListOptions,
    MetricDeclaration,
    PropagationPolicy,
    QueueItem,
)
from ..codec import JsonObject, format_time
from ..errors import AlreadyExists, ApiError, BadRequest, Conflict, NotFound, Terminal
from ..manifest import Fields, Manifest, Metadata, Watch
from ..objects import KINDS, ObjectKey, Resource
from ..selector import LabelSelector, Requirement, selector_text
from . import _patch

Collection = tuple[str, str]
"""Group and plural."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
Changed = Callable[[Collection, JsonObject | None, JsonObject | None], None]


class State:
    """Everything the cluster knows."""

    def __init__(self, config: JsonObject) -> None:
        self.manifest = Manifest("none", "0")
        self.objects: dict[Collection, dict[ObjectKey, JsonObject]] = {}
        self.time = _BEGIN
        self.settings = json.dumps(config).encode()
        self.calls: list[tuple[str, Any]] = []
        self.events: list[Event] = []
        self.queued: list[QueueItem] = []
        self.metrics: list[MetricDeclaration] = []
        self.values: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        self.failure: Callable[[str], ApiError | None] = lambda call: None
        self.scope: Callable[[str], bool | None] = lambda kind: True
        self.changed: Changed = lambda collection, old, new: None
        self._counter = 0

    # The store.

    def number(self) -> int:
        self._counter += 1
        return self._counter

    def collection(self, collection: Collection) -> dict[ObjectKey, JsonObject]:
        return self.objects.setdefault(collection, {})

    def put(self, value: JsonObject) -> JsonObject:
        """Stores an object with what the server fills in."""
        stored = copy.deepcopy(value)
        number, metadata = self.number(), stored.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName', '')}{number}"
        collection, key = collection_of(stored), key_of(stored)
        old = self.collection(collection).get(key)
        known = old["metadata"] if old else {}
        metadata.setdefault("uid", known.get("uid", f"uid-{number}"))
        metadata.setdefault("creationTimestamp", known.get("creationTimestamp", format_time(self.time)))
        metadata.setdefault("generation", known.get("generation", 1))
        metadata["resourceVersion"] = str(number)
        self.collection(collection)[key] = stored
        self.changed(collection, old, stored)
        return stored

    def remove(self, collection: Collection, key: ObjectKey) -> None:
        if old := self.collection(collection).pop(key, None):
            self.changed(collection, old, None)

    # Caches.

    def lister_get(self, watch: int, key: ObjectKey) -> bytes | None:
        found = self._watched(watch, lambda known, _: known == key)
        return found[0] if found else None

    def lister_list(self, watch: int, namespace: str | None, selector: str) -> Sequence[bytes]:
        labels = parse_selector(selector)
        return self._watched(
            watch,
            lambda key, value: namespace in (None, key.namespace) and labels.matches(labels_of(value)),
        )

    def lister_by_index(self, watch: int, index: str, value: str) -> Sequence[bytes]:
        paths = [spec.path for spec in self._watch(watch).indexes if spec.name == index]
        if not paths:
            raise Terminal(f"no index {index}")
        return self._watched(watch, lambda _, object: scalar(object, paths[0]) == value)

    def lister_by_owner(self, watch: int, uid: str) -> Sequence[bytes]:
        return self._watched(watch, lambda _, value: controller_of(value).get("uid") == uid)

    def lister_orphans(self, watch: int, namespace: str) -> Sequence[bytes]:
        return self._watched(
            watch, lambda key, value: key.namespace == namespace and not controller_of(value)
        )

    def _watch(self, position: int) -> Watch[Any]:
        watch = self.manifest.watches[position]
        assert isinstance(watch, Watch), f"watch {position} is not one the lister can read"
        return watch

    def _watched(self, position: int, wanted: Callable[[ObjectKey, JsonObject], bool]) -> list[bytes]:
        watch = self._watch(position)
        labels = parse_selector(selector_text(watch.label_selector))
        found = self.collection(collection_at(watch.type.resource)).items()
        return [
            json.dumps(viewed(watch, value)).encode()
            for key, value in found
            if labels.matches(labels_of(value)) and wanted(key, value)
        ]

    # The API server.

    async def call(self, call: Call) -> bytes:
        # Calls made together overlap, as they do for real.
        await asyncio.sleep(0)
        name, body = describe(call)
        self.calls.append((name, body))
        if error := self.failure(name):
            raise error
        return json.dumps(self._answer(call, body)).encode()

    def _answer(self, call: Call, body: Any) -> Any:
        match call.verb:
            case "list":
                return self._list(call)
            case "get":
                return self._existing(call)
            case "create" if call.subresource:
                return {}
            case "create":
                return self._create(call, body)
            case "update":
                return self._replace(self._existing(call), body, call.subresource)
            case "patch":
                old = self._existing(call)
                return self._replace(old, _patch.apply(old, body, call.patch_type), call.subresource)
            case "delete":
                assert isinstance(call.options, DeleteOptions)
                return self._delete(call, call.options)

    def _list(self, call: Call) -> JsonObject:
        options = call.options
        assert isinstance(options, ListOptions)
        labels = parse_selector(options.label_selector)
        found = [
            value
            for key, value in sorted(self.collection(collection_at(call.resource)).items())
            if options.namespace in ("", key.namespace)
            and labels.matches(labels_of(value))
            and matches_fields(value, options.field_selector)
        ]
        begin = int(options.continue_ or 0)
        end = begin + options.limit if options.limit else len(found)
        metadata = {"resourceVersion": str(self._counter)}
        if end < len(found):
            metadata["continue"] = str(end)
        return {"metadata": metadata, "items": found[begin:end]}

    def _existing(self, call: Call) -> JsonObject:
        found = self.collection(collection_at(call.resource)).get(call.key)
        if found is None:
            message = f'{call.resource.plural} "{call.key.name}" not found'
            raise NotFound(message, code=404, reason="NotFound")
        return found

    def _create(self, call: Call, body: JsonObject) -> JsonObject:
        body = copy.deepcopy(body)
        if call.key.namespace:
            body["metadata"]["namespace"] = call.key.namespace
        if body["metadata"].get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created", code=400)
        name = body["metadata"].get("name", "")
        if name and ObjectKey(call.key.namespace, name) in self.collection(collection_at(call.resource)):
            message = f'{call.resource.plural} "{name}" already exists'
            raise AlreadyExists(message, code=409, reason="AlreadyExists")
        return self.put(body)

    def _replace(self, old: JsonObject, body: JsonObject, subresource: str) -> JsonObject:
        """What the server keeps of a new body: the status of the old one, or with the status
        subresource nothing but the status."""
        uid, version = body["metadata"].get("uid"), body["metadata"].get("resourceVersion")
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict("the UID differs", code=409, reason="Conflict")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409, reason="Conflict")
        new, status_from = (old, body) if subresource == "status" else (body, old)
        new = {name: value for name, value in copy.deepcopy(new).items() if name != "status"}
        if "status" in status_from:
            new["status"] = copy.deepcopy(status_from["status"])
        for name in ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp"):
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self.remove(collection_of(new), key_of(new))
            return new
        return self.put(new)

    def _delete(self, call: Call, options: DeleteOptions) -> JsonObject:
        value = copy.deepcopy(self._existing(call))
        metadata = value["metadata"]
        wanted = ((options.uid, metadata["uid"]), (options.resource_version, metadata["resourceVersion"]))
        if any(one not in (None, found) for one, found in wanted):
            raise Conflict("a precondition failed", code=409, reason="Conflict")
        held = {
            PropagationPolicy.FOREGROUND: ["foregroundDeletion"],
            PropagationPolicy.ORPHAN: ["orphan"],
        }.get(options.propagation_policy or PropagationPolicy.BACKGROUND, [])
        finalizers = [*metadata.get("finalizers", ()), *held]
        if finalizers:
            metadata["finalizers"] = finalizers
            metadata.setdefault("deletionTimestamp", format_time(self.time))
            return self.put(value)
        self.remove(collection_at(call.resource), call.key)
        return value

    # The rest of the host.

    def resolve(self, group: str, version: str, kind: str) -> Resource | None:
        namespaced = self.scope(kind)
        if namespaced is None:
            return None
        api_version = f"{group}/{version}" if group else version
        return Resource(group, version, plural_of(api_version, kind), kind, namespaced)

    def enqueue(self, items: Sequence[QueueItem]) -> None:
        self.queued.extend(items)

    def record(self, event: Event) -> None:
        self.events.append(event)

    def log(self, level: Level, message: str, fields: Sequence[tuple[str, str]]) -> None:
        raise AssertionError("native tests log as usual")

    def log_enabled(self, level: Level) -> bool:
        return True

    def declare_metric(self, metric: MetricDeclaration) -> int:
        if metric not in self.metrics:
            if any(known.name == metric.name for known in self.metrics):
                raise ValueError(f"the metric {metric.name} is declared twice, and not alike")
            self.metrics.append(metric)
        return self.metrics.index(metric)

    def add_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        values = self.values.setdefault((self.metrics[metric].name, tuple(labels)), [0.0])
        values[0] += value

    def set_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        self.values[self.metrics[metric].name, tuple(labels)] = [value]

    def observe_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        self.values.setdefault((self.metrics[metric].name, tuple(labels)), []).append(value)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> int:
        return (self.time - _BEGIN) // timedelta(microseconds=1) * 1000

    def random(self) -> int:
        # Spread over all 64 bits, and the same in every run.
        return self.number() * 0x9E3779B97F4A7C15 % (1 << 64)

    def config(self) -> bytes:
        return self.settings


def key_of(value: JsonObject) -> ObjectKey:
    """An object's key."""
    return ObjectKey(value["metadata"].get("namespace", ""), value["metadata"]["name"])


def labels_of(value: JsonObject) -> dict[str, str]:
    """An object's labels."""
    labels: dict[str, str] = value["metadata"].get("labels") or {}
    return labels


def controller_of(value: JsonObject) -> JsonObject:
    """The reference to the controlling owner; empty if there is none."""
    owners = value["metadata"].get("ownerReferences", ())
    return next((owner for owner in owners if owner.get("controller")), {})


def collection_of(value: JsonObject) -> Collection:
    """Where an object is stored."""
    api_version, kind = value["apiVersion"], value["kind"]
    return api_version.rpartition("/")[0], plural_of(api_version, kind)


def plural_of(api_version: str, kind: str) -> str:
    """As the kind was declared, or in lower case with an `s`."""
    resource = KINDS.get((api_version, kind))
    return resource.plural if resource else f"{kind.lower()}s"


def collection_at(resource: Resource) -> Collection:
    """Where the objects of a resource are stored."""
    return resource.group, resource.plural


def describe(call: Call) -> tuple[str, Any]:
    """A call as tests read it, and what it sends."""
    subresource = f"/{call.subresource}" if call.subresource else ""
    body = json.loads(call.body) if call.body else None
    if isinstance(call.options, DeleteOptions):
        options = call.options
        fields = {
            "propagationPolicy": options.propagation_policy and options.propagation_policy.value,
            "gracePeriodSeconds": None if options.grace_period is None else int(options.grace_period.total_seconds()),
            "uid": options.uid,
            "resourceVersion": options.resource_version,
        }
        body = {name: value for name, value in fields.items() if value is not None} or None
    return f"{call.verb} {call.resource.plural}{subresource} {call.key}", body


def viewed(watch: Watch[Any], value: JsonObject) -> JsonObject:
    """No more than what a watch asks for, so that a field that was forgotten is missed here."""
    kept: JsonObject = {name: value[name] for name in ("apiVersion", "kind", "metadata") if name in value}
    match watch.view:
        case Metadata():
            return kept
        case Fields(paths):
            for path in paths:
                _copy_path(value, kept, path.split("."))
            return kept
        case _:
            return value


def _copy_path(value: Any, kept: Any, steps: list[str]) -> None:
    """Copies what lies at a path, through lists."""
    first, rest = steps[0], steps[1:]
    if first not in value:
        return
    found = value[first]
    if not rest or not isinstance(found, (dict, list)):
        kept[first] = found
    elif isinstance(found, dict):
        _copy_path(found, kept.setdefault(first, {}), rest)
    else:
        copies = kept.setdefault(first, [{} for _ in found])
        for item, copied in zip(found, copies, strict=True):
            if isinstance(item, dict):
                _copy_path(item, copied, rest)


def scalar(value: Any, path: str) -> str | None:
    """The scalar at a path, as text."""
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    if isinstance(value, (dict, list)) or value is None:
        return None
    return json.dumps(value) if isinstance(value, bool) else str(value)


def matches_fields(value: JsonObject, selector: str) -> bool:
    """Whether an object fulfils a field selector."""
    for term in filter(None, selector.split(",")):
        path, equals, wanted = re.split(r"(!=|==?)", term, maxsplit=1)
        if ((scalar(value, path) or "") == wanted) != (equals != "!="):
            return False
    return True


_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<missing>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<operator>==?|!=)\s*(?P<value>[\w.-]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)


def parse_selector(selector: str) -> LabelSelector:
    """The string form of a label selector. Raises `Terminal` if it does not parse."""
    requirements, position = list[Requirement](), 0
    while position < len(selector):
        match = _TERM.match(selector, position)
        if match is None or match.end() == position:
            raise Terminal(f"the selector {selector!r} does not parse")
        requirements.append(_requirement(match))
        position = match.end()
    return LabelSelector({}, requirements)


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent"]:
        return Requirement(match["missing"], "DoesNotExist")
    if match["set"]:
        values = [value.strip() for value in match["values"].split(",")]
        return Requirement(match["key"], "In" if match["set"] == "in" else "NotIn", values)
    if match["operator"]:
        return Requirement(match["key"], "NotIn" if match["operator"] == "!=" else "In", [match["value"]])
    return Requirement(match["key"], "Exists")
