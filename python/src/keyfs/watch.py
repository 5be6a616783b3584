"""Changes as they happen, from the mount's ``.keyfs/events``.

What holds: a watch begins when it is made, not when it is first asked, so what changes in between is seen. An event
says which key changed, how and by whom; it has no value in it. A directory that is renamed or removed concerns whoever
watches keys in it. What is no event is passed over.

What is deliberately not here: what became of a key. Read it, and see what is there by then.
"""

from __future__ import annotations

import errno
import json
import os
import select
import time
from typing import Any, Iterator, List, NamedTuple, Optional

from .errors import NoMount
from .mount import Mount
from .permissions import user_name

_CHUNK = 64 * 1024


class Event(NamedTuple):
    """A change of a key or a directory."""

    cursor: str
    """Where to go on from: ``watch(since=event.cursor)``."""
    kind: str
    """``put``, ``remove``, ``mkdir``, ``rename``, ``exchange``, ``permission`` or ``attribute``; ``lost`` where changes
    were missed: read all anew."""
    environment: str
    secure: bool
    key: str
    version: Optional[int]
    time: str
    """RFC 3339, UTC."""
    uid: Optional[int]
    """The user who made it."""
    to: str = ""
    """The new key of a ``rename``, the other key of an ``exchange``."""

    @property
    def by(self) -> str:
        """The user's name, or the id where it has none."""
        return "" if self.uid is None else user_name(self.uid)


class Watch(Iterator[Event]):
    """The changes of the keys that begin with a prefix; ``for event in watch`` waits for the next one and goes on until
    it is closed."""

    def __init__(
        self, mount: Mount, prefix: str, secure: Optional[bool], environment: str, since: Optional[str]
    ) -> None:
        self._mount = mount
        self._prefix = prefix
        self._secure = secure
        # A view shows no other environment's changes, and may not know its name.
        self._environment = None if mount.view else environment
        self._lines: List[bytes] = []
        self._rest = b""
        self.cursor = since
        name = b"events" if since is None else b"events@" + since.encode()
        self._descriptor = os.open(mount.control(name), os.O_RDONLY | os.O_CLOEXEC)

    def __next__(self) -> Event:
        event = self.wait()
        if event is None:
            raise StopIteration
        return event

    def wait(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next change; ``None`` where there is none within ``timeout`` seconds, or where the watch is closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._descriptor >= 0:
            while self._lines:
                event = self._parse(self._lines.pop(0))
                if event is not None and self._is_wanted(event):
                    return event
            if deadline is not None and not self._is_readable(deadline - time.monotonic()):
                return None
            self._read()
        return None

    def fileno(self) -> int:
        """The descriptor, for an event loop that waits for it; then call ``wait(0)`` until it gives ``None``."""
        return self._descriptor

    def close(self) -> None:
        """Ends the watch."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    def _is_readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.ENODEV, errno.ECONNABORTED):
                raise
            chunk = b""
        if not chunk:
            text = f"the keyfs at {self._mount} has ended; mount it again and go on with watch(since={self.cursor!r})"
            raise NoMount(errno.ENOTCONN, text)
        *self._lines, self._rest = (self._rest + chunk).split(b"\n")

    def _parse(self, line: bytes) -> Optional[Event]:
        try:
            fields = json.loads(line)
            event = _event(fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        self.cursor = event.cursor
        return event

    def _is_wanted(self, event: Event) -> bool:
        if event.kind == "lost":
            return True
        of_tree = self._secure is None or self._secure == event.secure
        of_environment = self._environment is None or self._environment == event.environment
        return of_tree and of_environment and any(self._concerns(event, key) for key in (event.key, event.to) if key)

    def _concerns(self, event: Event, key: str) -> bool:
        # A directory that is renamed or removed is one event, and all that is in it comes or goes.
        is_above = event.version is None and event.kind != "mkdir" and self._prefix.startswith(key + "/")
        return is_above or key.startswith(self._prefix)


def _event(fields: Any) -> Event:
    return Event(
        cursor=str(fields["cursor"]),
        kind=fields["kind"],
        environment=fields.get("env") or "",
        secure=fields.get("tree") == "secrets",
        key=fields.get("key") or "",
        version=fields.get("version"),
        time=fields.get("time") or "",
        uid=fields.get("uid"),
        to=fields.get("to") or "",
    )
