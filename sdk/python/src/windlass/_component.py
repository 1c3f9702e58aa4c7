"""The contract in a component: its imports as a `Host`, its exports as calls of a
`Controller`. Imported where the generated bindings are, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import (
    clientset,
    clock,
    discovery,
    lister,
    metrics,
    module_config,
    random,
    recorder,
    types,
    workqueue,
)
from wit_world.imports import logging as wit_logging
from wit_world.imports import manifest as wit_manifest

from . import log
from ._host import (
    Call,
    DeleteOptions,
    Event,
    Level,
    ListOptions,
    MetricDeclaration,
    PatchType,
    QueueItem,
    install,
)
from .controller import Batch, Controller, Delta, MappedEvent, check_exports, run_start, run_sync
from .errors import ApiError, ApiErrorKind, Error, StatusCause, Terminal, error_of_kind
from .manifest import DiscoveredWatch, Fields, Itself, Manifest, Mapped, Metadata, On, OwnedBy, Watch
from .objects import ObjectKey, Resource
from .selector import selector_text

_log = logging.getLogger("windlass")
_LEVELS = {name: getattr(wit_logging.Level, name.upper()) for name in ("error", "warn", "info", "debug", "trace")}
_PATCH_TYPES = {
    PatchType.JSON: types.PatchType.JSON_PATCH,
    PatchType.MERGE: types.PatchType.MERGE_PATCH,
    PatchType.STRATEGIC: types.PatchType.STRATEGIC_MERGE_PATCH,
}


class ComponentHost:
    """The contract's imports."""

    def lister_get(self, watch: int, key: ObjectKey) -> bytes | None:
        body: bytes | None = lister.get(watch, types.ObjectKey(key.namespace, key.name))
        return body

    def lister_list(self, watch: int, namespace: str | None, selector: str) -> Sequence[bytes]:
        return _or_terminal(lambda: lister.list(watch, namespace, selector))

    def lister_by_index(self, watch: int, index: str, value: str) -> Sequence[bytes]:
        return _or_terminal(lambda: lister.by_index(watch, index, value))

    def lister_by_owner(self, watch: int, uid: str) -> Sequence[bytes]:
        bodies: Sequence[bytes] = lister.by_owner(watch, uid)
        return bodies

    def lister_orphans(self, watch: int, namespace: str) -> Sequence[bytes]:
        bodies: Sequence[bytes] = lister.orphans(watch, namespace)
        return bodies

    async def call(self, call: Call) -> bytes:
        try:
            answer: bytes = await _call(call)
            return answer
        except Err as error:
            raise _api_error(error.value) from None

    def resolve(self, group: str, version: str, kind: str) -> Resource | None:
        mapping = discovery.resolve(group, version, kind)
        if mapping is None:
            return None
        found = mapping.resource
        return Resource(found.group, found.version, found.plural, kind, mapping.namespaced)

    def enqueue(self, items: Sequence[QueueItem]) -> None:
        workqueue.add(
            [workqueue.Item(_wit_key(item.key), _milliseconds(item.after), item.priority) for item in items]
        )

    def record(self, event: Event) -> None:
        about = event.regarding
        kind = recorder.EventType.NORMAL if event.type == "Normal" else recorder.EventType.WARNING
        reference = recorder.ObjectReference(
            about.api_version, about.kind, about.namespace, about.name, about.uid, about.resource_version
        )
        recorder.record(recorder.Event(reference, kind, event.reason, event.message, event.action))

    def log(self, level: Level, message: str, fields: Sequence[tuple[str, str]]) -> None:
        wit_logging.log(_LEVELS[level], message, list(fields))

    def log_enabled(self, level: Level) -> bool:
        enabled: bool = wit_logging.enabled(_LEVELS[level])
        return enabled

    def declare_metric(self, metric: MetricDeclaration) -> int:
        kind = _metric_kind(metric)
        try:
            number: int = metrics.declare(metrics.Metric(metric.name, metric.help, kind, list(metric.labels)))
            return number
        except Err as error:
            raise ValueError(f"the metric {metric.name}: {error.value}") from None

    def add_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        metrics.add(metric, list(labels), float(value))

    def set_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        metrics.set(metric, list(labels), float(value))

    def observe_metric(self, metric: int, labels: Sequence[str], value: float) -> None:
        metrics.observe(metric, list(labels), float(value))

    def now(self) -> datetime:
        now = clock.now()
        return datetime.fromtimestamp(now.seconds, UTC) + timedelta(microseconds=now.nanoseconds // 1000)

    def monotonic(self) -> int:
        nanoseconds: int = clock.monotonic()
        return nanoseconds

    def random(self) -> int:
        number: int = random.next()
        return number

    def config(self) -> bytes:
        body: bytes = module_config.get()
        return body


def export(kind: type[Controller], module: dict[str, Any]) -> None:
    """Gives a module what componentize-py looks for in it."""
    check_exports(kind, [name.lower() for name in ("Observer", "Mapper") if hasattr(exports, name)])
    install(ComponentHost())
    log.install()
    controllers: list[Any] = []

    def controller() -> Any:
        # Each call makes a Handler of its own; the controller is the instance's. It has the
        # methods that are exported below, as was checked above.
        if not controllers:
            log.follow_level()
            controllers.append(kind())
        return controllers[0]

    class Handler(exports.Handler):  # type: ignore[misc]
        def describe(self) -> Any:
            return _logged("describe", lambda: _wit_manifest(controller().describe()))

        async def start(self) -> None:
            log.follow_level()
            try:
                await run_start(controller())
            except Terminal as error:
                raise Err(str(error)) from None

        async def sync_handler(self, sync: int, key: Any) -> Any:
            log.follow_level()
            try:
                result = await run_sync(controller(), sync, ObjectKey(key.namespace, key.name))
            except Terminal as error:
                raise Err(types.SyncError_Terminal(str(error))) from None
            except Error as error:
                raise Err(types.SyncError_Retry(str(error))) from None
            if result.requeue_after is None:
                return types.Outcome_Done()
            return types.Outcome_RequeueAfter(_milliseconds(result.requeue_after))

    module["Handler"] = Handler
    if hasattr(exports, "Observer"):

        class Observer(exports.Observer):  # type: ignore[misc]
            def observe(self, batches: Sequence[Any]) -> None:
                _logged("observe", lambda: controller().observe([_batch(batch) for batch in batches]))

        module["Observer"] = Observer
    if hasattr(exports, "Mapper"):

        class Mapper(exports.Mapper):  # type: ignore[misc]
            def keys_for(self, watch: int, key: Any, body: bytes, old: bytes | None) -> list[Any]:
                event = MappedEvent(watch, ObjectKey(key.namespace, key.name), body, old)
                keys = _logged("keys_for", lambda: list(controller().keys_for(event)))
                return [_wit_key(key) for key in keys]

        module["Mapper"] = Mapper


def _logged(what: str, call: Callable[[], Any]) -> Any:
    """Calls what has no way to fail but to end the instance, and leaves the traceback behind."""
    try:
        return call()
    except Exception:
        _log.exception("%s raised an exception, which ends the instance", what)
        raise


def _or_terminal(read: Callable[[], Any]) -> Sequence[bytes]:
    try:
        bodies: Sequence[bytes] = read()
        return bodies
    except Err as error:
        raise Terminal(error.value) from None


async def _call(call: Call) -> Any:
    sync = call.sync
    resource = types.ApiResource(call.resource.group, call.resource.version, call.resource.plural)
    target = types.Target(resource, _wit_key(call.key), call.subresource)
    match call.verb:
        case "get":
            return await clientset.get(sync, target)
        case "list":
            return await clientset.list(sync, resource, _list_options(call))
        case "create":
            return await clientset.create(sync, target, call.body)
        case "update":
            return await clientset.update(sync, target, call.body)
        case "patch":
            return await clientset.patch(sync, target, _PATCH_TYPES[call.patch_type], call.body)
        case "delete":
            return await clientset.delete(sync, target, _delete_options(call))


def _list_options(call: Call) -> Any:
    options = call.options if isinstance(call.options, ListOptions) else ListOptions()
    return types.ListOptions(
        options.namespace, options.label_selector, options.field_selector, options.limit, options.continue_
    )


def _delete_options(call: Call) -> Any:
    options = call.options if isinstance(call.options, DeleteOptions) else DeleteOptions()
    policy, grace = options.propagation_policy, options.grace_period
    return types.DeleteOptions(
        propagation_policy=None if policy is None else types.PropagationPolicy[policy.name],
        grace_period_seconds=None if grace is None else int(grace.total_seconds()),
        preconditions=types.Preconditions(options.uid, options.resource_version),
    )


def _api_error(error: Any) -> ApiError:
    kind = ApiErrorKind.__members__.get(error.kind.name, ApiErrorKind.OTHER)
    after = error.retry_after_ms
    return error_of_kind(kind)(
        error.message,
        code=error.code,
        reason=error.reason,
        causes=[StatusCause(cause.reason, cause.field, cause.message) for cause in error.causes],
        retry_after=None if after is None else timedelta(milliseconds=after),
    )


def _metric_kind(metric: MetricDeclaration) -> Any:
    match metric.kind:
        case "counter":
            return metrics.MetricKind_Counter()
        case "gauge":
            return metrics.MetricKind_Gauge()
        case "histogram":
            return metrics.MetricKind_Histogram(list(metric.buckets))


def _batch(batch: Any) -> Batch:
    found = batch.resource
    return Batch(
        batch.watch,
        Resource(found.group, found.version, found.plural, batch.kind, batch.namespaced),
        [
            Delta(
                delta.kind.name.lower(),
                ObjectKey(delta.key.namespace, delta.key.name),
                delta.initial,
                delta.body,
                delta.old,
            )
            for delta in batch.deltas
        ],
    )


def _wit_key(key: ObjectKey) -> Any:
    return types.ObjectKey(key.namespace, key.name)


def _milliseconds(duration: timedelta) -> int:
    """Whole ones, rounded up: nothing happens early."""
    return max(0, -(-duration // timedelta(milliseconds=1)))


def _wit_manifest(manifest: Manifest) -> Any:
    return wit_manifest.Manifest(
        name=manifest.name,
        version=manifest.version,
        watches=[_wit_watch(watch) for watch in manifest.watches],
        workers=manifest.workers,
        permissions=[
            wit_manifest.Permission(list(rule.groups), list(rule.resources), list(rule.verbs))
            for rule in manifest.permissions
        ],
        api_qps=manifest.api_qps,
        api_burst=manifest.api_burst,
    )


def _wit_watch(watch: Watch[Any] | DiscoveredWatch) -> Any:
    events = wit_manifest.EventKinds
    on = events(0)
    for kind in (On.ADDED, On.UPDATED, On.DELETED):
        if kind in watch.on:
            on |= events[str(kind.name)]
    indexes = watch.indexes if isinstance(watch, Watch) else ()
    return wit_manifest.Watch(
        target=_wit_target(watch),
        label_selector=selector_text(watch.label_selector),
        view=_wit_view(watch),
        enqueue=_wit_rule(watch),
        on=on,
        observe=watch.observe,
        old_bodies=watch.old_bodies,
        indexes=[wit_manifest.Index(index.name, index.path) for index in indexes],
    )


def _wit_target(watch: Watch[Any] | DiscoveredWatch) -> Any:
    if isinstance(watch, DiscoveredWatch):
        return wit_manifest.WatchTarget_Discovered(list(watch.exclude))
    found = watch.type.resource
    return wit_manifest.WatchTarget_One(types.ApiResource(found.group, found.version, found.plural))


def _wit_view(watch: Watch[Any] | DiscoveredWatch) -> Any:
    view = watch.view if isinstance(watch, Watch) else Metadata()
    if isinstance(view, Fields):
        return wit_manifest.View_Fields(list(view.paths))
    return wit_manifest.View_Metadata() if isinstance(view, Metadata) else wit_manifest.View_Full()


def _wit_rule(watch: Watch[Any] | DiscoveredWatch) -> Any:
    rule = watch.enqueue
    match rule:
        case None:
            return wit_manifest.EnqueueRule_None_()
        case Itself():
            return wit_manifest.EnqueueRule_Itself()
        case Mapped():
            return wit_manifest.EnqueueRule_Mapper()
        case OwnedBy():
            orphans = wit_manifest.OrphanRule
            return wit_manifest.EnqueueRule_Owner(
                wit_manifest.OwnerRule(
                    rule.resource.group,
                    rule.resource.kind,
                    orphans.MATCHING_SELECTORS if rule.matching_orphans else orphans.IGNORE,
                )
            )
