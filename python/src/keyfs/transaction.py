"""A change of one key in a transaction of the mount: value, permissions and the directories above are one commit.

What holds: nothing is to be seen of the change before all of it is there. A transaction that fails is dropped at once,
since a user has a bounded number of them.

What is deliberately not here: changes of several keys. The mount takes them; a shell script or `dt kv import` makes
them.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import List, Optional

from .directories import make, parents
from .files import IF_VERSION, Value, write
from .permissions import Attributes
from .place import Place, reach

# A user may have sixteen transactions at a time, and each of ours takes a moment.
_TURNS, _TURN = 400, 0.005


def is_possible(place: Place) -> bool:
    """Whether this mount shows transactions."""
    return os.path.isdir(place.mount.control(b"transactions"))


def put(place: Place, value: Value, attributes: Attributes, if_version: Optional[int]) -> None:
    """Puts a key with its parents."""
    name = b"python-" + os.urandom(8).hex().encode()
    transaction = place.mount.control(b"transactions/") + name
    _begin(transaction)
    tree = transaction + place.tree[len(place.mount.path) :]
    staged = tree + place.path[len(place.tree) :]
    made: List[bytes] = []
    try:
        _stage_parents(place, tree, staged, made)
        if if_version is not None:
            attributes = [(IF_VERSION, b"%d" % if_version), *attributes]
        with reach(staged) as near:
            # Without O_EXCL: with it the kernel takes O_TRUNC off, and a key that is there can't be staged in parts.
            write(os.open(near, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), value, attributes)
        os.rename(transaction, place.mount.control(b"commit/") + name)
    except BaseException as error:
        _drop(transaction, staged, made)
        if isinstance(error, OSError) and error.errno == errno.ESTALE:
            # A directory that was there when it was staged is gone.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        raise


def _begin(transaction: bytes) -> None:
    for turn in range(_TURNS):
        try:
            return os.mkdir(transaction, 0o700)
        except OSError as error:
            if error.errno != errno.EDQUOT or turn == _TURNS - 1:
                raise
            time.sleep(_TURN)


def _stage_parents(place: Place, tree: bytes, staged: bytes, made: List[bytes]) -> None:
    """Stages the directories above a key: those that are there stand for the real ones and keep their permissions."""
    above = place.tree
    is_above_there = True
    for name in parents(tree, staged):
        real = place.tree + name[len(tree) :]
        is_above_there = is_above_there and _is_directory(real)
        if is_above_there:
            with reach(name) as near:
                os.mkdir(near)
            above = real
        else:
            make(name, above)
            above = name
        made.append(name)


def _is_directory(path: bytes) -> bool:
    with reach(path) as near:
        try:
            mode = os.lstat(near).st_mode
        except FileNotFoundError:
            return False
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return True


def _drop(transaction: bytes, staged: bytes, made: List[bytes]) -> None:
    try:
        with reach(staged) as near:
            os.unlink(near)
    except OSError:
        pass  # It wasn't staged yet.
    for name in [*reversed(made), transaction]:
        try:
            with reach(name) as near:
                os.rmdir(near)
        except OSError:
            return  # It was committed, or goes with the time limit of transactions.
