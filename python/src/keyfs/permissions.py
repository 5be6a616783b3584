"""Who may read and write a key: as text, ``analysts:r,ops:rw``, and as the attributes in which the mount takes and
shows it.

What holds: an entry that is made for somebody is its owner's and theirs alone. A secret is granted to groups alone, so
a user stands for the group of their own, or is refused.

What is deliberately not here: deciding what a process may do, which the kernel and the daemon do, and the ids of groups
that are granted: they are resolved where the daemon runs.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from .errors import InvalidGroups
from .place import Place, reach

Grants = Union[str, Mapping[str, str]]

# What to set on an entry: the names of attributes and their contents.
Attributes = List[Tuple[str, bytes]]

GROUPS = "user.keyfs.groups"
ACL = "system.posix_acl_access"

# The attribute of acl(5): a version, then for each entry its tag, its rights and an id (linux/posix_acl_xattr.h).
_VERSION, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_NO_ID = 0xFFFF_FFFF
_LETTERS = {"r": 4, "w": 2, "x": 1, "-": 0}


class Permissions(NamedTuple):
    """What a key grants: names, or ids where there is no name, and for each ``r``, ``w`` or ``rw``."""

    owner: str
    users: Dict[str, str]
    groups: Dict[str, str]


class Entry(NamedTuple):
    """A line of an access control list."""

    tag: int
    rights: int
    id: int


def parse(grants: Grants) -> Dict[str, str]:
    """Names and their rights from ``"analysts:r,ops:rw"`` or ``{"analysts": "r", "ops": "rw"}``."""
    if not isinstance(grants, str):
        return dict(grants)
    items = [item.strip() for item in grants.split(",") if item.strip()]
    for item in items:
        if ":" not in item:
            raise InvalidGroups(f"{item!r} has no rights; write them as in 'analysts:r,ops:rw'")
    return {name: rights for name, _, rights in (item.rpartition(":") for item in items)}


def for_new(groups: Optional[Grants], users: Optional[Grants], secure: bool) -> Attributes:
    """What to set on an entry of the process's own that is about to be stored."""
    of_groups, of_users = _resolve(groups or "", users or "", secure, os.geteuid())
    attributes: Attributes = []
    if of_users:
        mine = Entry(_USER_OBJ, 6, _NO_ID)
        attributes.append((ACL, encode([mine, Entry(_GROUP_OBJ, 0, _NO_ID), Entry(_OTHER, 0, _NO_ID)], of_users)))
    if of_groups:
        attributes.append((GROUPS, _as_text(of_groups)))
    return attributes


def for_existing(place: Place, groups: Optional[Grants], users: Optional[Grants]) -> Attributes:
    """What to set on an entry that is there; what is ``None`` stays as it is."""
    with reach(place.path) as near:
        owner = os.stat(near).st_uid
        present = decode(near)
    of_groups, of_users = _resolve(groups or "", users or "", place.secure, owner)
    attributes: Attributes = []
    named = {entry.id: entry.rights for entry in present if entry.tag == _USER}
    if users is not None and not place.secure and of_users != named:
        # Only the owner may set this one; who else edits the entry sets its groups.
        attributes.append((ACL, encode([entry for entry in present if entry.tag not in (_USER, _MASK)], of_users)))
    if groups is not None or of_groups:
        attributes.append((GROUPS, _as_text(of_groups)))
    return attributes


def read(place: Place) -> Permissions:
    """Who may read and write an entry."""
    with reach(place.path) as near:
        status = os.stat(near)
        entries = decode(near)
        granted = os.getxattr(near, "system.keyfs.groups").decode()
    mask = next((entry.rights for entry in entries if entry.tag == _MASK), 7)
    owner = user_name(status.st_uid)
    rights = status.st_mode >> 6 & 7
    if place.secure and not _is_member(status.st_uid, status.st_gid):
        rights &= ~4  # Being the owner alone opens no secret.
    users = {user_name(entry.id): letters(entry.rights & mask) for entry in entries if entry.tag == _USER}
    users[owner] = letters(rights)
    groups = {name: rights.replace("-", "").replace("x", "") for name, rights in parse(granted).items()}
    return Permissions(owner, _some(users), _some(groups))


def decode(path: bytes) -> List[Entry]:
    """An entry's access control list; of a mode where it has no more."""
    try:
        packed = os.getxattr(path, ACL)
    except OSError:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        parts = [(_USER_OBJ, mode >> 6), (_GROUP_OBJ, mode >> 3), (_OTHER, mode)]
        return [Entry(tag, rights & 7, _NO_ID) for tag, rights in parts]
    return [Entry(*fields) for fields in _ENTRY.iter_unpack(packed[_VERSION.size :])]


def encode(entries: List[Entry], users: Mapping[int, int]) -> bytes:
    """An access control list with these users, and a mask that lets everybody have what stands there."""
    entries = entries + [Entry(_USER, rights, user) for user, rights in users.items()]
    named = [entry.rights for entry in entries if entry.tag in (_USER, _GROUP, _GROUP_OBJ)]
    if any(entry.tag in (_USER, _GROUP) for entry in entries):
        mask = 0
        for rights in named:
            mask |= rights
        entries.append(Entry(_MASK, mask, _NO_ID))
    # The kernel takes them in this order alone.
    return _VERSION.pack(2) + b"".join(
        _ENTRY.pack(*entry) for entry in sorted(entries, key=lambda entry: (entry.tag, entry.id))
    )


def unknown_groups(groups: Grants) -> List[str]:
    """Those that this machine has no group of."""
    return [name for name in parse(groups) if not name.isdigit() and _group_of_name(name) is None]


def letters(rights: int) -> str:
    """Read and write as letters."""
    return ("r" if rights & 4 else "") + ("w" if rights & 2 else "")


def user_name(user: int) -> str:
    """A user's name, or the id where it has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def group_name(group: int) -> str:
    """A group's name, or the id where it has none."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _resolve(groups: Grants, users: Grants, secure: bool, owner: int) -> Tuple[Dict[str, int], Dict[int, int]]:
    """The rights of each group by its name, and of each user but the owner by their id."""
    of_groups = {name: _rights(name, text) for name, text in parse(groups).items()}
    of_users: Dict[int, int] = {}
    for name, text in parse(users).items():
        account, rights = _account(name), _rights(name, text)
        if account.pw_uid == owner:
            continue
        if secure:
            private = _private_group(account)
            of_groups[private] = of_groups.get(private, 0) | rights
        else:
            of_users[account.pw_uid] = rights
    return of_groups, of_users


def _rights(name: str, text: str) -> int:
    if not name or not text or not set(text) <= set(_LETTERS):
        raise InvalidGroups(f"{f'{name}:{text}'!r} is nobody with rights; write them as in 'analysts:r,ops:rw'")
    return sum({_LETTERS[letter] for letter in text})


def _as_text(groups: Mapping[str, int]) -> bytes:
    return ",".join(f"{name}:{letters(rights)}{'x' if rights & 1 else ''}" for name, rights in groups.items()).encode()


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise InvalidGroups(f"there is no user {name} on this machine") from None


def _private_group(account: pwd.struct_passwd) -> str:
    name = group_name(account.pw_gid)
    if name != account.pw_name:
        user = account.pw_name
        raise InvalidGroups(
            f"a secret is granted to groups, and {user} has no group of their own; grant it to another one"
        )
    return name


def _group_of_name(name: str) -> Optional[int]:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _is_member(user: int, group: int) -> bool:
    try:
        account = pwd.getpwuid(user)
    except KeyError:
        return user == group
    return group in os.getgrouplist(account.pw_name, account.pw_gid)


def _some(rights: Dict[str, str]) -> Dict[str, str]:
    return {name: held for name, held in sorted(rights.items()) if held}
