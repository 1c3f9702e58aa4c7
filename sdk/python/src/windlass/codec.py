"""JSON to dataclasses and back.

A dataclass names the fields its author reads; `snake_case` stands for `camelCase`, a
trailing underscore is dropped (`continue_`), and `json_name` says it otherwise. What the
JSON has besides is kept with the instance and written back, so that a typed subset can be
changed and sent with PUT. `dataclasses.replace` and hand-made instances have no such rest.

A field with a default may be missing or null. Without one it must be there, except when its
type allows `None`. The other way round `None`, and empty texts and collections where they
are the default, are left out. Times are `datetime`s with a zone, written in UTC and whole
seconds.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast

from .errors import DecodeError

JsonObject = dict[str, Any]
"""An object as `json.loads` makes it."""

T = TypeVar("T")
_Decoder = Callable[[Any, str], Any]
_REST = "_windlass_rest"
_JSON_NAME = "windlass.json_name"
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)
_OMIT_ZERO = "windlass.omit_zero"
OMIT_ZERO = {_OMIT_ZERO: True}
"""Metadata of a field whose zero stands for not being there."""


def json_name(name: str) -> dict[str, str]:
    """Metadata of a field that is called otherwise in JSON:
    `external_ips: list[str] = field(default_factory=list, metadata=json_name("externalIPs"))`."""
    return {_JSON_NAME: name}


def decode(kind: type[T], value: Any, path: str = "", *, strict: bool = False) -> T:
    """Makes a `kind` of what `json.loads` returned.

    `strict` refuses keys that the dataclass does not know, at the top level.

    Raises `DecodeError` when it does not fit.
    """
    decoded = _decoder(cast(Any, kind))(value, path)
    rest = getattr(decoded, "__dict__", {}).get(_REST)
    if strict and rest:
        raise DecodeError(f"{path or kind.__name__}: unknown: {', '.join(sorted(rest))}")
    return cast(T, decoded)


def encode(value: Any) -> Any:
    """Makes of a value what `json.dumps` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value)
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, datetime):
        return format_time(value)
    return value.value if isinstance(value, Enum) else value


def format_time(time: datetime) -> str:
    """RFC 3339 as the Kubernetes API writes it: UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Reads RFC 3339. Raises `ValueError` for anything else, a time without zone included."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    return datetime.fromisoformat(text.upper())


def _encode_dataclass(value: Any) -> JsonObject:
    encoded = dict(value.__dict__.get(_REST, ()))
    for name, field, left_out in _fields(cast(Any, type(value))):
        item = getattr(value, field)
        if item is not None and (item or item != left_out):
            encoded[name] = encode(item)
    return encoded


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """Name in JSON, name in Python and the empty default, which is left out, of each field."""
    fields = []
    for field in dataclasses.fields(kind):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        left_out = isinstance(default, (str, list, dict, tuple)) or _OMIT_ZERO in field.metadata
        fields.append((_name(field), field.name, default if left_out else None))
    return tuple(fields)


def _name(field: dataclasses.Field[Any]) -> str:
    if _JSON_NAME in field.metadata:
        return str(field.metadata[_JSON_NAME])
    first, *others = field.name.rstrip("_").split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


@cache
def _decoder(kind: Any) -> _Decoder:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is object:
        return lambda value, path: value
    if kind in _SCALARS:
        return _scalar(kind)
    if kind is datetime:
        return _time
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin in (list, tuple) or kind in (list, tuple):
        return _list(arguments[0] if arguments else Any, tuple if tuple in (origin, kind) else list)
    if origin is dict or kind is dict:
        return _dict(arguments[1] if arguments else Any)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, dict):
        return _dict(Any, kind)
    raise TypeError(f"{kind!r} cannot be read from JSON")


_SCALARS = (str, int, float, bool, type(None))


def _wrong(path: str, wanted: str, found: Any) -> DecodeError:
    return DecodeError(f"{path or 'the value'}: expected {wanted}, found {type(found).__name__}")


def _scalar(kind: type) -> _Decoder:
    def decode_scalar(value: Any, path: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise _wrong(path, "null" if kind is type(None) else kind.__name__, value)

    return decode_scalar


def _time(value: Any, path: str) -> datetime:
    if not isinstance(value, str):
        raise _wrong(path, "a time", value)
    try:
        return parse_time(value)
    except ValueError as error:
        raise DecodeError(f"{path}: {error}") from error


def _literal(values: tuple[Any, ...]) -> _Decoder:
    def decode_literal(value: Any, path: str) -> Any:
        if value not in values:
            raise DecodeError(f"{path}: {value!r} is none of {', '.join(map(repr, values))}")
        return value

    return decode_literal


def _union(kinds: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(kind) for kind in sorted(kinds, key=lambda kind: kind is not type(None))]

    def decode_union(value: Any, path: str) -> Any:
        failure = None
        for decoder in decoders:
            try:
                return decoder(value, path)
            except DecodeError as error:
                failure = error
        assert failure is not None
        raise failure

    return decode_union


def _list(item: Any, make: type) -> _Decoder:
    decoder = _decoder(item)

    def decode_list(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(path, "a list", value)
        return make(decoder(item, f"{path}[{index}]") for index, item in enumerate(value))

    return decode_list


def _dict(item: Any, make: type = dict) -> _Decoder:
    decoder = None if item is Any else _decoder(item)

    def decode_dict(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        if decoder is None:
            return make(value)
        return make({name: decoder(item, f"{path}.{name}") for name, item in value.items()})

    return decode_dict


def _enum(kind: type[Enum]) -> _Decoder:
    def decode_enum(value: Any, path: str) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise DecodeError(f"{path}: {error}") from error

    return decode_enum


def _dataclass(kind: type) -> _Decoder:
    # Filled at the first use: a type may contain itself.
    fields: dict[str, tuple[str, _Decoder, bool]] = {}

    def prepare() -> None:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            has_default = (
                field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            )
            fields[_name(field)] = (field.name, _decoder(hints[field.name]), has_default)

    def decode_dataclass(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        if not fields:
            prepare()
        prefix = f"{path}." if path else ""
        known: dict[str, Any] = {}
        for name, (field, decoder, has_default) in fields.items():
            item = value.get(name)
            if item is not None:
                known[field] = decoder(item, prefix + name)
            elif not has_default:
                known[field] = _absent(decoder, prefix + name)
        instance = kind(**known)
        if rest := {name: item for name, item in value.items() if name not in fields}:
            instance.__dict__[_REST] = rest
        return instance

    return decode_dataclass


def _absent(decoder: _Decoder, path: str) -> Any:
    """The value of a field that is not there: `None`, where its type allows that."""
    try:
        return decoder(None, path)
    except DecodeError:
        raise DecodeError(f"{path}: missing") from None
