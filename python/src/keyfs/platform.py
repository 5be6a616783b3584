"""The names that code for the ``datatailr`` package uses for keys, their permissions and accounts, on a keyfs mount.

``KV``, ``Secrets``, ``ACL``, ``Permission``, ``User``, ``Group``, ``Environment`` and ``get_dt_env`` take the same
arguments and give the same shapes, so that ``import keyfs as dt`` is the one line to change.

What holds: accounts are the machine's own (NSS), and every call is one of ``Store``.

What is deliberately not here: the platform's jobs, blobs, images and nodes, and adding or removing accounts. What has
no meaning for a key (OPERATE, ACCESS and PROMOTE) can be named in an ``ACL`` and is not kept.
"""

from __future__ import annotations

import json
import os
from enum import Enum
from typing import Dict, List, Mapping, Optional, Tuple, Union

from .accounts import Group, User
from .errors import KeyNotFound
from .permissions import Permissions, group_name, user_name
from .store import Store

_store = Store()

Entities = Union[User, Group, List[Union[User, Group]]]


class Environment(str, Enum):
    """The environments that the platform knows; a mount may have others, which are said by their names."""

    DEV = "dev"
    PRE = "pre"
    PROD = "prod"

    def __str__(self) -> str:
        return self.value


def get_dt_env() -> Environment:
    """The environment that calls are for."""
    name = os.environ.get("KEYFS_ENV") or os.environ.get("DATATAILR_JOB_ENVIRONMENT") or "dev"
    return Environment(name.lower())


class Permission(Enum):
    """What may be permitted; a key is read and written."""

    READ = "read"
    WRITE = "write"
    OPERATE = "operate"
    ACCESS = "access"
    PROMOTE = "promote"

    def __str__(self) -> str:
        return self.value


class ACL:
    """Who may do what with a key: for each permission the users and groups that have it."""

    def __init__(self, permissions: Optional[Mapping[Permission, Entities]] = None) -> None:
        """Without permissions, the user that the process runs as has all of them and nobody else has any."""
        if not permissions:
            permissions = {permission: User.signed_user() for permission in Permission}
        self.permissions: Dict[Permission, List[Union[User, Group]]] = {
            permission: _list(entities) for permission, entities in permissions.items()
        }

    @classmethod
    def from_dict(cls, ids: Mapping[str, List[int]]) -> ACL:
        """From ids, those of groups negative."""
        made = cls.__new__(cls)
        made.permissions = {Permission(name): [_entity(number) for number in numbers] for name, numbers in ids.items()}
        return made

    def to_dict(self) -> Dict[str, List[int]]:
        """Ids for each permission, those of groups negative. 0 has no place in that scheme, and is left out."""
        numbers = {
            permission: [-entity.group_id if isinstance(entity, Group) else entity.user_id for entity in entities]
            for permission, entities in self.permissions.items()
        }
        return {str(permission): [number for number in found if number] for permission, found in numbers.items()}

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ACL):
            return NotImplemented
        mine, theirs = (
            {permission: set(found) for permission, found in acl.permissions.items()} for acl in (self, other)
        )
        return mine == theirs

    def __repr__(self) -> str:
        lines = [f"{permission!s:>10}: {entities}" for permission, entities in self.permissions.items()]
        return "\n".join(["keyfs.ACL:", *lines])


class KV:
    """The variables of the environment that calls are for."""

    _secure = False

    def get(self, key: str) -> str:
        """A key's value."""
        return _store.get(key, secure=self._secure)

    def put(self, key: str, value: str, acl: Optional[ACL] = None) -> None:
        """Stores a value; a new key is its creator's alone, or that of those in ``acl``."""
        users, groups = (None, None) if acl is None else _grants(acl)
        _store.put(key, value, secure=self._secure, users=users, groups=groups)

    def ls(self) -> List[Dict[str, Union[str, ACL]]]:
        """Each key and its ACL."""
        found: List[Dict[str, Union[str, ACL]]] = []
        for key in _store.ls(secure=self._secure):
            try:
                found.append({"key": key, "acl": self.acls(key)})
            except KeyNotFound:
                pass  # It was removed meanwhile.
        return found

    def delete(self, key: str) -> None:
        """Removes a key."""
        _store.rm(key, secure=self._secure)

    def acls(self, key: str) -> ACL:
        """A key's ACL."""
        return _acl(_store.permissions(key, secure=self._secure))

    def add_acl(self, key: str, acls: ACL) -> None:
        """Grants what is in ``acls`` besides what is granted."""
        present = _store.permissions(key, secure=self._secure)
        users, groups = _grants(acls)
        merged = [_merged(old, new) for old, new in ((present.users, users), (present.groups, groups))]
        _store.set_permissions(key, users=merged[0], groups=merged[1], secure=self._secure)

    def set_acls(self, key: str, acls: ACL) -> None:
        """Grants what is in ``acls`` in the place of what is granted; the owner stays."""
        users, groups = _grants(acls)
        _store.set_permissions(key, users=users, groups=groups, secure=self._secure)


class Secrets(KV):
    """The secrets of the environment that calls are for."""

    _secure = True

    def set_env(self, secret_name: str, env_var_name: Optional[str] = None, overwrite: bool = False) -> str:
        """Puts a secret into the process's environment, under its own name in capitals or another one; the name that it
        has there.

        Children inherit it, and ``/proc`` shows it to the same user: a program that can open a file is better given the
        file.
        """
        name = secret_name.replace("/", "_").upper() if env_var_name is None else env_var_name
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} can't name an environment variable")
        if overwrite or name not in os.environ:
            os.environ[name] = self.get(secret_name)
        return name


def _list(entities: Entities) -> List[Union[User, Group]]:
    found = list(entities) if isinstance(entities, list) else [entities]
    for entity in found:
        if not isinstance(entity, (User, Group)):
            raise TypeError(f"an ACL is of users and groups, not of {type(entity).__name__}")
    return found


def _entity(number: int) -> Union[User, Group]:
    return Group.of(group_name(-number)) if number < 0 else User.of(user_name(number))


def _grants(acl: ACL) -> Tuple[Dict[str, str], Dict[str, str]]:
    """The users and the groups that may read or write, each with its rights."""
    users: Dict[str, str] = {}
    groups: Dict[str, str] = {}
    for permission, letter in ((Permission.READ, "r"), (Permission.WRITE, "w")):
        for entity in acl.permissions.get(permission, []):
            grants = groups if isinstance(entity, Group) else users
            grants[entity.name] = grants.get(entity.name, "") + letter
    return users, groups


def _acl(permissions: Permissions) -> ACL:
    made: Dict[Permission, Entities] = {}
    for permission, letter in ((Permission.READ, "r"), (Permission.WRITE, "w")):
        users: List[Union[User, Group]] = [User.of(name) for name, held in permissions.users.items() if letter in held]
        groups: List[Union[User, Group]] = [
            Group.of(name) for name, held in permissions.groups.items() if letter in held
        ]
        made[permission] = users + groups
    return ACL(made)


def _merged(old: Mapping[str, str], new: Mapping[str, str]) -> Dict[str, str]:
    rights = {name: set(old.get(name, "")) | set(new.get(name, "")) for name in [*old, *new]}
    return {name: "".join(sorted(held)) for name, held in rights.items()}
