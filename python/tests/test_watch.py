"""Watching for changes, on a pipe that says what the mount's ``.keyfs/events`` does."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path
from typing import Iterator, Optional

import pytest
from accounts import BOB, run_as

import keyfs as dt
from keyfs.mount import Mount
from keyfs.watch import Watch

# Within so many seconds a change is told.
PATIENCE = 30


class Events:
    """A daemon's side of ``.keyfs/events``."""

    def __init__(self, mount: Path, name: str = "events") -> None:
        self.mount = mount
        (mount / ".keyfs").mkdir(exist_ok=True)
        os.mkfifo(mount / ".keyfs" / name)
        # A pipe is opened for reading once somebody writes to it.
        self.descriptor = os.open(mount / ".keyfs" / name, os.O_RDWR)

    def say(self, text: bytes) -> None:
        os.write(self.descriptor, text)

    def event(self, key: str, cursor: int = 1, **fields: object) -> None:
        event = {"cursor": cursor, "time": "2026-01-01T00:00:00Z", "env": "dev", "tree": "variables", "key": key}
        event.update({"version": 3, "kind": "put", "uid": 0})
        event.update(fields)
        self.say(json.dumps(event).encode() + b"\n")

    def close(self) -> None:
        os.close(self.descriptor)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    events = Events(tmp_path)
    yield events
    events.close()


def watch(events: Events, prefix: str = "", secure: Optional[bool] = False, view: Optional[str] = None) -> Watch:
    return Watch(Mount(os.fsencode(events.mount), view), prefix, secure, view or "dev", None)


def keys(watch: Watch) -> list[str]:
    """The keys of the events that are there."""
    found = []
    event = watch.wait(0)
    while event is not None:
        found.append(event.key)
        event = watch.wait(0)
    return found


def test_an_event_has_all_that_is_told(events: Events) -> None:
    watching = watch(events)
    events.event("a/b", cursor=17)
    event = next(watching)
    assert event == dt.Event("17", "put", "dev", False, "a/b", 3, "2026-01-01T00:00:00Z", 0)
    assert event.by == "root"
    assert watching.cursor == "17"


def test_events_of_other_keys_trees_and_environments_are_passed_over(events: Events) -> None:
    watching = watch(events, "db/")
    for key in ("db/a", "dbx", "x/db/", "db/b"):
        events.event(key)
    events.event("db/secret", tree="secrets")
    events.event("db/prod", env="prod")
    assert keys(watching) == ["db/a", "db/b"]


def test_both_trees_are_watched_or_one(events: Events) -> None:
    both, secrets = watch(events, secure=None), watch(events, secure=True)
    for watching, found in ((both, ["v", "s"]), (secrets, ["s"])):
        events.event("v")
        events.event("s", tree="secrets")
        assert keys(watching) == found


def test_a_view_shows_its_own_environment(events: Events) -> None:
    watching = watch(events, view="prod")
    events.event("key", env="prod")
    events.event("other", env="")
    assert keys(watching) == ["key", "other"]


def test_lost_events_are_told_whatever_is_watched(events: Events) -> None:
    watching = watch(events, "db/", secure=True)
    events.say(b'{"cursor": 40, "kind": "lost"}\n')
    event = watching.wait(0)
    assert event is not None and (event.kind, event.cursor, event.key) == ("lost", "40", "")


def test_lines_come_in_any_pieces(events: Events) -> None:
    watching = watch(events)
    line = json.dumps({"cursor": 1, "kind": "put", "env": "dev", "tree": "variables", "key": "ü"}).encode() + b"\n"
    for byte in line[:-1]:
        events.say(bytes([byte]))
        assert watching.wait(0) is None
    events.say(line[-1:] + line + line[:5])
    assert keys(watching) == ["ü", "ü"]
    events.say(line[5:])
    assert keys(watching) == ["ü"]


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b"null", b'{"kind": "put"}', b'{"cursor": 1}'])
def test_what_isnt_known_is_passed_over(events: Events, line: bytes) -> None:
    watching = watch(events)
    events.say(line + b"\n")
    events.event("key")
    assert keys(watching) == ["key"]


def test_a_later_daemons_kinds_are_told(events: Events) -> None:
    watching = watch(events)
    events.event("key", kind="later")
    assert next(watching).kind == "later"


def test_a_rename_concerns_both_keys(events: Events) -> None:
    old, new, other = watch(events, "old/"), watch(events, "new/"), watch(events, "other/")
    for watching, found in ((old, ["old/key"]), (new, ["old/key"]), (other, [])):
        events.event("old/key", kind="rename", to="new/key")
        assert keys(watching) == found


def test_a_directory_concerns_what_is_in_it(events: Events) -> None:
    watching = watch(events, "db/main/")
    events.event("db", kind="mkdir", version=None)
    events.event("db", kind="put")
    events.event("d", kind="remove", version=None)
    assert keys(watching) == []
    events.event("db", kind="remove", version=None)
    events.event("x", kind="rename", version=None, to="db")
    assert keys(watching) == ["db", "x"]


def test_a_wait_ends_and_the_descriptor_can_be_polled(events: Events) -> None:
    watching = watch(events)
    poll = select.poll()
    poll.register(watching.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    assert watching.wait(0.01) is None
    events.event("key")
    assert [descriptor for descriptor, _ in poll.poll(0)] == [watching.fileno()]
    assert keys(watching) == ["key"]


def test_a_watch_goes_on_from_a_cursor(tmp_path: Path) -> None:
    events = Events(tmp_path, "events@17")
    watching = Watch(Mount(os.fsencode(tmp_path)), "", False, "dev", "17")
    assert watching.cursor == "17"
    events.event("key", cursor=18)
    assert keys(watching) == ["key"]
    events.close()


def test_a_mount_that_ended_is_said_with_where_to_go_on(events: Events) -> None:
    watching = watch(events)
    events.event("key", cursor=17)
    assert next(watching).key == "key"
    os.close(events.descriptor)
    try:
        with pytest.raises(dt.NoMount, match=r"has ended; mount it again and go on with watch\(since='17'\)"):
            next(watching)
    finally:
        events.descriptor = os.open(os.devnull, os.O_RDONLY)


def test_closing_ends_it(events: Events) -> None:
    with watch(events) as watching:
        descriptor = watching.fileno()
    assert list(watching) == []
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_it_begins_when_it_is_made(events: Events) -> None:
    watching = watch(events)
    events.event("key")
    assert [event.key for _, event in zip(range(1), watching)] == ["key"]


def test_a_mount_tells_what_changes(keyfs_store: dt.Store) -> None:
    with keyfs_store.watch("db/") as variables, keyfs_store.watch(secure=True) as secrets:
        assert variables.wait(0) is None
        keyfs_store.put("db/host", "localhost")
        keyfs_store.put("other", "v")
        keyfs_store.put("token", "s3cret", secure=True, environment="prod")
        keyfs_store.put("token", "s3cret", secure=True)
        keyfs_store.rm("db/host")
        found = [variables.wait(PATIENCE) for _ in range(3)]
        assert [(event.kind, event.key) for event in found if event] == [
            ("put", "db/host"),
            ("remove", "db/host"),
            ("remove", "db"),
        ]
        secret = secrets.wait(PATIENCE)
        assert secret is not None
        assert (secret.key, secret.environment, secret.version, secret.uid) == ("token", "dev", 1, os.geteuid())
        assert secret.by == dt.User.signed_user().name
        assert secrets.wait(0) is None
        cursor = found[0].cursor if found[0] else None
    with keyfs_store.watch("db/", since=cursor) as again:
        event = again.wait(PATIENCE)
        assert event is not None and event.kind == "remove"


def test_a_cursor_of_before_the_daemon_began_has_lost_something(keyfs_store: dt.Store) -> None:
    keyfs_store.put("key", "v")
    with keyfs_store.watch(since="1") as watching:
        event = watching.wait(PATIENCE)
    assert event is not None and event.kind == "lost"


@pytest.mark.parametrize("cursor", ["nonsense", "../status", "", "1\0", "-1"])
def test_what_is_no_cursor_is_refused(keyfs_store: dt.Store, cursor: str) -> None:
    with pytest.raises(dt.OperationFailed, match="is no event's cursor"):
        keyfs_store.watch(since=cursor)


def test_a_watch_shows_what_the_process_may_list(keyfs_store: dt.Store, keyfs_mount: Path, as_user: object) -> None:
    with keyfs_store.watch(secure=True) as watching:
        keyfs_store.put("first", "v", secure=True)
        event = watching.wait(PATIENCE)
    assert event is not None
    closed = keyfs_mount / "dev/secrets/closed"
    closed.mkdir()
    closed.chmod(0o711)
    keyfs_store.put("closed/key", "v", secure=True)
    keyfs_store.put("last", "v", secure=True)

    def seen() -> list[str]:
        with keyfs_store.watch(secure=True, since=event.cursor) as watching:
            found: list[str] = []
            while not found or found[-1] != "last":
                told = watching.wait(PATIENCE)
                found.append(told.key if told else "last")
            return found

    assert "closed/key" in seen()
    assert "closed/key" not in run_as(BOB, seen)


def test_a_daemon_that_ends_ends_the_watch(keyfs_store: dt.Store, keyfs_mount: Path) -> None:
    with keyfs_store.watch() as watching:
        keyfs_store.put("key", "v")
        event = watching.wait(PATIENCE)
        assert event is not None
        os.kill(json.loads((keyfs_mount / ".keyfs/status").read_bytes())["pid"], signal.SIGTERM)
        with pytest.raises(dt.NoMount, match=f"go on with watch.since='{event.cursor}'"):
            watching.wait(PATIENCE)
