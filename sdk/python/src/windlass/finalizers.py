"""Finalizers: what must happen before an object can go.

Both are merge patches with UID and resource version as preconditions, so a change in
between raises `Conflict` and no other finalizer is lost; the manifest asks for `patch`.
"""

from __future__ import annotations

from .client import Client
from .objects import ObjectT


async def add_finalizer(about: ObjectT, finalizer: str) -> ObjectT:
    """The object with this finalizer: itself if it has it, otherwise what the server answered."""
    finalizers = about.metadata.finalizers
    return about if finalizer in finalizers else await _write(about, [*finalizers, finalizer])


async def remove_finalizer(about: ObjectT, finalizer: str) -> ObjectT:
    """The object without this finalizer: itself if it has none, otherwise what the server
    answered. May raise `NotFound`."""
    finalizers = about.metadata.finalizers
    if finalizer not in finalizers:
        return about
    return await _write(about, [known for known in finalizers if known != finalizer])


async def _write(about: ObjectT, finalizers: list[str]) -> ObjectT:
    metadata = about.metadata
    patch = {
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
        "finalizers": finalizers,
    }
    return await Client(type(about)).patch(about.key, {"metadata": patch})
