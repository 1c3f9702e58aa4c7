"""Runs a WebApp as a ConfigMap, a Deployment and a Service, each named like it."""

from dataclasses import dataclass, field
from typing import Any

import windlass
from windlass import (
    AlreadyExists,
    Client,
    Condition,
    Itself,
    JsonObject,
    Lister,
    Manifest,
    NotFound,
    ObjectKey,
    OwnedBy,
    Permission,
    Terminal,
    Unstructured,
    Watch,
    encode,
    record_event,
)

GROUP = "examples.windlass.dev"
FINALIZER = f"{GROUP}/webapp"


@dataclass
class Spec:
    image: str
    replicas: int = 1
    port: int = 80
    config: dict[str, str] = field(default_factory=dict)


@dataclass
class Status:
    observed_generation: int = 0
    ready_replicas: int = 0
    conditions: list[Condition] = field(default_factory=list)


@dataclass
class WebApp(windlass.Object, group=GROUP, version="v1", plural="webapps", kind="WebApp"):
    spec: Spec
    status: Status = field(default_factory=Status)


class ConfigMap(Unstructured, version="v1", plural="configmaps", kind="ConfigMap"):
    pass


class Deployment(Unstructured, group="apps", version="v1", plural="deployments", kind="Deployment"):
    pass


class Service(Unstructured, version="v1", plural="services", kind="Service"):
    pass


WEBAPPS = Watch(WebApp, enqueue=Itself())
CONFIG_MAPS = Watch(ConfigMap, enqueue=OwnedBy(WebApp))
DEPLOYMENTS = Watch(Deployment, enqueue=OwnedBy(WebApp))
SERVICES = Watch(Service, enqueue=OwnedBy(WebApp))

webapps, services = Client(WebApp), Client(Service)


class Exactly(dict[str, Any]):
    """A mapping that has nothing else in it."""


def desired(app: WebApp) -> dict[Watch[Any], JsonObject]:
    """The objects of a WebApp: every field that the controller sets."""
    name, spec = app.metadata.name, app.spec
    labels = {"app": name}
    metadata = windlass.owned_metadata(app, name, labels=labels)
    container = {
        "name": "web",
        "image": spec.image,
        "ports": [{"containerPort": spec.port}],
        "envFrom": [{"configMapRef": {"name": name}}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    objects: dict[Watch[Any], JsonObject] = {
        CONFIG_MAPS: {"data": Exactly(spec.config)},
        DEPLOYMENTS: {
            "spec": {"replicas": spec.replicas, "selector": {"matchLabels": labels}, "template": template}
        },
        SERVICES: {
            "spec": {"selector": Exactly(labels), "ports": [{"port": spec.port, "targetPort": spec.port}]}
        },
    }
    return {watch: {"metadata": encode(metadata), **fields} for watch, fields in objects.items()}


def laid_over(found: Any, wanted: Any) -> Any:
    """What was found, with everything in it that is wanted; the rest is others' business."""
    if isinstance(wanted, Exactly):
        return dict(wanted) if wanted or found else found
    if isinstance(wanted, dict) and isinstance(found, dict):
        laid = {name: laid_over(found.get(name), value) for name, value in wanted.items()}
        return found | {name: value for name, value in laid.items() if value is not None}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [laid_over(*pair) for pair in zip(found, wanted, strict=True)]
    return wanted


@windlass.main
class WebAppController(windlass.Controller):
    manifest = Manifest(
        name="webapp-python",
        version="0.1.0",
        watches=[WEBAPPS, CONFIG_MAPS, DEPLOYMENTS, SERVICES],
        workers=10,
        permissions=[
            Permission([GROUP], ["webapps"], ["patch"]),
            Permission([GROUP], ["webapps/status"], ["update"]),
            Permission([""], ["configmaps"], ["create", "update"]),
            Permission(["apps"], ["deployments"], ["create", "update"]),
            Permission([""], ["services"], ["create", "update", "delete"]),
        ],
        api_qps=100,
        api_burst=200,
    )

    async def sync_handler(self, key: ObjectKey) -> None:
        app = Lister(WEBAPPS).get(key)
        if app is None:
            return
        if app.metadata.is_deleting:
            await finalize(app)
            return
        app = await windlass.add_finalizer(app, FINALIZER)
        for watch, wanted in desired(app).items():
            try:
                await ensure(app, watch, wanted)
            except AlreadyExists:
                message = f"{watch.type.__name__} {app.metadata.name} exists and is not this WebApp's"
                await write_status(app, Condition("Ready", "False", "NameTaken", message))
                raise Terminal(message) from None
        await write_status(app)


async def ensure(app: WebApp, watch: Watch[Any], wanted: JsonObject) -> None:
    """Creates an object, or corrects it where it is not as wanted."""
    client, described = Client(watch.type), f"{watch.type.__name__} {app.metadata.name}"
    found = Lister(watch).get(app.key)
    if found is None:
        await client.create(wanted)
        record_event(app, "Created", f"created {described}")
        return
    if not found.metadata.is_controlled_by(app):
        raise AlreadyExists(f"{described} is somebody else's")
    right = laid_over(found, {**wanted, "metadata": {"labels": wanted["metadata"]["labels"]}})
    if right != found and not found.metadata.is_deleting:
        await client.update(right)
        record_event(app, "Drifted", f"corrected {described}")


async def finalize(app: WebApp) -> None:
    """Lets the Service go first; the garbage collector does the rest."""
    service = Lister(SERVICES).get(app.key)
    try:
        if service is None or not service.metadata.is_controlled_by(app):
            await windlass.remove_finalizer(app, FINALIZER)
        elif not service.metadata.is_deleting:
            await services.delete(app.key, uid=service.metadata.uid)
    except NotFound:
        pass


async def write_status(app: WebApp, condition: Condition | None = None) -> None:
    """Writes the status if it changed; without a condition, the one that the replicas make."""
    deployment = Lister(DEPLOYMENTS).get(app.key)
    ready = 0
    if deployment is not None and deployment.metadata.is_controlled_by(app):
        ready = deployment.get("status", {}).get("readyReplicas", 0)
    condition = condition or readiness(ready, app.spec.replicas)
    condition.observed_generation = app.metadata.generation
    before = encode(app.status)
    app.status.observed_generation = app.metadata.generation
    app.status.ready_replicas = ready
    windlass.set_condition(app.status.conditions, condition)
    if encode(app.status) != before:
        await webapps.update_status(app)


def readiness(ready: int, replicas: int) -> Condition:
    message = f"{ready} of {replicas} replicas are ready"
    if ready == replicas:
        return Condition("Ready", "True", "AllReady", message)
    return Condition("Ready", "False", "Progressing", message)
