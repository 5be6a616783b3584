"""Changes of a key, each by the way that makes it one commit.

What holds: a value of a key that keeps its permissions goes into its file; a new key, or one that gets
others, is staged.

What is deliberately not here: how the kernel's refusals are told, but for those of groups.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import Iterator, Optional

from . import failures, files, staging
from . import permissions as rights
from .errors import InvalidGroups
from .permissions import Attributes, Grants
from .place import Place, reach


def put(place: Place, content: files.Value, granted: Optional[Attributes], if_version: Optional[int]) -> None:
    """Stores a key's value, and with it what it grants; ``None`` for what it granted before."""
    with _groups_told(place, granted or []):
        if if_version == 0:
            staging.put(place, content, granted or [], create_only=True)
        elif granted is None:
            _replace(place, content, if_version)
        elif if_version is None:
            staging.put(place, content, granted)
        else:
            raise failures.failed(
                place,
                failures.PUT,
                errno.ENOTSUP,
                "groups= and if_version= can't go together; set_permissions() after it",
            )


def _replace(place: Place, content: files.Value, if_version: Optional[int]) -> None:
    try:
        files.replace(place.path, content, if_version)
    except FileNotFoundError:
        if if_version is not None:
            raise
        staging.put(place, content, [])


def set_permissions(place: Place, groups: Optional[Grants], users: Optional[Grants]) -> None:
    """Says anew what a key grants; what is ``None`` stays."""
    attributes = rights.for_existing(place, groups, users)
    with _groups_told(place, attributes), reach(place.path) as near:
        for name, content in attributes:
            os.setxattr(near, name, content)


@contextmanager
def _groups_told(place: Place, attributes: Attributes) -> Iterator[None]:
    """Says of the kernel's EINVAL which groups it is about."""
    try:
        yield
    except OSError as error:
        text = dict(attributes).get(rights.GROUPS)
        if error.errno != errno.EINVAL or text is None:
            raise
        unknown = ", ".join(rights.unknown_groups(text.decode()))
        reason = (
            f"there is no group {unknown} on this machine" if unknown else f"it can't be granted to {text.decode()}"
        )
        raise failures.about(place, InvalidGroups(f"can't {failures.PUT} {place}: {reason}")) from None
