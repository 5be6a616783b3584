"""Changes of a key, each by the way that makes it one commit.

What holds: a value of a key that keeps its permissions goes into its file. A new key, or one that gets others, is put
as a whole: in a transaction, or where the mount shows none by renaming a file into place. Who loses a race with others
that put or remove tries again; who insists on a version is told.

What is deliberately not here: the texts of refusals, but for those of groups.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import Iterator, NamedTuple, Optional

from . import failures, files, staging, transaction
from . import permissions as rights
from .errors import InvalidGroups
from .permissions import Attributes, Grants
from .place import Place, reach

# Who loses a race waits for a moment of chance, at most so many seconds, so that all who race come through.
_ATTEMPTS, _LONGEST_WAIT = 40, 0.1


class Change(NamedTuple):
    """What a key is to be; ``None`` is what it was."""

    value: files.Value
    groups: Optional[Grants] = None
    users: Optional[Grants] = None
    if_version: Optional[int] = None

    @property
    def grants(self) -> bool:
        """Whether it says anew who may read and write."""
        return self.groups is not None or self.users is not None


def put(place: Place, change: Change) -> None:
    """Stores a key's value, with what it grants."""
    for attempt in range(_ATTEMPTS):
        try:
            return _put_once(place, change)
        except OSError as error:
            # Directories may go as fast as they are made, and come or go while others are staged.
            lost = error.errno == errno.ENOENT or (error.errno == errno.ECANCELED and _holds(place, change.if_version))
            if not lost or attempt == _ATTEMPTS - 1 or not os.path.isdir(place.tree):
                raise
            time.sleep(min(0.001 * 2**attempt, _LONGEST_WAIT) * os.urandom(1)[0] / 255)


def set_permissions(place: Place, groups: Optional[Grants], users: Optional[Grants]) -> None:
    """Says anew what a key grants; what is ``None`` stays."""
    attributes = rights.for_existing(place, groups, users)
    with _told(place, attributes, True), reach(place.path) as near:
        for name, content in attributes:
            os.setxattr(near, name, content)


def _put_once(place: Place, change: Change) -> None:
    is_there = _is_there(place)
    if is_there and not change.grants and change.if_version != 0:
        return files.replace(place.path, change.value, change.if_version)
    if not is_there and change.if_version:
        raise failures.not_found(place, f"there is no {place}, of any version; put it without if_version=, or with 0")
    in_transaction = transaction.is_possible(place)
    if is_there and in_transaction:
        attributes = rights.for_existing(place, change.groups, change.users)
    else:
        attributes = rights.for_new(change.groups, change.users, place.secure)
    with _told(place, attributes, is_there and change.grants):
        if in_transaction:
            transaction.put(place, change.value, attributes, change.if_version)
        elif change.if_version:
            reason = "groups= and if_version= can't go together on a part of a mount; set_permissions() after it"
            raise failures.failed(place, failures.PUT, errno.ENOTSUP, reason)
        else:
            staging.put(place, change.value, attributes, create_only=change.if_version == 0)


def _holds(place: Place, if_version: Optional[int]) -> bool:
    """Whether a key is at the version that is insisted on, so that a conflict was about something else."""
    if not if_version:
        return if_version is None or not _is_there(place)
    return failures.attribute(place, "system.keyfs.version") == str(if_version)


def _is_there(place: Place) -> bool:
    try:
        with reach(place.path) as near:
            return os.path.lexists(near)
    except (FileNotFoundError, NotADirectoryError):
        return False  # Nor are the directories above it there.


@contextmanager
def _told(place: Place, attributes: Attributes, grants: bool) -> Iterator[None]:
    """Says of a refusal what it is about: the groups, or the right to grant."""
    try:
        yield
    except PermissionError as error:
        raise failures.explain(error, failures.GRANT if grants else failures.PUT, place) from None
    except OSError as error:
        text = dict(attributes).get(rights.GROUPS)
        if error.errno != errno.EINVAL or text is None:
            raise
        groups = text.decode()
        unknown = ", ".join(rights.unknown_groups(groups))
        reason = f"there is no group {unknown} on this machine" if unknown else f"it can't be granted to {groups}"
        raise failures.about(place, InvalidGroups(f"can't {failures.PUT} {place}: {reason}")) from None
