"""Calls to the API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

from ._host import Call, DeleteOptions, ListOptions, PatchType, PropagationPolicy, Verb, host, sync_id
from .codec import JsonObject, encode
from .objects import AnyObject, ObjectKey, ObjectT
from .selector import Selector, selector_text

Body = AnyObject | Mapping[str, Any]
"""What is sent: an object, or a dictionary whose values may be dataclasses."""


@dataclass(frozen=True)
class Page(Generic[ObjectT]):
    """One page of a live list."""

    items: Sequence[ObjectT]
    """The objects on it."""
    continue_: str
    """For the next page; empty at the last."""
    resource_version: str
    """How new the list is; opaque."""


class Client(Generic[ObjectT]):
    """API calls about one kind of object, on behalf of the sync that makes them. Make it a
    constant.

    Every call may wait, counts against the module's budget and needs a permission of the
    manifest. Nothing is tried again below this: an `ApiError` is the caller's, who usually
    lets it pass, which has the sync tried again. Calls of one sync may be in flight
    together: `await asyncio.gather(...)`. Calls of `start` belong to no sync.
    """

    def __init__(self, kind: type[ObjectT]) -> None:
        self._kind = kind
        self._resource = kind.resource

    async def get(self, key: ObjectKey) -> ObjectT:
        """A live read, not from the cache. Raises `NotFound`."""
        return self._read(await self._call("get", key))

    async def list(
        self,
        namespace: str = "",
        *,
        label_selector: Selector = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Page[ObjectT]:
        """A live list of a namespace, or of all: one page of `limit`, or everything at once."""
        options = ListOptions(namespace, selector_text(label_selector), field_selector, limit, continue_)
        answer = json.loads(await self._call("list", ObjectKey(namespace, ""), options=options))
        metadata = answer.get("metadata", {})
        items = [self._kind.from_json(item) for item in answer.get("items") or ()]
        return Page(items, metadata.get("continue", ""), metadata.get("resourceVersion", ""))

    async def pages(
        self,
        namespace: str = "",
        *,
        label_selector: Selector = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> AsyncIterator[ObjectT]:
        """A live list, page after page. Raises `Gone` when that takes too long."""
        continue_ = ""
        while True:
            page = await self.list(
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                continue_=continue_,
            )
            for item in page.items:
                yield item
            continue_ = page.continue_
            if not continue_:
                return

    async def create(self, body: Body, *, namespace: str | None = None) -> ObjectT:
        """Creates an object; its name, or what it is generated from, is in the body, and so is
        its namespace unless it is given. Raises `AlreadyExists`."""
        sent = self._json(body)
        if namespace is None:
            namespace = sent["metadata"].get("namespace", "")
        return self._read(await self._call("create", ObjectKey(namespace, ""), body=sent))

    async def update(self, body: Body) -> ObjectT:
        """Replaces an object. With `resourceVersion` in its metadata, which whatever was read
        has, a change in between raises `Conflict`.

        Only with a body that was read whole: what a watch's view leaves out would be lost.
        """
        sent = self._json(body)
        return self._read(await self._call("update", _key(sent), body=sent))

    async def update_status(self, body: Body) -> ObjectT:
        """Replaces an object's status, as `update` does the rest."""
        sent = self._json(body)
        return self._read(await self._call("update", _key(sent), "status", body=sent))

    async def patch(
        self, key: ObjectKey, body: Any, patch_type: PatchType = PatchType.MERGE
    ) -> ObjectT:
        """Patches an object. `metadata.uid` and `metadata.resourceVersion` in a merge patch are
        preconditions: another one raises `Conflict`."""
        return self._read(await self._call("patch", key, body=encode(body), patch_type=patch_type))

    async def patch_status(
        self, key: ObjectKey, body: Any, patch_type: PatchType = PatchType.MERGE
    ) -> ObjectT:
        """Patches an object's status; the body is as of the whole object: `{"status": ...}`."""
        return self._read(await self._call("patch", key, "status", body=encode(body), patch_type=patch_type))

    async def delete(
        self,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation_policy: PropagationPolicy | None = None,
        grace_period: timedelta | None = None,
    ) -> None:
        """Deletes an object. Raises `NotFound`, or `Conflict` when it is not the one with this
        UID or in this version. What is unset is the server's choice."""
        options = DeleteOptions(propagation_policy, grace_period, uid, resource_version)
        await self._call("delete", key, options=options)

    async def get_subresource(self, key: ObjectKey, subresource: str) -> JsonObject:
        """Reads a subresource such as `scale`."""
        return _object(await self._call("get", key, subresource))

    async def create_subresource(self, key: ObjectKey, subresource: str, body: Any) -> JsonObject:
        """Posts to a subresource such as `binding` or `eviction`."""
        return _object(await self._call("create", key, subresource, body=encode(body)))

    async def update_subresource(self, key: ObjectKey, subresource: str, body: Any) -> JsonObject:
        """Replaces a subresource such as `scale`."""
        return _object(await self._call("update", key, subresource, body=encode(body)))

    async def patch_subresource(
        self, key: ObjectKey, subresource: str, body: Any, patch_type: PatchType = PatchType.MERGE
    ) -> JsonObject:
        """Patches a subresource such as `scale`."""
        return _object(await self._call("patch", key, subresource, body=encode(body), patch_type=patch_type))

    async def _call(
        self,
        verb: Verb,
        key: ObjectKey,
        subresource: str = "",
        *,
        body: Any = None,
        patch_type: PatchType = PatchType.MERGE,
        options: DeleteOptions | ListOptions | None = None,
    ) -> bytes:
        text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        return await host().call(
            Call(sync_id.get(), verb, self._resource, key, subresource, text, patch_type, options)
        )

    def _read(self, body: bytes) -> ObjectT:
        return self._kind.from_json(json.loads(body))

    def _json(self, body: Body) -> JsonObject:
        if isinstance(body, AnyObject):
            return body.to_json()
        return {
            "apiVersion": self._resource.api_version,
            "kind": self._resource.kind,
            **{name: encode(value) for name, value in body.items()},
        }


async def patch_metadata(client: Client[ObjectT], about: AnyObject, **fields: Any) -> ObjectT:
    """Patches metadata of the very object and version that was read. Lists are replaced, so a
    change in between has to be a `Conflict`."""
    metadata = about.metadata
    patch = {"uid": metadata.uid, "resourceVersion": metadata.resource_version, **fields}
    return await client.patch(about.key, {"metadata": patch})


def _key(body: JsonObject) -> ObjectKey:
    metadata = body["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])


def _object(body: bytes) -> JsonObject:
    answer: JsonObject = json.loads(body)
    return answer
