"""Credentials that a service manager hands to a process as files, beside those of the mount.

systemd puts what a unit's ``LoadCredential=`` and ``SetCredentialEncrypted=`` name into ``$CREDENTIALS_DIRECTORY``. A
program that asks ``credential`` runs with either: what the unit hands over comes first, else the secret of the mount.

What holds: one trailing newline is taken off, as ``kv.get`` does. A credential that is there and can't be read is an
error, never passed over.

What is deliberately not here: environment variables as a source. They are inherited by each child and shown in
``/proc``.
"""

from __future__ import annotations

import errno
import os
from typing import Optional

from .errors import NotText, PermissionDenied
from .files import read
from .store import Store
from .text import decode, without_newline


def credential(name: str, key: Optional[str] = None, *, store: Optional[Store] = None) -> str:
    """The unit's credential ``name``, or else the secret ``key``, which is ``name`` where it isn't given."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    value = _handed_over(directory, name) if directory else None
    if value is None:
        return (store or Store()).get(name if key is None else key, secure=True)
    text = decode(value)
    if text is None:
        raise NotText(f"the credential {name} in {directory} is not UTF-8 text; read its file")
    return without_newline(text)


def _handed_over(directory: str, name: str) -> Optional[bytes]:
    if "/" in name or name in ("", ".", "..") or "\0" in name:
        return None  # No credential is called so; a secret may be.
    try:
        return read(os.fsencode(os.path.join(directory, name)))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        text = f"can't read the credential {name} in {directory}: it is for the unit's own user"
        raise PermissionDenied(error.errno or errno.EACCES, text) from None
