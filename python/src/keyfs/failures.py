"""What a refusal means: an ``OSError`` of the kernel becomes an error that names key, environment and remedy.

What holds: the text comes from names, attributes and permissions alone, so there is no value in it. Asking for them
never hides the refusal: what can't be learnt is left out.

What is deliberately not here: deciding. ``system.keyfs.groups`` and ``system.keyfs.why`` are the daemon's word.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Optional, Type, TypeVar

from . import mount as mounts
from .errors import Conflict, Error, InvalidKey, KeyExpired, KeyNotFound, NoMount, OperationFailed, PermissionDenied
from .permissions import group_name, user_name
from .place import Place, reach, shorten

Raised = TypeVar("Raised", bound=Error)

# What somebody was doing, as it stands in a text behind "can't".
READ, PUT, REMOVE, LIST, WATCH = "read", "put", "remove", "list", "watch"
GRANT = "change who may read and write"


def explain(error: OSError, doing: str, place: Place) -> Error:
    """The error to raise for what went wrong while somebody was doing something with a key."""
    number = error.errno or 0
    if number in (errno.ENOTCONN, errno.ENODEV, errno.ECONNABORTED):
        mounts.forget()
        return _raised(NoMount, number, doing, place, f"the keyfs at {place.mount} doesn't answer; mount it again")
    if number in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return _absent(number, doing, place)
    if number in (errno.EACCES, errno.EPERM):
        return _raised(PermissionDenied, number, doing, place, _needed(number, doing, place))
    if number in (errno.ENAMETOOLONG, errno.EILSEQ):
        text = f"{shorten(place.key)!r} can't name a key: a part of it has more than 255 bytes"
        return about(place, InvalidKey(text))
    if number in (errno.ESTALE, errno.EEXIST, errno.ECANCELED):
        version = attribute(place, "system.keyfs.version")
        now = f"it is at version {version} now" if version else "somebody else has changed it"
        return _raised(Conflict, number, doing, place, f"{now}; read it and decide anew")
    if number == errno.EKEYEXPIRED:
        expires = attribute(place, "system.keyfs.expires") or "its time"
        return _raised(
            KeyExpired,
            number,
            doing,
            place,
            f"it is not to be used after {expires}; put a new value and set user.keyfs.expires",
        )
    return _raised(OperationFailed, number, doing, place, _MEANINGS.get(number) or os.strerror(number))


_MEANINGS = {
    errno.EFBIG: "the value is larger than the mount takes; keep it elsewhere, or mount with a larger --value-limit",
    errno.ENOSPC: "the disk of the store is full; the old value stays",
    errno.EIO: "the store or the audit log can't be used, or what is stored was changed; the daemon's log says more",
    errno.EDQUOT: "too many changes of this user are under way, or left behind for some minutes; try again",
    errno.EROFS: "it is mounted read-only here",
}


def not_found(place: Place, text: str) -> KeyNotFound:
    """The error for a key that isn't there."""
    return about(place, KeyNotFound(text))


def failed(place: Place, doing: str, number: int, reason: str) -> OperationFailed:
    """The error for what can't be done for another reason."""
    return _raised(OperationFailed, number, doing, place, reason)


def about(place: Place, error: Raised) -> Raised:
    """The error, with what it is about to ask for."""
    error.key, error.environment = place.key, place.environment
    return error


def attribute(place: Place, name: str) -> Optional[str]:
    """An attribute's text; ``None`` where there is none, or none for this process."""
    try:
        with reach(place.path) as near:
            return os.getxattr(near, name).decode(errors="replace")
    except OSError:
        return None


def _raised(kind: Type[Raised], number: int, doing: str, place: Place, reason: str) -> Raised:
    return about(place, kind(number, f"can't {doing} {place}: {reason}"))


def _absent(number: int, doing: str, place: Place) -> Error:
    missing = _missing_tree(number, doing, place)
    if missing is not None:
        return missing
    if _kind_of(place) == stat.S_IFDIR:
        below = place._replace(key=place.key + "/")
        return not_found(place, f"can't {doing} {place}: it is a directory; ls({below.arguments}) lists the keys in it")
    if number == errno.ENOTDIR:
        return not_found(
            place, f"can't {doing} {place}: a part of its name is a key itself, and below a key there are none"
        )
    other = place.other_tree()
    if _kind_of(other) == stat.S_IFREG:
        return not_found(place, f"there is no {place}, but a {other.kind} of that name; say secure={other.secure}")
    value = "value, secure=True" if place.secure else "value"
    return not_found(place, f"there is no {place}; put({shorten(place.key)!r}, {value}) makes it")


def _missing_tree(number: int, doing: str, place: Place) -> Optional[Error]:
    """Whether it is the environment that is missing, or the mount."""
    try:
        os.stat(place.tree)
        return None
    except PermissionError:
        return None
    except OSError:
        mounts.forget()
    try:
        shown = mounts.find(os.fsdecode(place.mount.path))
        return about(place, mounts.missing_environment(shown, place.environment))
    except OSError:
        return _raised(
            NoMount, number, doing, place, f"no keyfs answers at {place.mount}; mount it again, or set KEYFS_MOUNT"
        )


def _kind_of(place: Place) -> int:
    """The kind of the file that is there: ``stat.S_IFREG``, ``stat.S_IFDIR``; 0 for none."""
    try:
        with reach(place.path) as near:
            return stat.S_IFMT(os.lstat(near).st_mode)
    except OSError:
        return 0


def _needed(number: int, doing: str, place: Place) -> str:
    """What a process needs that it lacks."""
    if doing == LIST:
        return _needed_of_directory(place, place.path, "read")
    directory = place.path.rpartition(b"/")[0]
    if _kind_of(place) != stat.S_IFREG:
        return _needed_of_directory(place, directory, "write")
    if doing == REMOVE:
        editors = _granted(place, "rw")
        entry = f", or read and write on the key for one of: {editors}" if editors else ""
        if number == errno.EPERM:
            # The directory may be written, and lets each remove their own alone: a tree's root, or a sticky one.
            owner, above = _owner(place.path), _owner(directory)
            return f"needs to be done by its owner {owner} or the directory's owner {above}{entry}"
        return _needed_of_directory(place, directory, "write") + entry
    if doing == GRANT:
        editors = _granted(place, "rw")
        entry = f"read and write for one of: {editors}, or " if editors else ""
        return f"needs {entry}to be done by its owner {_owner(place.path)}"
    right = "read" if doing == READ else "write"
    groups = _granted(place, right[0])
    if groups:
        return f"needs {right} for one of: {groups}"
    why = [
        line for line in (attribute(place, "system.keyfs.why") or "").splitlines() if line.startswith(f"{right}: no, ")
    ]
    reason = why[0].partition("no, ")[2] if why else f"needs {right}"
    return f"{reason}; its owner {_owner(place.path)} can grant it to a group, by groups= or setfacl"


def _granted(place: Place, rights: str) -> str:
    """The groups that have all of these rights on a key."""
    items = [item.rpartition(":") for item in (attribute(place, "system.keyfs.groups") or "").split(",")]
    return ", ".join(name for name, _, held in items if name and set(rights) <= set(held))


def _needed_of_directory(place: Place, path: bytes, right: str) -> str:
    """The directory that is in the way: this one, or the deepest above it that the process can see."""
    while len(path) > len(place.mount.path):
        try:
            with reach(path) as near:
                status = os.stat(near)
                is_open = os.access(near, os.X_OK, effective_ids=True)
        except OSError:
            path = path.rpartition(b"/")[0]
            continue
        name = os.fsdecode(path[len(place.mount.path) + 1 :])
        group, mode = group_name(status.st_gid), f"{stat.S_IMODE(status.st_mode):o}"
        facts = f"owner {_owner(path)}, group {group}, mode {mode}"
        return f"needs {right if is_open else 'execute'} on the directory {name} ({facts})"
    return f"needs execute on {place.mount} and the directories above it"


def _owner(path: bytes) -> str:
    try:
        with reach(path) as near:
            return user_name(os.lstat(near).st_uid)
    except OSError:
        return "unknown"
