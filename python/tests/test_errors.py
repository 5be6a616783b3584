"""What is raised: the built-ins that it is too, and texts that name key, environment and remedy, and never a value."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from pathlib import Path
from typing import Callable, Iterator, Optional

import pytest

import keyfs as dt

SECRET = "s3cret-value"


def test_each_is_a_built_in_too() -> None:
    for error, builtin in [
        (dt.KeyNotFound, KeyError),
        (dt.PermissionDenied, PermissionError),
        (dt.NoMount, OSError),
        (dt.NoEnvironment, dt.NoMount),
        (dt.Conflict, OSError),
        (dt.KeyExpired, OSError),
        (dt.OperationFailed, OSError),
        (dt.InvalidKey, ValueError),
        (dt.InvalidGroups, ValueError),
        (dt.NotText, ValueError),
    ]:
        assert issubclass(error, builtin) and issubclass(error, dt.Error)


def test_a_missing_key_is_named_with_its_environment(keyfs_store: dt.Store) -> None:
    with pytest.raises(KeyError) as raised:
        keyfs_store.get("db/host", environment="prod")
    assert str(raised.value) == "there is no variable db/host in prod; put('db/host', value) makes it"
    assert isinstance(raised.value, dt.KeyNotFound)
    assert (raised.value.key, raised.value.environment) == ("db/host", "prod")


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda kv: kv.get("other"),
            dt.KeyNotFound,
            "no variable other in dev, but a secret of that name; say secure=True",
        ),
        (lambda kv: kv.get("key", secure=True), dt.KeyNotFound, "but a variable of that name; say secure=False"),
        (
            lambda kv: kv.get("dir"),
            dt.KeyNotFound,
            "can't read variable dir in dev: it is a directory; ls('dir/') lists",
        ),
        (lambda kv: kv.put("dir", "v"), dt.KeyNotFound, "can't put variable dir in dev: it is a directory"),
        (lambda kv: kv.put("dir", "v", groups=""), dt.KeyNotFound, "it is a directory"),
        (lambda kv: kv.rm("dir"), dt.KeyNotFound, "can't remove variable dir in dev: it is a directory"),
        (lambda kv: kv.get("key/below"), dt.KeyNotFound, "below a key there are none"),
        (lambda kv: kv.put("key/below/it", "v"), dt.KeyNotFound, "below a key there are none"),
        (lambda kv: kv.rm("nothing"), dt.KeyNotFound, "there is no variable nothing in dev"),
        (lambda kv: kv.permissions("nothing"), dt.KeyNotFound, "there is no variable nothing in dev"),
        (
            lambda kv: kv.get("key", version=9),
            dt.KeyNotFound,
            "there is no version 9 of variable key in dev; there are: 1",
        ),
        (lambda kv: kv.history("nothing"), dt.KeyNotFound, "there is no variable nothing in dev"),
        (lambda kv: kv.get("key", environment="qa"), dt.NoEnvironment, "has no environment qa; it has: dev, pre, prod"),
        (lambda kv: kv.put("key", "v", environment="qa"), dt.NoEnvironment, "has no environment qa"),
        (lambda kv: kv.ls(environment="qa"), dt.NoEnvironment, "has no environment qa"),
        (lambda kv: kv.get("key", environment="../dev"), dt.InvalidKey, "'../dev' can't name an environment"),
        (lambda kv: kv.get("key", environment=".keyfs"), dt.InvalidKey, "'.keyfs' can't name an environment"),
        (
            lambda kv: kv.put("g", "v", groups="nobodies:r"),
            dt.InvalidGroups,
            "there is no group nobodies on this machine",
        ),
        (lambda kv: kv.put("g", "v", groups="ops"), dt.InvalidGroups, "'ops' has no rights"),
        (lambda kv: kv.put("g", "v", groups="ops:q"), dt.InvalidGroups, "'ops:q' is nobody with rights"),
        (lambda kv: kv.put("g", "v", users="nobody9:r"), dt.InvalidGroups, "there is no user nobody9 on this machine"),
        (lambda kv: kv.put("key", "\udc80"), dt.NotText, "the text for variable key in dev has a character"),
        (lambda kv: kv.get("bytes"), dt.NotText, "variable bytes in dev is not UTF-8 text; get_bytes('bytes')"),
        (
            lambda kv: kv.get("old"),
            dt.KeyExpired,
            "variable old in dev: it is not to be used after 2020-01-01T00:00:00Z",
        ),
    ],
)
def test_the_text_says_what_to_do(
    keyfs_store: dt.Store, call: Callable[[dt.Store], object], kind: type[dt.Error], text: str
) -> None:
    keyfs_store.put("key", SECRET)
    keyfs_store.put("other", SECRET, secure=True)
    keyfs_store.put("dir/key", SECRET)
    keyfs_store.put("bytes", b"\xff" + SECRET.encode())
    keyfs_store.put("old", SECRET)
    os.setxattr(keyfs_store.place("old"), "user.keyfs.expires", b"2020-01-01T00:00:00Z")
    before = keyfs_store.ls()
    with pytest.raises(kind) as raised:
        call(keyfs_store)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value) and SECRET not in str(raised.value)
    assert keyfs_store.ls() == before
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is kind and str(again) == str(raised.value) and again.key == raised.value.key


@pytest.mark.parametrize(
    "key", ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "\udc80", "k" * 256, "a/" * 2048]
)
def test_what_can_be_no_key_is_refused(keyfs_store: dt.Store, key: str) -> None:
    for call in (keyfs_store.get, keyfs_store.rm, lambda key: keyfs_store.put(key, "v"), keyfs_store.exists):
        with pytest.raises(dt.InvalidKey):
            call(key)
    assert keyfs_store.ls() == []


def test_a_key_is_text(keyfs_store: dt.Store) -> None:
    with pytest.raises(TypeError, match="a key is text, not bytes"):
        keyfs_store.get(b"key")  # type: ignore[call-overload]


def test_a_value_that_is_too_large_leaves_the_old_one(keyfs_store: dt.Store) -> None:
    keyfs_store.put("key", "old")
    for key in ("key", "new", "dir/new"):
        with pytest.raises(
            dt.OperationFailed, match=f"can't put variable {key} in dev: the value is larger than"
        ) as raised:
            keyfs_store.put(key, b"x" * (1 << 20) + b"x")
        assert raised.value.errno is not None
    assert keyfs_store.get("key") == "old"
    assert keyfs_store.ls() == ["key"]
    assert os.listdir(Path(keyfs_store.place("key")).parent) == ["key"]


class Interrupted(Exception):
    """Stands for what a signal's handler may raise."""


@pytest.mark.parametrize("key", ["key", "new"])
def test_an_interrupted_put_stores_nothing(keyfs_store: dt.Store, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    keyfs_store.put("key", "old")
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:2])
        raise Interrupted

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(Interrupted):
        keyfs_store.put(key, SECRET)
    monkeypatch.undo()
    assert dt.Store(keyfs_store._mount).get("key") == "old"
    assert dt.Store(keyfs_store._mount).ls() == ["key"]


def test_no_value_hangs_on_an_error(keyfs_store: dt.Store) -> None:
    keyfs_store.put("bytes", b"\xff" + SECRET.encode(), secure=True)
    for call in (lambda: keyfs_store.get("bytes", secure=True), lambda: keyfs_store.put("bytes", SECRET + "\udc80")):
        with pytest.raises(dt.NotText) as raised:
            call()
        assert [error for error in chain(raised.value)] == [raised.value]
        assert SECRET not in "".join(traceback.format_exception(raised.type, raised.value, None))
        assert SECRET not in repr(vars(raised.value)) + repr(raised.value.args)


def chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    """An error and those that it was made from, whether they are shown or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_a_daemon_that_is_gone_is_said(keyfs_store: dt.Store, keyfs_mount: Path) -> None:
    import json

    keyfs_store.put("key", "v")
    daemon = json.loads((keyfs_mount / ".keyfs/status").read_bytes())["pid"]
    os.kill(daemon, signal.SIGKILL)
    for call in (lambda: keyfs_store.get("key"), lambda: keyfs_store.put("key", "v"), keyfs_store.ls):
        with pytest.raises(dt.NoMount, match="mount it again|start one with"):
            call()
