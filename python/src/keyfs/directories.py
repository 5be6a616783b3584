"""The directories between a tree's root and a key: made when a key needs them, removed once they are empty.

A directory that is made gets the mode of the one that it is in, and its group where the process may give it. Where
everybody may add keys it also gets the sticky bit, so that nobody takes away what is another's, as right in a tree. A
default ACL takes precedence, as for everything that is made in a directory.

What holds: a directory lets nobody do what the one that it is in does not let them do.

What is deliberately not here: directories that somebody wants empty. A key makes its directories, and takes them with
it.
"""

from __future__ import annotations

import os
import stat
from typing import List

from .place import reach

REMOVE = "user.keyfs.remove"


def make_parents(root: bytes, path: bytes, made: List[bytes]) -> None:
    """Makes the directories of a key below a tree's root that are missing, and adds them to ``made``."""
    above = root
    for name in parents(root, path):
        with reach(name) as near:
            is_missing = not os.path.lexists(near)
        if is_missing and make(name, above):
            made.append(name)
        above = name


def make(path: bytes, above: bytes) -> bool:
    """Makes one directory, with the permissions of another; whether it wasn't there."""
    with reach(path) as near, reach(above) as near_above:
        model = os.stat(near_above)
        try:
            os.mkdir(near, model.st_mode & 0o777)
        except FileExistsError:
            return False  # Somebody else's, made at this moment.
        if not _has_default_acl(near_above):
            _take_after(near, model)
        return True


def remove_empty(directories: List[bytes]) -> None:
    """Removes those that are empty, from the last one upwards, as far as the process may."""
    for name in reversed(directories):
        try:
            remove(name, is_directory=True)
        except OSError:
            return


def remove(path: bytes, is_directory: bool = False) -> None:
    """Removes an entry by the directory's permissions, or by its own: who may read and write it may remove it."""
    with reach(path) as near:
        try:
            if is_directory:
                os.rmdir(near)
            else:
                os.unlink(near)
        except PermissionError:
            # The first refusal is the one to tell of: it names what is usually missing.
            if not _remove_as_editor(near):
                raise


def parents(root: bytes, path: bytes) -> List[bytes]:
    """The directories of a key, from its tree's root downwards."""
    parts = path[len(root) + 1 :].split(b"/")[:-1]
    return [b"/".join([root, *parts[: count + 1]]) for count in range(len(parts))]


def _take_after(path: bytes, model: os.stat_result) -> None:
    mode = stat.S_IMODE(model.st_mode)
    if mode & stat.S_IWOTH:
        # Right in a tree each removes their own alone, by the daemon; what is below is as on any file system.
        mode |= stat.S_ISVTX
    if os.stat(path).st_gid != model.st_gid:
        try:
            os.chown(path, -1, model.st_gid)
        except PermissionError:
            # What the directory above gives to its group isn't another group's.
            mode = mode & ~0o2070 | (mode & 0o007) << 3
    os.chmod(path, mode)


def _has_default_acl(path: bytes) -> bool:
    try:
        os.getxattr(path, "system.posix_acl_default")
    except OSError:
        return False
    return True


def _remove_as_editor(path: bytes) -> bool:
    try:
        os.setxattr(path, REMOVE, b"1")
    except OSError:
        return False
    return True
