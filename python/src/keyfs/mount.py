"""Where keyfs is mounted, and which environment is meant.

``find`` takes the path it is given, else ``KEYFS_MOUNT``, else the one ``fuse.keyfs`` mount of
``/proc/self/mountinfo``, else ``/keys``. A directory with ``variables/`` and ``secrets/`` right in it is a view of one
environment: a mount with ``--env``, or a bind mount of an environment's subtree. Any other shows all environments.

What holds: what was found is remembered until ``forget``, since looking costs more than reading a key; that nothing was
found is not remembered, so a mount that starts later is found. Paths are bytes: a key is UTF-8 whatever the process's
locale says.

What is deliberately not here: whether a key is there, and mounting.
"""

from __future__ import annotations

import errno
import os
from typing import Dict, List, NamedTuple, Optional, Union

from .errors import InvalidKey, NoEnvironment, NoMount

Path = Union[str, "os.PathLike[str]"]

DEFAULT = "/keys"

# What a view's environment is called where nothing tells its name, such as in a copy in an ordinary directory.
UNNAMED = "this environment"


class Mount(NamedTuple):
    """A mount, or a view of one environment."""

    path: bytes
    view: Optional[str] = None
    """The environment that a view shows; ``None`` where all are shown."""

    def tree(self, environment: str, secure: bool) -> bytes:
        """The directory of an environment's variables or secrets."""
        tree = b"/secrets" if secure else b"/variables"
        return self.path + tree if self.view else b"%s/%s%s" % (self.path, environment.encode(), tree)

    def control(self, name: bytes) -> bytes:
        """The path of a control file."""
        return self.path + b"/.keyfs/" + name

    def __str__(self) -> str:
        return os.fsdecode(self.path)


class MountPoint(NamedTuple):
    """Where a keyfs is mounted, and which of its directories shows there."""

    root: bytes
    path: bytes


_found: Dict[Optional[str], Mount] = {}


def find(given: Optional[Path] = None) -> Mount:
    """The mount to use; ``NoMount`` where there is none, or where several could be meant."""
    place = os.fspath(given) if given is not None else os.environ.get("KEYFS_MOUNT") or None
    mount = _found.get(place)
    if mount is None:
        mount = _found[place] = _look() if place is None else _look_at(place)
    return mount


def forget() -> None:
    """Looks anew the next time: what was found isn't there any more."""
    _found.clear()


def environment_of(mount: Mount, given: Optional[str]) -> str:
    """The environment that is meant: the one given, else ``KEYFS_ENV``, else ``DATATAILR_JOB_ENVIRONMENT``, else dev.

    A view has the one that it shows: the two variables count for nothing there, and to give another one is an error.
    """
    if mount.view:
        if given is not None and mount.view not in (given, UNNAMED):
            text = f"{mount} shows {mount.view} alone, not {given}; leave environment= out, or set KEYFS_MOUNT"
            raise _no_environment(given, text)
        return mount.view
    if given is None:
        given = os.environ.get("KEYFS_ENV") or os.environ.get("DATATAILR_JOB_ENVIRONMENT") or "dev"
    if not given or "/" in given or "\0" in given or given.startswith("."):
        raise InvalidKey(f"{given!r} can't name an environment: a name has no slash in it and begins with no dot")
    return str(given)


def missing_environment(mount: Mount, environment: str) -> NoEnvironment:
    """The error for an environment that the mount doesn't have."""
    names = ", ".join(environments(mount)) or "none"
    return _no_environment(environment, f"{mount} has no environment {environment}; it has: {names}")


def environments(mount: Mount) -> List[str]:
    """The environments that a mount shows."""
    if mount.view:
        return [mount.view]
    return sorted(os.fsdecode(name) for name in os.listdir(mount.path) if not name.startswith(b"."))


def mount_points(table: Optional[bytes] = None) -> List[MountPoint]:
    """Where a keyfs is mounted in this process's namespace; of several at one place the one on top counts."""
    if table is None:
        with open("/proc/self/mountinfo", "rb") as file:
            table = file.read()
    on_top: Dict[bytes, Optional[MountPoint]] = {}
    for line in table.splitlines():
        # See proc_pid_mountinfo(5): a number of optional fields ends with a dash.
        front, _, back = line.partition(b" - ")
        fields = front.split(b" ")
        if len(fields) >= 6:
            point = MountPoint(_unescape(fields[3]), _unescape(fields[4]))
            on_top[point.path] = point if back.split(b" ", 1)[0] == b"fuse.keyfs" else None
    return [point for point in on_top.values() if point is not None]


def _unescape(field: bytes) -> bytes:
    """Blank, tab, newline and backslash are written as a backslash and three octal digits."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _look_at(place: str) -> Mount:
    mount = _classify(os.fsencode(os.path.abspath(place)))
    if mount is None:
        raise NoMount(
            errno.ENOENT,
            f"no keyfs answers at {place}; start one with `keyfs mount --create {place}`, or set KEYFS_MOUNT",
        )
    return mount


def _look() -> Mount:
    # What is bind-mounted from deeper, such as a single key, is no place to look for other keys.
    points = [point.path for point in mount_points() if point.root.count(b"/") == 1]
    classified = [_classify(point) for point in points]
    mounts = [mount for mount in classified if mount is not None]
    if len(mounts) > 1:
        names = ", ".join(sorted(str(mount) for mount in mounts))
        raise NoMount(errno.ENOENT, f"several keyfs are mounted: {names}; set KEYFS_MOUNT to the one that is meant")
    mount = mounts[0] if mounts else _classify(os.fsencode(DEFAULT))
    if mount is not None:
        return mount
    if points:
        dead = os.fsdecode(points[0])
        raise NoMount(
            errno.ENOTCONN, f"the keyfs at {dead} doesn't answer; mount it again, or set KEYFS_MOUNT to another one"
        )
    raise NoMount(
        errno.ENOENT,
        f"no keyfs is mounted; start one with `keyfs mount --create {DEFAULT}`, or set KEYFS_MOUNT to where one is",
    )


def _classify(path: bytes) -> Optional[Mount]:
    """What a directory shows; ``None`` where that is no keyfs, or one whose daemon is gone."""
    if _has_trees(path):
        return Mount(path, _environment_shown(path))
    try:
        names = [name for name in os.listdir(path) if not name.startswith(b".")]
    except OSError:
        return None
    # An environment that this process may not look into shows no trees, but then the kernel's table knows the mount.
    if any(_has_trees(os.path.join(path, name)) for name in names) or _point_above(path).path == os.path.realpath(path):
        return Mount(path)
    return None


def _has_trees(path: bytes) -> bool:
    return all(os.path.isdir(os.path.join(path, tree)) for tree in (b"variables", b"secrets"))


def _point_above(path: bytes) -> MountPoint:
    """The keyfs mount that a path is in."""
    real = os.path.realpath(path)
    above = [point for point in mount_points() if real == point.path or real.startswith(point.path + b"/")]
    return max(above, key=lambda point: len(point.path), default=MountPoint(b"", b""))


def _environment_shown(path: bytes) -> str:
    """Which environment a view shows: a subtree's name, or what the daemon of a mount with ``--env`` says."""
    point = _point_above(path)
    inside = point.root + os.path.realpath(path)[len(point.path) :] if point.path else b"/"
    name = inside.strip(b"/").split(b"/")[0]
    return os.fsdecode(name) if name else _environment_of_daemon(path) or UNNAMED


def _environment_of_daemon(path: bytes) -> Optional[str]:
    import json  # Needed once in a process at most, and slow to load.

    try:
        with open(path + b"/.keyfs/status", "rb") as file:
            environment = json.load(file)["environment"]
    except (OSError, ValueError, KeyError):
        return None
    return environment if isinstance(environment, str) else None


def _no_environment(environment: str, text: str) -> NoEnvironment:
    error = NoEnvironment(errno.ENOENT, text)
    error.environment = environment
    return error
