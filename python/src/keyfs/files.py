"""Values as the bytes of files: read whole, replaced whole.

What holds: a value that is not written to its end is not stored. Reading and writing take three to five system calls;
nothing is buffered here beyond the value itself.

What is deliberately not here: names, errors' texts and permissions. What goes wrong leaves as the ``OSError`` that the
kernel gave.
"""

from __future__ import annotations

import os
from typing import Iterable, Optional, Tuple, Union

from .place import PATH_MAX, reach

Value = Union[bytes, bytearray, memoryview]

IF_VERSION = "user.keyfs.if-version"

# Most values fit into one read, and the next one shows the end.
_CHUNK = 64 * 1024
# No value has this version.
_NEVER = b"18446744073709551615"


def read(path: bytes) -> bytes:
    """A file's bytes."""
    if len(path) >= PATH_MAX:
        with reach(path) as near:
            return read(near)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        value = os.read(descriptor, _CHUNK)
        if not value:
            return value
        parts = [value]
        while True:
            part = os.read(descriptor, _CHUNK)
            if not part:
                return b"".join(parts) if len(parts) > 1 else value
            parts.append(part)
    finally:
        os.close(descriptor)


def replace(path: bytes, value: Value, if_version: Optional[int] = None) -> None:
    """Gives a file that is there another value, in one commit."""
    with reach(path) as near:
        descriptor = os.open(near, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        write(descriptor, value, () if if_version is None else [(IF_VERSION, b"%d" % if_version)])


def write(descriptor: int, value: Value, attributes: Iterable[Tuple[str, bytes]] = ()) -> None:
    """Writes a value with the attributes that belong to its commit, and closes the file, which is what stores it."""
    try:
        rest = memoryview(value).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        for name, content in attributes:
            os.setxattr(descriptor, name, content)
    except BaseException:
        abandon(descriptor)
        raise
    os.close(descriptor)


def abandon(descriptor: int) -> None:
    """Closes a file without storing what was written to it, also where the process was interrupted in the middle."""
    try:
        # On the condition of a version that there can't be, nothing is committed.
        os.setxattr(descriptor, IF_VERSION, _NEVER)
    except OSError:
        pass  # Where a write failed the kernel's side knows; a directory that is no mount has no conditions.
    try:
        os.close(descriptor)
    except OSError:
        pass  # The refusal that was asked for.
