"""Keys as a mapping: what takes a ``Mapping``, such as a framework's configuration, takes a tree of keys.

What holds: each look asks the mount. Keys stand without the prefix; values are as ``get`` gives them. Showing a view
shows no value.

What is deliberately not here: writing. ``clear()`` and ``update()`` are too easily called on what a whole team uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, Optional

if TYPE_CHECKING:
    from .store import Store


class View(Mapping[str, str]):
    """The keys that begin with a prefix, by what stands behind it."""

    def __init__(self, store: Store, prefix: str = "", secure: bool = False, environment: Optional[str] = None) -> None:
        self._store = store
        self._prefix = prefix
        self._secure = secure
        self._environment = environment

    def __getitem__(self, key: str) -> str:
        return self._store.get(self._prefix + key, secure=self._secure, environment=self._environment)

    def __contains__(self, key: object) -> bool:
        # Without reading: a secret that the process may not read is there all the same.
        return isinstance(key, str) and self._store.exists(
            self._prefix + key, secure=self._secure, environment=self._environment
        )

    def __iter__(self) -> Iterator[str]:
        keys = self._store.ls(self._prefix, secure=self._secure, environment=self._environment)
        return (key[len(self._prefix) :] for key in keys)

    def __len__(self) -> int:
        return len(self._store.ls(self._prefix, secure=self._secure, environment=self._environment))

    def __repr__(self) -> str:
        return f"<keyfs {'secrets' if self._secure else 'variables'} {self._prefix}*>"
