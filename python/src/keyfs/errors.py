"""What the package raises.

Every error is an :class:`Error`, and also the built-in that Python code would catch for it. Its text is one line that
names the key, the environment and what to do; ``key`` and ``environment`` are there to ask as well, where the error is
about a key.

What holds: no error has a value in it, neither in its text nor in an attribute, nor in an exception that it was made
from.

What is deliberately not here: how an errno becomes one of these, which is ``failures``' work.
"""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """Whatever goes wrong in keyfs."""

    key: Optional[str] = None
    environment: Optional[str] = None

    def __str__(self) -> str:
        # KeyError would show its argument's repr, and OSError a number in front.
        return str(self.args[-1]) if self.args else ""


class KeyNotFound(Error, KeyError):
    """There is no such key, or no such version of it."""


class InvalidKey(Error, ValueError):
    """No key can have this name."""


class InvalidGroups(Error, ValueError):
    """The groups to grant to can't be understood, or there are none of these names."""


class NotText(Error, ValueError):
    """The value is not UTF-8 text, or the text can't be stored as such; bytes can."""


class PermissionDenied(Error, PermissionError):
    """The process may not do this; the text says what it would need."""


class NoMount(Error, OSError):
    """No keyfs is mounted where it was looked for, or its daemon is gone."""


class NoEnvironment(NoMount):
    """The mount does not show this environment."""


class Conflict(Error, OSError):
    """The key is at another version than ``if_version=`` says."""


class KeyExpired(Error, OSError):
    """The key is there, and past the time that it was to be used until."""


class OperationFailed(Error, OSError):
    """Anything else that the mount refused; ``errno`` is what it answered."""
