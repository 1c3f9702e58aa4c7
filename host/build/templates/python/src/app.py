"""Greets whom a Greeting names, in a ConfigMap that the Greeting owns."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import windlass
from windlass import (
    Client,
    Condition,
    Fields,
    Itself,
    Lister,
    Manifest,
    ObjectKey,
    OwnedBy,
    Permission,
    Result,
    Watch,
    encode,
    record_event,
)


@dataclass
class Spec:
    name: str


@dataclass
class Status:
    observed_generation: int = 0
    message: str = ""
    conditions: list[Condition] = field(default_factory=list)


@dataclass
class Greeting(windlass.Object, group="example.com", version="v1", plural="greetings", kind="Greeting"):
    spec: Spec
    status: Status = field(default_factory=Status)


@dataclass
class ConfigMap(windlass.Object, version="v1", plural="configmaps", kind="ConfigMap"):
    data: dict[str, str] = field(default_factory=dict)


# A Greeting that changes is synced; a ConfigMap that changes has its owner synced.
GREETINGS = Watch(Greeting, enqueue=Itself())
CONFIG_MAPS = Watch(ConfigMap, enqueue=OwnedBy(Greeting), view=Fields("data.message"))

# Listers read the host's caches, clients call the API server.
cached_greetings, cached_config_maps = Lister(GREETINGS), Lister(CONFIG_MAPS)
greetings, config_maps = Client(Greeting), Client(ConfigMap)


@windlass.main
class Greeter(windlass.Controller):
    manifest = Manifest(
        name="__NAME__",
        version="0.1.0",
        watches=[GREETINGS, CONFIG_MAPS],
        workers=10,
        # What is watched may be read. All other calls need a permission.
        permissions=[
            Permission(["example.com"], ["greetings/status"], ["patch"]),
            Permission([""], ["configmaps"], ["create", "patch"]),
            # Some clusters ask this of whoever makes a Greeting the owner of something.
            Permission(["example.com"], ["greetings/finalizers"], ["update"]),
        ],
    )

    async def sync_handler(self, key: ObjectKey) -> Result | None:
        """Makes the world as one Greeting wants it. Why it is called does not matter: it looks
        at what there is, and changes what is not right. What fails is tried again."""
        greeting = cached_greetings.get(key)
        if greeting is None or greeting.metadata.is_deleting:
            return None  # The garbage collector takes what it owned.
        message = f"Hello, {greeting.spec.name}!"
        if await ensure_config_map(greeting, message):
            await update_status(greeting, message, Condition("Ready", "True", "Greeted", message))
            return None
        why = f"ConfigMap {key.name} is somebody else's"
        await update_status(greeting, "", Condition("Ready", "False", "Conflict", why))
        # Nobody tells us when it goes, for it has another owner or none.
        return Result(requeue_after=timedelta(seconds=30))


async def ensure_config_map(greeting: Greeting, message: str) -> bool:
    """Creates or corrects the ConfigMap, unless it is somebody else's."""
    name, data = greeting.metadata.name, {"message": message}
    found = cached_config_maps.get(greeting.key)
    if found is None:
        await config_maps.create(ConfigMap(metadata=windlass.owned_metadata(greeting, name), data=data))
        record_event(greeting, "Created", f"Created ConfigMap {name}")
    elif not found.metadata.is_controlled_by(greeting):
        return False
    elif found.data.get("message") != message:
        await config_maps.patch(greeting.key, {"data": data})
    return True


async def update_status(greeting: Greeting, message: str, ready: Condition) -> None:
    """Writes the status if it is another one. Writing always would sync the key for ever."""
    generation, conditions = greeting.metadata.generation, list(greeting.status.conditions)
    windlass.set_condition(conditions, replace(ready, observed_generation=generation))
    status = Status(generation, message, conditions)
    if encode(status) != encode(greeting.status):
        await greetings.patch_status(greeting.key, {"status": encode(status)})
