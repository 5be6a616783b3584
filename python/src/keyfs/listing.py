"""The keys of a tree.

What holds: keys come whole and in byte order, and no value is opened. What the process may not list below where it
looks is left out, as is what comes and goes meanwhile.

What is deliberately not here: permissions, sizes and times of keys, which would take a request for each.
"""

from __future__ import annotations

import os
from typing import List

from .errors import InvalidKey
from .place import encode, reach
from .staging import HIDDEN


def keys_below(tree: bytes, prefix: str) -> List[str]:
    """The keys whose text begins with a prefix."""
    directory, slash, _ = prefix.rpartition("/")
    try:
        start = encode(directory) + b"/" if slash else b""
    except InvalidKey:
        return []  # No key begins so.
    wanted = prefix.encode(errors="surrogateescape")
    found: List[bytes] = []
    try:
        waiting = _list(tree, start, wanted, found)
    except (FileNotFoundError, NotADirectoryError):
        if not start:
            raise
        os.stat(tree)
        return []
    while waiting:
        try:
            waiting.extend(_list(tree, waiting.pop(), wanted, found))
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            pass
    found.sort()
    return [key.decode() for key in found]


def _list(tree: bytes, directory: bytes, wanted: bytes, found: List[bytes]) -> List[bytes]:
    """Adds the keys right in a directory to ``found``; the directories in it, as long as keys in them can be wanted."""
    directories = []
    with reach(tree + b"/" + directory) as near, os.scandir(near) as entries:
        for entry in entries:
            key = directory + entry.name
            if entry.is_dir(follow_symlinks=False):
                if (key + b"/").startswith(wanted) or wanted.startswith(key + b"/"):
                    directories.append(key + b"/")
            elif key.startswith(wanted) and not entry.name.startswith(HIDDEN):
                found.append(key)
    return directories
