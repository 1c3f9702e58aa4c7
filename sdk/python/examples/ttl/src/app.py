"""Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.

Over the bare bindings, to show what they are.
"""

import json
from datetime import datetime

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import clientset, clock, lister, logging, manifest, metrics, types

ANNOTATION = "ttl.windlass.dev/expires"
CONFIG_MAPS = types.ApiResource(group="", version="v1", plural="configmaps")


# The numbers of declared metrics. Each call makes a Handler of its own, so what a guest
# keeps is the module's.
_metrics: dict[str, int] = {}


class Handler(exports.Handler):
    def describe(self) -> manifest.Manifest:
        return manifest.Manifest(
            name="ttl-python",
            version="0.1.0",
            watches=[
                manifest.Watch(
                    target=manifest.WatchTarget_One(CONFIG_MAPS),
                    label_selector="",
                    view=manifest.View_Metadata(),
                    enqueue=manifest.EnqueueRule_Itself(),
                    on=manifest.EventKinds.ADDED | manifest.EventKinds.UPDATED,
                    observe=False,
                    old_bodies=False,
                    indexes=[],
                )
            ],
            workers=10,
            permissions=[manifest.Permission(groups=[""], resources=["configmaps"], verbs=["delete"])],
            api_qps=0,
            api_burst=0,
        )

    async def start(self) -> None:
        _metrics["expired"] = metrics.declare(
            metrics.Metric(
                name="expired_total",
                help="Objects deleted because their time was up.",
                kind=metrics.MetricKind_Counter(),
                labels=["namespace"],
            )
        )

    async def sync_handler(self, sync: int, key: types.ObjectKey) -> types.Outcome:
        body = lister.get(0, key)
        if body is None:
            return types.Outcome_Done()
        metadata = json.loads(body)["metadata"]
        annotated = metadata.get("annotations", {}).get(ANNOTATION)
        if not annotated:
            return types.Outcome_Done()
        try:
            expires = datetime.fromisoformat(annotated).timestamp()
        except ValueError as error:
            raise Err(types.SyncError_Terminal(str(error))) from error
        now = clock.now()
        left = expires - now.seconds - now.nanoseconds / 1e9
        if left > 0:
            return types.Outcome_RequeueAfter(int(left * 1000) + 1)
        options = types.DeleteOptions(
            propagation_policy=None,
            grace_period_seconds=None,
            preconditions=types.Preconditions(uid=metadata["uid"], resource_version=None),
        )
        try:
            await clientset.delete(sync, types.Target(CONFIG_MAPS, key, ""), options)
        except Err as error:
            if error.value.kind != types.ApiErrorKind.NOT_FOUND:
                raise Err(types.SyncError_Retry(error.value.message)) from error
        metrics.add(_metrics["expired"], [key.namespace], 1)
        logging.log(logging.Level.INFO, "expired", [("at", annotated)])
        return types.Outcome_Done()
