"""Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires."""

import logging
from datetime import timedelta

import windlass
from windlass import Client, Itself, Lister, Manifest, NotFound, ObjectKey, On, Permission, Result, Terminal, Watch
from windlass.metrics import Counter

ANNOTATION = "ttl.windlass.dev/expires"
EXPIRED = Counter("expired_total", "Objects deleted because their time was up.", labels=["namespace"])
log = logging.getLogger(__name__)


class ConfigMap(windlass.Unstructured, version="v1", plural="configmaps", kind="ConfigMap"):
    pass


WATCH = Watch(ConfigMap, enqueue=Itself(), view=windlass.Metadata(), on=On.ADDED | On.UPDATED)
cached = Lister(WATCH)
config_maps = Client(ConfigMap)


@windlass.main
class Ttl(windlass.Controller):
    manifest = Manifest(
        name="ttl-python",
        version="0.1.0",
        watches=[WATCH],
        workers=10,
        permissions=[Permission([""], ["configmaps"], ["delete"])],
    )

    async def sync_handler(self, key: ObjectKey) -> Result | None:
        config_map = cached.get(key)
        expires = config_map and config_map["metadata"].get("annotations", {}).get(ANNOTATION)
        if not config_map or not expires:
            return None
        try:
            left = windlass.parse_time(expires) - windlass.now()
        except ValueError as error:
            raise Terminal(str(error)) from error
        if left > timedelta():
            return Result(requeue_after=left)
        try:
            await config_maps.delete(key, uid=config_map["metadata"]["uid"])
        except NotFound:
            pass
        EXPIRED.add(namespace=key.namespace)
        log.info("expired", extra={"at": expires})
        return None
