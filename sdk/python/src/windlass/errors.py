"""What ends a sync badly, and why API calls fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Error(Exception):
    """What `Controller.sync_handler` raises on purpose."""


class Retry(Error):
    """Try again, with exponential back-off."""


class Terminal(Error):
    """Trying again is pointless: the host logs it and waits for the next change."""


class DecodeError(Terminal, ValueError):
    """JSON is not what a type says of it; the message begins with the field's path."""


class ApiErrorKind(Enum):
    """What kind of failure an API call met, as the contract names it."""

    NOT_FOUND = "not-found"
    """404: there is no such object."""
    ALREADY_EXISTS = "already-exists"
    """409 of a create: the name is taken."""
    CONFLICT = "conflict"
    """409: the object changed since it was read, or a precondition failed."""
    INVALID = "invalid"
    """422: validation failed."""
    BAD_REQUEST = "bad-request"
    """400: the request itself makes no sense."""
    FORBIDDEN = "forbidden"
    """401 or 403 from the API server."""
    NAMESPACE_TERMINATING = "namespace-terminating"
    """403: nothing can be created in this namespace any more."""
    GONE = "gone"
    """410: a resource version or a continue token expired."""
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    """415: the resource does not take this type of patch."""
    TOO_MANY_REQUESTS = "too-many-requests"
    """429: back off."""
    TIMEOUT = "timeout"
    """504, or no answer in time. The write may have happened."""
    UNAVAILABLE = "unavailable"
    """5xx, or no connection. The write may have happened."""
    NOT_PERMITTED = "not-permitted"
    """Refused by the host: the module was not granted this."""
    OTHER = "other"
    """Everything else."""


@dataclass(frozen=True)
class StatusCause:
    """One entry of `Status.details.causes`."""

    reason: str
    """For programs, such as `FieldValueInvalid`."""
    field: str
    """Where, such as `spec.replicas`; may be empty."""
    message: str
    """For people."""


class ApiError(Retry):
    """An API call failed. A sync that lets it pass is tried again with back-off."""

    kind: ApiErrorKind = ApiErrorKind.OTHER
    """The kind of failure that the class stands for."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        causes: Sequence[StatusCause] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """For people and for the messages of events."""
        self.code = code
        """HTTP status, or 0 when there was no answer."""
        self.reason = reason
        """`Status.reason`, such as `AlreadyExists`; may be empty."""
        self.causes = tuple(causes)
        """`Status.details.causes`."""
        self.retry_after = retry_after
        """How long to back off, when the server said so."""


class NotFound(ApiError):
    """404: there is no such object."""

    kind = ApiErrorKind.NOT_FOUND


class AlreadyExists(ApiError):
    """409: an object of this name exists already."""

    kind = ApiErrorKind.ALREADY_EXISTS


class Conflict(ApiError):
    """409: the object changed since it was read, or a precondition failed."""

    kind = ApiErrorKind.CONFLICT


class Invalid(ApiError):
    """422: validation failed; `causes` name the fields."""

    kind = ApiErrorKind.INVALID


class BadRequest(ApiError):
    """400: the request itself makes no sense."""

    kind = ApiErrorKind.BAD_REQUEST


class Forbidden(ApiError):
    """401 or 403 from the API server."""

    kind = ApiErrorKind.FORBIDDEN


class NamespaceTerminating(ApiError):
    """403: nothing can be created in this namespace any more."""

    kind = ApiErrorKind.NAMESPACE_TERMINATING


class Gone(ApiError):
    """410: a resource version or a continue token expired."""

    kind = ApiErrorKind.GONE


class UnsupportedMediaType(ApiError):
    """415: the patch type is not supported here, such as a strategic one on a custom resource."""

    kind = ApiErrorKind.UNSUPPORTED_MEDIA_TYPE


class TooManyRequests(ApiError):
    """429: back off, for `retry_after` when the server said how long."""

    kind = ApiErrorKind.TOO_MANY_REQUESTS


class Timeout(ApiError):
    """504, or no answer within the host's own limit. The write may have happened."""

    kind = ApiErrorKind.TIMEOUT


class Unavailable(ApiError):
    """5xx, or no connection. The write may have happened."""

    kind = ApiErrorKind.UNAVAILABLE


class NotPermitted(ApiError):
    """Refused by the host before anything was sent; the message names the missing rule."""

    kind = ApiErrorKind.NOT_PERMITTED


_BY_KIND: dict[ApiErrorKind, type[ApiError]] = {kind.kind: kind for kind in ApiError.__subclasses__()}


def error_of_kind(kind: ApiErrorKind) -> type[ApiError]:
    """The class of errors of a kind."""
    return _BY_KIND.get(kind, ApiError)


def aggregate(errors: Sequence[Exception]) -> Exception | None:
    """Joins what several steps raised, as Kubernetes' aggregate errors print: one stays
    itself, several become one `Retry` in brackets."""
    if len(errors) < 2:
        return errors[0] if errors else None
    return Retry(f"[{', '.join(map(str, errors))}]")
