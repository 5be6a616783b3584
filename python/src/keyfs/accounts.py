"""The machine's users and groups, under the names that code for the ``datatailr`` package uses.

What holds: each look asks NSS, through ``pwd`` and ``grp``; nothing is kept longer than the object.

What is deliberately not here: adding and removing accounts, which is the machine's administrator's, and names and
addresses of people.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import List, Optional, Union


class User:
    """A user of the machine."""

    def __init__(self, name: Optional[str] = None, id: Optional[int] = None) -> None:
        if name is None and id is None:
            raise ValueError("a User takes a name or an id")
        try:
            account = pwd.getpwnam(name) if name is not None else pwd.getpwuid(id or 0)
        except KeyError:
            raise ValueError(f"there is no user {id if name is None else name} on this machine") from None
        self.name: str = account.pw_name
        self.user_id: int = account.pw_uid
        self._primary = account.pw_gid

    @property
    def groups(self) -> List[str]:
        """The names of the groups that the user is in."""
        return [entry.gr_name for entry in grp.getgrall() if entry.gr_gid == self._primary or self.name in entry.gr_mem]

    @staticmethod
    def get(name_or_id: Union[str, int]) -> User:
        """The user of this name or id; ``ValueError`` where there is none."""
        return User(id=name_or_id) if isinstance(name_or_id, int) else User(name_or_id)

    @staticmethod
    def signed_user() -> User:
        """The user that the process runs as."""
        return User(id=os.geteuid())

    @staticmethod
    def exists(name: str) -> bool:
        """Whether there is a user of this name."""
        return any(entry.pw_name == name for entry in pwd.getpwall())

    @staticmethod
    def ls() -> List[User]:
        """The users that the machine lists."""
        return [User(entry.pw_name) for entry in pwd.getpwall()]

    @classmethod
    def of(cls, name: str) -> User:
        """The user of this name, or of the id that stands for one that has no name here."""
        if not name.isdigit() or cls.exists(name):
            return cls(name)
        user = cls.__new__(cls)
        user.name, user.user_id, user._primary = name, int(name), -1
        return user

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and other.user_id == self.user_id

    def __hash__(self) -> int:
        return hash(self.user_id)

    def __repr__(self) -> str:
        return f"User(name={self.name}, user_id={self.user_id})"


class Group:
    """A group of the machine."""

    def __init__(self, name: Optional[str] = None, id: Optional[int] = None) -> None:
        if name is None and id is None:
            raise ValueError("a Group takes a name or an id")
        try:
            entry = grp.getgrnam(name) if name is not None else grp.getgrgid(id or 0)
        except KeyError:
            raise ValueError(f"there is no group {id if name is None else name} on this machine") from None
        self.name: str = entry.gr_name
        self.group_id: int = entry.gr_gid
        self._members = list(entry.gr_mem)

    @property
    def members(self) -> List[int]:
        """The ids of the users in it."""
        primary = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == self.group_id]
        listed = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_name in self._members]
        return sorted(set(primary + listed))

    def is_member(self, user: Union[User, int]) -> bool:
        """Whether a user is in it."""
        return (user.user_id if isinstance(user, User) else user) in self.members

    @staticmethod
    def get(name_or_id: Union[str, int]) -> Group:
        """The group of this name or id; ``ValueError`` where there is none."""
        return Group(id=name_or_id) if isinstance(name_or_id, int) else Group(name_or_id)

    @staticmethod
    def exists(name: str) -> bool:
        """Whether there is a group of this name."""
        return any(entry.gr_name == name for entry in grp.getgrall())

    @staticmethod
    def ls() -> List[Group]:
        """The groups that the machine lists."""
        return [Group(entry.gr_name) for entry in grp.getgrall()]

    @classmethod
    def of(cls, name: str) -> Group:
        """The group of this name, or of the id that stands for one that has no name here."""
        if not name.isdigit() or cls.exists(name):
            return cls(name)
        group = cls.__new__(cls)
        group.name, group.group_id, group._members = name, int(name), []
        return group

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and other.group_id == self.group_id

    def __hash__(self) -> int:
        return hash(("group", self.group_id))

    def __repr__(self) -> str:
        return f"Group(name={self.name}, group_id={self.group_id})"
