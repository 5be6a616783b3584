"""Several processes at the same keys: nobody loses for a reason that isn't theirs, and nobody sees half of anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, List

import pytest

import keyfs as dt

PROCESSES, ROUNDS = 8, 20


def together(actions: List[Callable[[], None]]) -> None:
    """Runs each in a process of its own, at the same time; all must succeed."""
    children = []
    for action in actions:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                action()
                status = 0
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


@pytest.fixture(params=["mount", "part"])
def place(request: pytest.FixtureRequest, keyfs_mount: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount, and a part of one, which has no transactions."""
    if request.param == "mount":
        return keyfs_mount / "dev"
    monkeypatch.setenv("KEYFS_MOUNT", str(keyfs_mount / "dev"))
    return keyfs_mount / "dev"


def test_keys_come_and_go_with_their_directories(place: Path) -> None:
    def come_and_go(number: int) -> None:
        for _ in range(ROUNDS):
            key = f"shared/below/{number}"
            dt.kv.put(key, str(number), secure=True)
            assert dt.kv.get(key, secure=True) == str(number)
            dt.kv.rm(key, secure=True)

    together([lambda number=number: come_and_go(number) for number in range(PROCESSES)])  # type: ignore[misc]
    assert os.listdir(place / "secrets") == []


def test_everybody_puts_the_same_key(place: Path) -> None:
    def put(number: int) -> None:
        for turn in range(ROUNDS):
            dt.kv.put(f"dir/{turn}", str(number) * 3, groups="0:r" if number % 2 else None)

    together([lambda number=number: put(number) for number in range(PROCESSES)])  # type: ignore[misc]
    assert len(dt.kv.ls()) == ROUNDS
    assert all(value in [str(number) * 3 for number in range(PROCESSES)] for value in dt.kv.view().values())


def test_a_new_key_is_never_seen_without_its_value(place: Path) -> None:
    def put() -> None:
        for turn in range(ROUNDS * 5):
            dt.kv.put(f"{turn}", "whole")
        dt.kv.put("end", "whole")

    def watch() -> None:
        while not dt.kv.exists("end"):
            assert all(dt.kv.get(key) == "whole" for key in dt.kv.ls())

    together([put, watch, watch])
    assert len(dt.kv.ls()) == ROUNDS * 5 + 1


def test_one_of_several_makes_a_key_that_must_not_be_there(place: Path, tmp_path: Path) -> None:
    def put(number: int) -> None:
        for turn in range(ROUNDS):
            try:
                dt.kv.put(f"{turn}", str(number), if_version=0)
            except dt.Conflict:
                continue
            with open(tmp_path / str(turn), "ab") as file:
                file.write(str(number).encode())

    together([lambda number=number: put(number) for number in range(PROCESSES)])  # type: ignore[misc]
    won = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert won == dict(dt.kv.view()) and len(won) == ROUNDS
