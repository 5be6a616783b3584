"""Values as text.

What holds: the conversion's own errors, which have the value in them, never leave here, nor are they under way when
another is raised.

What is deliberately not here: other encodings than UTF-8. Bytes are for those.
"""

from __future__ import annotations

from typing import Optional


def decode(value: bytes) -> Optional[str]:
    """A value's text; ``None`` where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def encode(text: str) -> Optional[bytes]:
    """A text's bytes; ``None`` where UTF-8 can't have one of its characters."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def without_newline(text: str) -> str:
    """A text less one trailing newline, which ``echo`` and editors add."""
    return text[:-1] if text.endswith("\n") else text
