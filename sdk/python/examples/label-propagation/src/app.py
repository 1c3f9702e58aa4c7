"""Gives every ConfigMap its namespace's label examples.windlass.dev/team as label `team`."""

from collections.abc import Iterable

import windlass
from windlass import Client, Itself, Lister, Manifest, Mapped, MappedEvent, ObjectKey, Permission, Watch

TEAM = "examples.windlass.dev/team"
PROPAGATED = "examples.windlass.dev/propagated"
LEFT_ALONE = "kube-root-ca.crt"


class Namespace(
    windlass.Unstructured, version="v1", plural="namespaces", kind="Namespace", namespaced=False
):
    pass


class ConfigMap(windlass.Unstructured, version="v1", plural="configmaps", kind="ConfigMap"):
    pass


NAMESPACES = Watch(Namespace, enqueue=Mapped(), view=windlass.Metadata())
CONFIG_MAPS = Watch(ConfigMap, enqueue=Itself(), view=windlass.Metadata())
namespaces, cached = Lister(NAMESPACES), Lister(CONFIG_MAPS)
config_maps = Client(ConfigMap)


@windlass.main
class LabelPropagation(windlass.Controller, windlass.Mapper):
    manifest = Manifest(
        name="label-propagation-python",
        version="0.1.0",
        watches=[NAMESPACES, CONFIG_MAPS],
        workers=10,
        permissions=[Permission([""], ["configmaps"], ["patch"])],
    )

    def keys_for(self, event: MappedEvent) -> Iterable[ObjectKey]:
        return [config_map.key for config_map in cached.list(event.key.name)]

    async def sync_handler(self, key: ObjectKey) -> None:
        config_map, namespace = cached.get(key), namespaces.get(ObjectKey("", key.namespace))
        if config_map is None or namespace is None or key.name == LEFT_ALONE:
            return
        metadata = config_map.metadata
        if metadata.is_deleting:
            return
        team = namespace.metadata.labels.get(TEAM)
        if team is not None and metadata.labels.get("team") != team:
            await patch(key, team=team, propagated="true")
        elif team is None and metadata.annotations.get(PROPAGATED) == "true":
            await patch(key, team=None, propagated=None)


async def patch(key: ObjectKey, team: str | None, propagated: str | None) -> None:
    """Sets label and annotation together; `None` removes."""
    metadata = {"labels": {"team": team}, "annotations": {PROPAGATED: propagated}}
    try:
        await config_maps.patch(key, {"metadata": metadata})
    except windlass.NotFound:
        pass
