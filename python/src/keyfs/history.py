"""Earlier versions of a key, from the mount's ``.keyfs/history``.

What holds: a version is the daemon's to give, by the permissions of then and now.

What is deliberately not here: bringing a version back. Read it, and put it.
"""

from __future__ import annotations

import errno
import os
from typing import List

from . import failures, files
from .place import Place, reach


def versions(place: Place) -> List[int]:
    """The numbers of the versions that are kept, the oldest first."""
    require_control(place, failures.READ, b"history")
    with reach(_directory(place)) as near:
        return sorted(int(name) for name in os.listdir(near) if name.isdigit())


def read(place: Place, version: int) -> bytes:
    """A version's bytes."""
    try:
        return files.read(b"%s/%d" % (_directory(place), version))
    except FileNotFoundError:
        kept = ", ".join(str(number) for number in versions(place))
        raise failures.not_found(place, f"there is no version {version} of {place}; there are: {kept}") from None


def require_control(place: Place, doing: str, name: bytes) -> None:
    """That the mount shows a control file, where it shows keys at all."""
    if os.path.isdir(place.tree) and not os.path.lexists(place.mount.control(name)):
        control = f".keyfs/{name.decode()}"
        reason = f"{place.mount} shows no {control}, as a part of a mount doesn't; set KEYFS_MOUNT to the whole one"
        raise failures.failed(place, doing, errno.ENOTSUP, reason)


def _directory(place: Place) -> bytes:
    return place.mount.control(b"history") + place.path[len(place.mount.path) :]
