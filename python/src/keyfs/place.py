"""Where a key is: its name, checked, and its file on the mount.

What holds: a ``Place`` names a file below its tree and nothing else, whatever text its key was made of.

What is deliberately not here: whether the file is there. The lengths of names are the kernel's to check.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, NamedTuple, Optional

from .errors import InvalidKey
from .mount import Mount

# The kernel takes no longer path, its ending NUL included (limits.h), while a key alone may have 4,095 bytes.
PATH_MAX = 4096
LONGEST = 4095


class Place(NamedTuple):
    """A key of an environment, and its file."""

    mount: Mount
    environment: str
    secure: bool
    key: str
    path: bytes

    @property
    def tree(self) -> bytes:
        """The directory of the key's tree."""
        return self.mount.tree(self.environment, self.secure)

    @property
    def arguments(self) -> str:
        """What a call for this key looks like between its parentheses."""
        return f"{shorten(self.key)!r}, secure=True" if self.secure else repr(shorten(self.key))

    def other_tree(self) -> Place:
        """The key of the same name in the other tree."""
        return place_of(self.mount, self.environment, not self.secure, self.key)

    @property
    def kind(self) -> str:
        """What its tree has in it."""
        return "secret" if self.secure else "variable"

    def __str__(self) -> str:
        return (
            f"{self.kind} {shorten(self.key)} in {self.environment}"
            if self.key
            else f"{self.kind}s in {self.environment}"
        )


def place_of(mount: Mount, environment: str, secure: bool, key: Optional[str]) -> Place:
    """Where this key is, or without one its tree; ``InvalidKey`` where no key can have that name."""
    tree = mount.tree(environment, secure)
    if key is None:
        return Place(mount, environment, secure, "", tree)
    return Place(mount, environment, secure, key, b"%s/%s" % (tree, encode(key)))


def encode(key: str) -> bytes:
    """A key's bytes, once it is known to lead to no other place."""
    if not isinstance(key, str):
        raise TypeError(f"a key is text, not {type(key).__name__}")
    padded = f"/{key}/"
    if "//" in padded or "/./" in padded or "/../" in padded or "\0" in key:
        raise _invalid(key, "its parts, between the slashes, are not empty, neither . nor .., and have no NUL in them")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise _invalid(key, "it has a character that UTF-8 can't have") from None
    if len(encoded) > LONGEST:
        raise _invalid(key, f"it has more than {LONGEST} bytes")
    return encoded


def shorten(key: str) -> str:
    """A key as it stands in a message, which is one line."""
    return key if len(key) <= 120 else f"{key[:60]}…{key[-40:]}"


@contextmanager
def reach(path: bytes) -> Iterator[bytes]:
    """A path to the same file that the kernel takes, however deep the file is."""
    if len(path) < PATH_MAX:
        yield path
        return
    directory = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        while len(path) >= PATH_MAX - 64:
            cut = path.rindex(b"/", 0, PATH_MAX - 64)
            deeper = os.open(path[:cut].lstrip(b"/"), os.O_PATH | os.O_DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory, path = deeper, path[cut + 1 :]
        yield b"/proc/self/fd/%d/%s" % (directory, path)
    finally:
        os.close(directory)


def _invalid(key: str, why: str) -> InvalidKey:
    error = InvalidKey(f"{shorten(key)!r} can't name a key: {why}")
    error.key = key
    return error
