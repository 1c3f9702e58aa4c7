"""Adopting and releasing dependents, as Kubernetes' own controllers do."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from .client import Client, patch_metadata
from .errors import ApiError, Error, Invalid, NotFound, Retry, aggregate
from .objects import AnyObject, OwnerReference, Unstructured, controller_reference
from .selector import LabelSelector

_log = logging.getLogger(__name__)
Dependent = TypeVar("Dependent", bound=AnyObject)


@dataclass
class Claim:
    """Reconciles who controls a set of objects with who should: the owner's own that match its
    selector are kept, its own that do not are released, matching orphans are adopted.

    An owner on its way out neither adopts nor releases. Before the first adoption the owner
    is read live, since the cache may not know yet that it was deleted or replaced; so the
    manifest asks for `get` on it, and for `patch` on the dependents. Both are merge patches
    with UID and resource version as preconditions, so a change in between is a `Conflict`.
    """

    owner: AnyObject
    """Who should control what matches."""
    selector: LabelSelector
    """Which objects those are."""
    _refusal: str | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    async def run(self, candidates: Iterable[Dependent]) -> list[Dependent]:
        """The candidates that the owner controls afterwards. One failure does not keep the rest
        from being tried; all are raised together."""
        claimed, errors = [], list[Exception]()
        for candidate in candidates:
            try:
                if await self._claim(candidate):
                    claimed.append(candidate)
            except Error as error:
                errors.append(error)
        if (joined := aggregate(errors)) is not None:
            raise joined
        return claimed

    async def _claim(self, candidate: AnyObject) -> bool:
        metadata, owner = candidate.metadata, self.owner.metadata
        matches = self.selector.matches(metadata.labels)
        if metadata.controller is not None:
            if metadata.controller.uid != owner.uid or matches:
                return metadata.controller.uid == owner.uid
            if not owner.is_deleting:
                await self._release(candidate)
            return False
        if owner.is_deleting or not matches or metadata.is_deleting or metadata.namespace != owner.namespace:
            return False
        return await self._adopt(candidate)

    async def _adopt(self, candidate: AnyObject) -> bool:
        if not self._asked:
            self._refusal = await self._why_not()
            self._asked = True
        if self._refusal:
            kind, uid = candidate.resource.kind, candidate.metadata.uid
            raise Retry(f"can't adopt {kind} {candidate.key} ({uid}): {self._refusal}")
        _log.debug("adopting", extra={"object": candidate.key})
        owners = [*candidate.metadata.owner_references, controller_reference(self.owner)]
        try:
            await _patch(candidate, owners)
        except NotFound:
            return False
        return True

    async def _release(self, candidate: AnyObject) -> None:
        _log.debug("releasing", extra={"object": candidate.key})
        uid = self.owner.metadata.uid
        owners = [owner for owner in candidate.metadata.owner_references if owner.uid != uid]
        try:
            await _patch(candidate, owners)
        except (NotFound, Invalid):
            # Gone, or no longer what it was: either way the reference is not ours any more.
            pass

    async def _why_not(self) -> str | None:
        key, uid = self.owner.key, self.owner.metadata.uid
        try:
            live = (await Client(Unstructured.of(self.owner.resource)).get(key)).metadata
        except ApiError as error:
            return str(error)
        if live.uid != uid:
            return f"original {self.owner.resource.kind} {key} is gone: got uid {live.uid}, wanted {uid}"
        if live.is_deleting:
            return f"{key} has just been deleted at {live.deletion_timestamp}"
        return None


async def _patch(candidate: AnyObject, owners: list[OwnerReference]) -> None:
    await patch_metadata(Client(Unstructured.of(candidate.resource)), candidate, ownerReferences=owners)
