"""keyfs: configuration and credentials as files.

    import keyfs as dt

    dt.kv.put("config/threshold", "0.95")
    dt.kv.put("api/key", "sk-abc123", secure=True)
    dt.kv.get("api/key", secure=True)

``kv`` works on the files of a keyfs mount; see ``Store`` for its calls, and ``errors`` for what they raise. ``KV``,
``Secrets``, ``ACL`` and the names with them are those of the datatailr package, for code that was written for it.

What holds: nothing is read, mounted or connected to when this is imported.

What is deliberately not here: the frameworks' settings (``keyfs.pydantic_source``) and the fixtures
(``keyfs.pytest_plugin``), which need more than Python's own library.
"""

from __future__ import annotations

from .accounts import Group, User
from .credentials import credential
from .errors import (
    Conflict,
    Error,
    InvalidGroups,
    InvalidKey,
    KeyExpired,
    KeyNotFound,
    NoEnvironment,
    NoMount,
    NotText,
    OperationFailed,
    PermissionDenied,
)
from .platform import ACL, KV, Environment, Permission, Secrets, get_dt_env
from .store import Store
from .view import View
from .watch import Event, Watch

__version__ = "0.1.0"

kv = Store()

__all__ = [
    "ACL",
    "KV",
    "Conflict",
    "Environment",
    "Error",
    "Event",
    "Group",
    "InvalidGroups",
    "InvalidKey",
    "KeyExpired",
    "KeyNotFound",
    "NoEnvironment",
    "NoMount",
    "NotText",
    "OperationFailed",
    "Permission",
    "PermissionDenied",
    "Secrets",
    "Store",
    "User",
    "View",
    "Watch",
    "credential",
    "get_dt_env",
    "kv",
]
