"""Kubernetes events: fire and forget. The host aggregates, rate-limits and sends them; the
source is the controller's name."""

from __future__ import annotations

from typing import Literal

from ._host import Event, ObjectReference, host
from .objects import AnyObject

EventType = Literal["Normal", "Warning"]
"""Whether something went as it should, or may be wrong."""


def record_event(
    about: AnyObject, reason: str, message: str, *, type: EventType = "Normal", action: str = ""
) -> None:
    """Records an event about an object.

    `reason` is CamelCase, at most 128 characters; of `message` 1,024 bytes are kept. With an
    `action`, such as `Binding`, it goes through `events.k8s.io/v1`, otherwise through core
    `v1`.
    """
    host().record(Event(object_reference(about), type, reason, message, action))


def object_reference(about: AnyObject) -> ObjectReference:
    """What an event about an object refers to."""
    metadata, resource = about.metadata, about.resource
    return ObjectReference(
        resource.api_version,
        resource.kind,
        metadata.namespace,
        metadata.name,
        metadata.uid,
        metadata.resource_version,
    )
