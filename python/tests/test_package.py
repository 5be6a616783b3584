"""The package as it is built and installed: types, what it brings, and what its modules say of themselves."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[1]
SOURCES = sorted((PYTHON / "src/keyfs").glob("*.py"))


def run(*arguments: str) -> str:
    result = subprocess.run(arguments, cwd=PYTHON, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_types_are_right() -> None:
    assert "Success" in run(sys.executable, "-m", "mypy", "--strict")
    assert "Success" in run(sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "src")


def test_the_style_is_one() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_wheel_and_sdist_have_what_belongs_there(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path))
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    files = zipfile.ZipFile(wheel).namelist()
    modules = {f"keyfs/{path.name}" for path in SOURCES} | {"keyfs/py.typed"}
    assert modules <= set(files)
    information = {name.split("/", 1)[1] for name in files if ".dist-info/" in name}
    assert set(files) - modules == {name for name in files if ".dist-info/" in name}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= information
    (metadata,) = [zipfile.ZipFile(wheel).read(name).decode() for name in files if name.endswith("METADATA")]
    assert "Requires-Dist: pydantic-settings" in metadata and "extra == 'pydantic'" in metadata
    assert all("extra ==" in line for line in metadata.splitlines() if line.startswith("Requires-Dist"))
    assert "License-Expression: Apache-2.0" in metadata
    packed = {name.split("/", 1)[-1] for name in tarfile.open(sdist).getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/keyfs/store.py", "tests/conftest.py"} <= packed


def test_it_takes_nothing_but_pythons_own_library() -> None:
    program = "import sys, keyfs; print(*sorted(name.split('.')[0] for name in sys.modules))"
    loaded = set(
        run(sys.executable, "-S", "-c", f"sys=__import__('sys'); sys.path.insert(0, 'src'); {program}").split()
    )
    assert {"keyfs", "os"} <= loaded
    assert loaded - {"keyfs"} <= set(sys.stdlib_module_names) | {"__main__"}
    assert "subprocess" not in loaded


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_each_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    header = " ".join(text.split('"""')[1].split())
    assert text.startswith('"""')
    assert "What holds:" in header or path.name == "errors.py"
    assert "What is deliberately not here:" in header
    assert len(text.splitlines()) <= 320, f"{path.name} is long"
