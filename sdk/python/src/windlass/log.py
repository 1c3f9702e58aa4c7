"""`logging` in the host's log.

In a component every logger of Python's `logging` ends there, with the sync that it belongs
to; `extra` becomes the line's fields, and so do a traceback and a logger's name:

    logging.getLogger(__name__).info("scaled", extra={"from": 1, "to": 3})

Write a constant message and put what varies into fields. Lines that the module's log level
leaves out cost next to nothing. Native tests log as usual.
"""

from __future__ import annotations

import logging

from ._host import Level, host

TRACE = 5
"""Below `logging.DEBUG`: the contract's finest level."""

_LEVELS: tuple[tuple[int, Level], ...] = (
    (TRACE, "trace"),
    (logging.DEBUG, "debug"),
    (logging.INFO, "info"),
    (logging.WARNING, "warn"),
    (logging.ERROR, "error"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class HostHandler(logging.Handler):
    """Writes records as lines of the host's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one."""
        try:
            fields = [(name, str(value)) for name, value in vars(record).items() if name not in _STANDARD]
            if record.name != "root":
                fields.append(("logger", record.name))
            if record.exc_info:
                fields.append(("traceback", logging.Formatter().formatException(record.exc_info)))
            host().log(level_of(record.levelno), record.getMessage(), fields)
        except Exception:
            self.handleError(record)


def level_of(number: int) -> Level:
    """The host's level of one of Python's."""
    level: Level = "trace"
    for least, name in _LEVELS:
        if number >= least:
            level = name
    return level


def install() -> None:
    """Sends what is logged to the host, and nowhere else."""
    logging.addLevelName(TRACE, "TRACE")
    logging.getLogger().handlers[:] = [HostHandler()]


def follow_level() -> None:
    """Has the root logger leave out what the host would not write. The host's level may
    change while an instance runs, so this is called for every sync."""
    root = logging.getLogger()
    level = next((number for number, name in _LEVELS if host().log_enabled(name)), logging.CRITICAL)
    if root.level != level:
        root.setLevel(level)
