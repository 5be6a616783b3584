"""Putting a key as a whole where the mount shows no transactions, as a bind mount of a subtree doesn't.

The value is written under a hidden name beside the key, with its permissions, and renamed into place.

What holds: nobody reads the key without its value, or with wider permissions than it ends with; what fails leaves
nothing behind.

What is deliberately not here: one commit for all of it; the key's own is one.
"""

from __future__ import annotations

import os
from typing import List

from .directories import make_parents, remove_empty
from .files import Value, write
from .permissions import Attributes
from .place import LONGEST, Place, reach

# A key that a process is about to put. It is no key to list.
HIDDEN = b".keyfs-put-"


def put(place: Place, value: Value, attributes: Attributes, create_only: bool = False) -> None:
    """Puts a key, with its parents; with ``create_only`` it is a ``FileExistsError`` where there is one."""
    made: List[bytes] = []
    try:
        make_parents(place.tree, place.path, made)
        if create_only:
            _create(place.path, value, attributes)
        else:
            _rename(place, value, attributes)
    except BaseException:
        remove_empty(made)
        raise


def _rename(place: Place, value: Value, attributes: Attributes) -> None:
    hidden = _hidden(place)
    _create(hidden, value, attributes)
    with reach(hidden) as source, reach(place.path) as target:
        try:
            os.rename(source, target)
        except BaseException:
            _unlink(source)
            raise


def _hidden(place: Place) -> bytes:
    """A name beside the key, or further up where the key is so long that there is no room for it."""
    name = HIDDEN + os.urandom(8).hex().encode()
    directory = place.path.rpartition(b"/")[0]
    while len(directory) + len(name) - len(place.tree) > LONGEST:
        directory = directory.rpartition(b"/")[0]
    return directory + b"/" + name


def _create(path: bytes, value: Value, attributes: Attributes) -> None:
    with reach(path) as near:
        descriptor = os.open(near, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write(descriptor, value, attributes)
        except BaseException:
            _unlink(near)
            raise


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # What was never stored goes by itself, and what went wrong before is what to tell of.
