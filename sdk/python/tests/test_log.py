"""`logging` in the host's log."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Sequence
from typing import Any, cast

from windlass import _host, log
from windlass._host import Level


class Lines:
    """A host that does nothing but write down lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[Level, str, dict[str, str]]] = []
        self.enabled: set[Level] = {"error", "warn", "info"}

    def log(self, level: Level, message: str, fields: Sequence[tuple[str, str]]) -> None:
        self.lines.append((level, message, dict(fields)))

    def log_enabled(self, level: Level) -> bool:
        return level in self.enabled


class LogTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Lines()
        host = cast(Any, self.host)
        _host.install(host)
        self.addCleanup(_host.uninstall, host)
        root = logging.getLogger()
        self.addCleanup(root.setLevel, root.level)
        self.addCleanup(root.handlers.__setitem__, slice(None), root.handlers[:])
        log.install()
        log.follow_level()

    def test_extra_becomes_fields(self) -> None:
        logging.getLogger("app").info("scaled %s", "up", extra={"from": 1, "to": 3})
        fields = {"from": "1", "to": "3", "logger": "app"}
        self.assertEqual(self.host.lines, [("info", "scaled up", fields)])

    def test_levels_have_names_of_the_host(self) -> None:
        self.host.enabled |= {"debug", "trace"}
        log.follow_level()
        for number in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, log.TRACE):
            logging.log(number, "x")
        self.assertEqual(
            [level for level, _, _ in self.host.lines], ["error", "error", "warn", "info", "debug", "trace"]
        )

    def test_what_the_host_would_not_write_is_left_out(self) -> None:
        logging.getLogger("app").debug("quiet")
        self.host.enabled = {"error"}
        log.follow_level()
        logging.getLogger("app").warning("quiet")
        self.assertEqual(self.host.lines, [])

    def test_a_traceback_is_a_field(self) -> None:
        try:
            raise KeyError("x")
        except KeyError:
            logging.getLogger("app").exception("failed")
        level, message, fields = self.host.lines[0]
        self.assertEqual((level, message), ("error", "failed"))
        self.assertIn("KeyError: 'x'", fields["traceback"])


if __name__ == "__main__":
    unittest.main()
