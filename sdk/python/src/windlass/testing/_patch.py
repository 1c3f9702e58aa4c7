"""Patches, as the fake cluster applies them."""

from __future__ import annotations

import copy
from typing import Any

from .._host import PatchType
from ..errors import BadRequest, Invalid


def apply(target: Any, patch: Any, patch_type: PatchType) -> Any:
    """The target, patched. A strategic patch knows one list with a key, `ownerReferences`."""
    if patch_type is PatchType.JSON:
        return _operations(copy.deepcopy(target), patch)
    return _merge(target, patch, strategic=patch_type is PatchType.STRATEGIC)


def _merge(target: Any, patch: Any, *, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if strategic and name == "ownerReferences":
            merged[name] = _merge_owners(merged.get(name, []), value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value, strategic=strategic)
    return merged


def _merge_owners(owners: list[Any], changes: list[Any]) -> list[Any]:
    for change in changes:
        owners = [owner for owner in owners if owner["uid"] != change["uid"]]
        if change.get("$patch") != "delete":
            owners.append(change)
    return owners


def _operations(document: Any, operations: Any) -> Any:
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations", code=400)
    for operation in operations:
        kind, path = operation["op"], operation["path"]
        if kind in ("move", "copy"):
            value = _find(document, operation["from"])
            if kind == "move":
                document = _change(document, operation["from"], "remove", None)
            document = _change(document, path, "add", copy.deepcopy(value))
        elif kind == "test":
            if _find(document, path) != operation["value"]:
                raise Invalid(f"testing value {path} failed", code=422)
        else:
            document = _change(document, path, kind, operation.get("value"))
    return document


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _find(document: Any, path: str) -> Any:
    for step in _steps(path):
        try:
            document = document[int(step)] if isinstance(document, list) else document[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise Invalid(f"there is nothing at {path}", code=422) from None
    return document


def _change(document: Any, path: str, kind: str, value: Any) -> Any:
    if not _steps(path):
        return value
    *parents, last = _steps(path)
    parent = _find(document, "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in parents))
    if kind != "add":
        _find(document, path)
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if kind == "add":
            parent.insert(index, value)
        elif kind == "replace":
            parent[index] = value
        else:
            del parent[index]
    elif kind == "remove":
        del parent[last]
    else:
        parent[last] = value
    return document
