"""How long ``keyfs.kv.get`` takes beside a plain ``open().read()`` of the same file, and beside bare system calls.

    KEYFS_BINARY=target/release/keyfs python python/benches/get.py

What holds: all are measured in turns in one run on one mount, so the ratios mean something where the times don't.

What is deliberately not here: a verdict. Whoever changes the package compares.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Callable, Dict, List

import keyfs
from keyfs.pytest_plugin import _missing, _mounted

ROUNDS, CALLS = 15, 400


def plain(path: str) -> str:
    with open(path) as file:
        return file.read()


def bare(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    value = os.read(descriptor, 65536)
    os.read(descriptor, 65536)
    os.close(descriptor)
    return value


def measure(call: Callable[[], object]) -> float:
    """Microseconds for one call."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begun) / CALLS * 1e6


def compare(title: str, calls: Dict[str, Callable[[], object]]) -> None:
    times: Dict[str, List[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name].append(measure(call))
    medians = {name: statistics.median(found) for name, found in times.items()}
    base = medians["open().read()"]
    print(title)
    for name, median in medians.items():
        print(f"  {name:<16} {median:8.1f} µs   {median / base:5.2f} x")


def main() -> None:
    missing = _missing()
    if missing is not None:
        sys.exit(missing)
    with _mounted() as mount:
        os.environ["KEYFS_MOUNT"] = str(mount)
        for secure in (False, True):
            keyfs.kv.put("some/key", "x" * 64, secure=secure)
            path = keyfs.kv.place("some/key", secure=secure)
            calls: Dict[str, Callable[[], object]] = {
                "open().read()": lambda path=path: plain(path),  # type: ignore[misc]
                "keyfs.kv.get": lambda secure=secure: keyfs.kv.get("some/key", secure=secure),  # type: ignore[misc]
                "os.open, os.read": lambda path=path: bare(path),  # type: ignore[misc]
            }
            compare("a secret of 64 bytes" if secure else "a variable of 64 bytes", calls)


main()
