"""What a project gets that installs the package: both modules, and a sync in the fake cluster."""

import sys
from importlib.metadata import metadata

import windlass
import windlass.testing


class ConfigMap(windlass.Unstructured, version="v1", plural="configmaps", kind="ConfigMap"):
    pass


CONFIG_MAPS = windlass.Watch(ConfigMap, enqueue=windlass.Itself())
CLIENT = windlass.Client(ConfigMap)


@windlass.main
class Smoke(windlass.Controller):
    manifest = windlass.Manifest(
        name="smoke",
        version="0.1.0",
        watches=[CONFIG_MAPS],
        permissions=[windlass.Permission([""], ["configmaps"], ["delete"])],
    )

    async def sync_handler(self, key: windlass.ObjectKey) -> None:
        if windlass.Lister(CONFIG_MAPS).get(key):
            await CLIENT.delete(key)


if metadata("windlass")["Version"] != windlass.__version__:
    sys.exit("pyproject.toml and windlass.__version__ differ")
with windlass.testing.Cluster(Smoke) as cluster:
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "a"}})
    cluster.sync("default/a")
    if cluster.list(ConfigMap):
        sys.exit("the sync did nothing")
