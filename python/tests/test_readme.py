"""The README's examples, run as they stand, each on a mount of its own."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import keyfs

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"))
def test_programs(as_user: object, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    names: dict[str, object] = {}
    for line, value in re.findall(r"^(\S.*?)(?: +# (['\[].*))?$", block, re.MULTILINE):
        if value and "…" not in value and "id" not in value:
            assert repr(eval(line, names)) == value, line
        else:
            exec(line, names)
    monkeypatch.delenv("DB_PASSWORD", raising=False)


def test_sessions(as_user: object) -> None:
    """All in one, since a later one builds on those before it."""
    sessions = blocks("pycon")
    assert len(sessions) >= 5
    parser = doctest.DocTestParser()
    test = parser.get_doctest("\n".join(sessions), {"dt": keyfs}, "README", str(README), 0)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)


def test_each_call_is_in_the_table() -> None:
    text = README.read_text()
    for name in (name for name in vars(keyfs.Store) if not name.startswith("_")):
        assert re.search(rf"`{name}\(", text), f"the README doesn't say what {name} does"
    for name in keyfs.__all__:
        if isinstance(getattr(keyfs, name), type) and issubclass(getattr(keyfs, name), keyfs.Error):
            assert f"`{name}`" in text, f"the README doesn't say when {name} is raised"
