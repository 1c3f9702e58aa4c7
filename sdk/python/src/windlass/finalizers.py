"""Finalizers: what must happen before an object can go.

Both are merge patches with UID and resource version as preconditions, so a change in
between raises `Conflict` and no other finalizer is lost; the manifest asks for `patch`.
"""

from __future__ import annotations

from .client import Client, patch_metadata
from .objects import ObjectT


async def add_finalizer(about: ObjectT, finalizer: str) -> ObjectT:
    """The object with this finalizer: itself if it has it, otherwise what the server answered."""
    finalizers = about.metadata.finalizers
    if finalizer in finalizers:
        return about
    return await patch_metadata(Client(type(about)), about, finalizers=[*finalizers, finalizer])


async def remove_finalizer(about: ObjectT, finalizer: str) -> ObjectT:
    """The object without this finalizer: itself if it has none, otherwise what the server
    answered. May raise `NotFound`."""
    finalizers = about.metadata.finalizers
    if finalizer not in finalizers:
        return about
    kept = [known for known in finalizers if known != finalizer]
    return await patch_metadata(Client(type(about)), about, finalizers=kept)
