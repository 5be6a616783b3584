"""The keys of a mount: ``keyfs.kv`` is the store that the process finds by itself, a ``Store`` of one's own one that is
named.

What holds: each call asks the mount, so a value that was rotated is there at the next call. A call does all of what it
is to do or fails. Who may do what is for the kernel and the daemon to decide; what they refuse is raised with what
would be needed.

What is deliberately not here: a cache of values, and a way around the mount.
"""

from __future__ import annotations

import errno
import os
from typing import Callable, List, Optional, TypeVar, Union, overload

from . import changes, directories, failures, files, history
from . import mount as mounts
from . import permissions as rights
from .errors import Error, KeyNotFound, NotText
from .listing import keys_below
from .permissions import Grants, Permissions
from .place import Place, place_of, reach
from .text import decode, encode, without_newline
from .view import View
from .watch import Watch

Result = TypeVar("Result")
Default = TypeVar("Default")
Value = Union[str, files.Value]


class _Missing:
    """Stands for no default, since ``None`` is one."""


_MISSING = _Missing()


class Store:
    """Keys as files below a mount.

    ``mount`` and ``environment`` are for all calls; without them they are looked for as ``keyfs.mount`` says.
    """

    def __init__(self, mount: Optional[mounts.Path] = None, environment: Optional[str] = None) -> None:
        self._mount = mount
        self._environment = environment

    @overload
    def get(
        self, key: str, *, secure: bool = ..., environment: Optional[str] = ..., version: Optional[int] = ...
    ) -> str: ...

    @overload
    def get(
        self,
        key: str,
        *,
        secure: bool = ...,
        environment: Optional[str] = ...,
        version: Optional[int] = ...,
        default: Default,
    ) -> Union[str, Default]: ...

    def get(
        self,
        key: str,
        *,
        secure: bool = False,
        environment: Optional[str] = None,
        version: Optional[int] = None,
        default: Union[Default, _Missing] = _MISSING,
    ) -> Union[str, Default]:
        """A key's value as text, less one trailing newline, which ``echo`` and editors add.

        ``default`` is for a key that isn't there; a key that the process may not read is an error all the same.
        """
        try:
            value = self.get_bytes(key, secure=secure, environment=environment, version=version)
        except KeyNotFound:
            if isinstance(default, _Missing):
                raise
            return default
        text = decode(value)
        if text is None:
            place = self._place(key, secure, environment)
            raise failures.about(
                place, NotText(f"{place} is not UTF-8 text; get_bytes({place.arguments}) gives its bytes")
            )
        return without_newline(text)

    def get_bytes(
        self, key: str, *, secure: bool = False, environment: Optional[str] = None, version: Optional[int] = None
    ) -> bytes:
        """A key's value, byte for byte."""
        if version is not None:
            return self._do(failures.READ, key, secure, environment, lambda place: history.read(place, version))
        return self._do(failures.READ, key, secure, environment, _read)

    def put(
        self,
        key: str,
        value: Value,
        *,
        secure: bool = False,
        environment: Optional[str] = None,
        groups: Optional[Grants] = None,
        users: Optional[Grants] = None,
        if_version: Optional[int] = None,
    ) -> None:
        """Stores a value, text or bytes, exactly as it is; it is on stable storage when this returns.

        A new key is its creator's, and that of ``groups`` and ``users``, such as ``"analysts:r,ops:rw"``. A key that is
        there keeps its permissions, or gets these in their place. With ``if_version`` the key must be at that version,
        0 for one that must not be there, or it is a ``Conflict``.
        """
        content = self._content(key, value, secure, environment)
        change = changes.Change(content, groups, users, if_version)
        self._do(failures.PUT, key, secure, environment, lambda place: changes.put(place, change))

    def ls(self, prefix: str = "", *, secure: bool = False, environment: Optional[str] = None) -> List[str]:
        """The keys that begin with a prefix, whole, of every depth, in byte order; those that the process may list."""

        def keys(place: Place) -> List[str]:
            try:
                return keys_below(place.tree, prefix)
            except PermissionError as error:
                directory = prefix.rpartition("/")[0] or None
                asked = place_of(place.mount, place.environment, place.secure, directory)
                raise failures.explain(error, failures.LIST, asked) from None

        return self._do(failures.LIST, None, secure, environment, keys)

    def rm(self, key: str, *, secure: bool = False, environment: Optional[str] = None) -> None:
        """Removes a key, and the directories above it that are empty then. Its versions stay in the history."""

        def remove(place: Place) -> None:
            directories.remove(place.path)
            directories.remove_empty(directories.parents(place.tree, place.path))

        self._do(failures.REMOVE, key, secure, environment, remove)

    def exists(self, key: str, *, secure: bool = False, environment: Optional[str] = None) -> bool:
        """Whether there is such a key, which doesn't say that the process may read it."""
        try:
            return self._do(failures.READ, key, secure, environment, _is_file)
        except KeyNotFound:
            return False

    def permissions(self, key: str, *, secure: bool = False, environment: Optional[str] = None) -> Permissions:
        """Who may read and write a key."""
        return self._do(failures.READ, key, secure, environment, rights.read)

    def set_permissions(
        self,
        key: str,
        *,
        groups: Optional[Grants] = None,
        users: Optional[Grants] = None,
        secure: bool = False,
        environment: Optional[str] = None,
    ) -> None:
        """Says anew which groups, and for a variable which users, may read and write a key; what isn't given stays. Its
        owner stays, too."""
        self._do(failures.GRANT, key, secure, environment, lambda place: changes.set_permissions(place, groups, users))

    def history(self, key: str, *, secure: bool = False, environment: Optional[str] = None) -> List[int]:
        """The versions that are kept, the oldest first; ``get(key, version=…)`` reads one. Also of a key that was
        removed."""
        return self._do(failures.READ, key, secure, environment, history.versions)

    def view(self, prefix: str = "", *, secure: bool = False, environment: Optional[str] = None) -> View:
        """The keys that begin with a prefix as a mapping, without the prefix."""
        return View(self, prefix, secure, environment)

    def watch(
        self,
        prefix: str = "",
        *,
        secure: Optional[bool] = False,
        environment: Optional[str] = None,
        since: Optional[str] = None,
    ) -> Watch:
        """The changes of the keys that begin with a prefix, as they happen: variables, secrets, or with ``None`` both.

        ``since`` is an event's ``cursor``, to go on from there.
        """

        def begin(place: Place) -> Watch:
            history.require_control(place, failures.WATCH, b"events")
            try:
                return Watch(place.mount, prefix, secure, place.environment, since)
            except (FileNotFoundError, ValueError):
                raise failures.failed(place, failures.WATCH, errno.EINVAL, f"{since!r} is no event's cursor") from None

        return self._do(failures.WATCH, None, bool(secure), environment, begin)

    def environments(self) -> List[str]:
        """The environments that the mount shows."""
        return mounts.environments(mounts.find(self._mount))

    def place(self, key: str, *, secure: bool = False, environment: Optional[str] = None) -> str:
        """The path of a key's file, for what wants a file."""
        return os.fsdecode(self._place(key, secure, environment).path)

    def _place(self, key: Optional[str], secure: bool, environment: Optional[str]) -> Place:
        mount = mounts.find(self._mount)
        return place_of(mount, mounts.environment_of(mount, environment or self._environment), secure, key)

    def _do(
        self,
        doing: str,
        key: Optional[str],
        secure: bool,
        environment: Optional[str],
        action: Callable[[Place], Result],
    ) -> Result:
        """Does something with a key, on the mount that was found before, or if that is gone on the one that is there
        now."""
        place = self._place(key, secure, environment)
        try:
            return action(place)
        except OSError as error:
            if isinstance(error, Error):
                raise
            now = self._moved(place, error)
            if now is None:
                raise failures.explain(error, doing, place) from None
        try:
            return action(now)
        except OSError as error:
            raise failures.explain(error, doing, now) from None

    def _moved(self, place: Place, error: OSError) -> Optional[Place]:
        if error.errno not in (errno.ENOENT, errno.ENOTCONN, errno.ENODEV) or os.path.isdir(place.tree):
            return None
        mounts.forget()
        now = place_of(mounts.find(self._mount), place.environment, place.secure, place.key or None)
        return now if now.mount != place.mount else None

    def _content(self, key: str, value: Value, secure: bool, environment: Optional[str]) -> files.Value:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return value
        if not isinstance(value, str):
            raise TypeError(
                f"the value of {key} is to be text or bytes, not {type(value).__name__}; for its text, put str() of it"
            )
        content = encode(value)
        if content is None:
            place = self._place(key, secure, environment)
            raise failures.about(
                place, NotText(f"the text for {place} has a character that UTF-8 can't have; put bytes")
            )
        return content


def _read(place: Place) -> bytes:
    return files.read(place.path)


def _is_file(place: Place) -> bool:
    with reach(place.path) as near:
        if os.path.isfile(near):
            return True
        os.stat(near)
        return False
