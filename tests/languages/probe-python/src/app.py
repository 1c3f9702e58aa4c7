"""Tries to reach what a guest must not, and says how that went.

What is tried is the name of the key. The answer is a terminal error: `refused`, `empty`,
or what was got hold of.
"""

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import manifest, types


def _list_directories() -> list[str]:
    """What lies at the root, apart from the library that the component brings along."""
    return [name for name in os.listdir("/") if name not in LIBRARY]


def _connect() -> str:
    with socket.create_connection(("127.0.0.1", 80), timeout=1):
        return "connected"


def _listen() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return "bound"


def _write() -> str:
    with open("/written", "w", encoding="utf-8") as file:
        file.write("x")
    return "written"


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _print() -> None:
    print("to the output\nof two lines")
    print("to the error stream", file=sys.stderr)
    sys.stdout.flush()


def _grow() -> str:
    return str(len(bytearray(1 << 30)))


def _loop() -> None:
    while True:
        pass


LIBRARY: list[str] = []

ATTEMPTS = {
    "read-file": lambda: _read("/etc/passwd"),
    "read-relative": lambda: _read("Cargo.toml"),
    "read-process": lambda: _read("/proc/self/environ"),
    "write-file": _write,
    "list-directory": _list_directories,
    "connect": _connect,
    "listen": _listen,
    "resolve": lambda: socket.gethostbyname("localhost"),
    "fetch": lambda: urllib.request.urlopen("http://127.0.0.1/").read(),
    "environment": lambda: dict(os.environ),
    "arguments": lambda: sys.argv[1:],
    "input": lambda: sys.stdin.read(),
    "spawn": lambda: subprocess.run(["true"], check=True),
    "fork": lambda: os.fork(),
    "sleep": lambda: time.sleep(10),
    "exit": lambda: os._exit(3),
    "clock": lambda: f"{time.time():.9f} {time.monotonic_ns()}",
    "chance": lambda: f"{os.urandom(8).hex()} {random.SystemRandom().random()}",
    "print": _print,
    "grow": _grow,
    "loop": _loop,
}


def attempt(name: str) -> str:
    """How an attempt goes."""
    try:
        result = ATTEMPTS[name]()
    except Exception as error:  # pylint: disable=broad-exception-caught
        return f"refused: {type(error).__name__}: {error}"
    return f"got: {result}" if result else "empty"


class Handler(exports.Handler):
    def describe(self) -> manifest.Manifest:
        return manifest.Manifest("probe-python", "0.1.0", [], 10, [], 0, 0)

    async def start(self) -> None:
        pass

    async def sync_handler(self, sync: int, key: types.ObjectKey) -> types.Outcome:
        raise Err(types.SyncError_Terminal(attempt(key.name)))
