"""The fixtures for other people's tests, by a run of pytest inside this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfs.mount import mount_points

USE = """
    import os
    import keyfs as dt

    def test_one(keyfs_store, keyfs_mount):
        assert os.environ["KEYFS_MOUNT"] == str(keyfs_mount)
        keyfs_store.put("key", "v")
        assert dt.kv.get("key") == "v"
        open("mount", "w").write(str(keyfs_mount))

    def test_another(keyfs_store):
        assert dt.kv.ls() == []

    def test_that_fails(keyfs_store):
        open("failed", "w").write(os.environ["KEYFS_MOUNT"])
        assert False
"""


@pytest.fixture(autouse=True)
def _needs(keyfs_mount: Path) -> None:
    """Where this can't be mounted, neither can that."""


def test_each_test_has_a_store_of_its_own_that_goes_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USE)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2, failed=1)
    for name in ("mount", "failed"):
        mount = Path(pytester.path / name).read_text()
        assert mount and not Path(mount).exists()
        assert mount.encode() not in [point.path for point in mount_points()]


@pytest.mark.parametrize(
    ("binary", "path", "reason"),
    [
        ("", "/nowhere", "there is no program keyfs in PATH; set KEYFS_BINARY to where it is"),
        ("/nowhere/keyfs", "", "/nowhere/keyfs can't be run; set KEYFS_BINARY to the program keyfs"),
    ],
)
def test_what_is_missing_is_said(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, binary: str, path: str, reason: str
) -> None:
    pytester.makepyfile("def test_it(keyfs_store): pass")
    monkeypatch.setenv("KEYFS_BINARY", binary)
    if path:
        monkeypatch.setenv("PATH", path)
    monkeypatch.delenv("KEYFS_REQUIRE_MOUNT", raising=False)
    skipped = pytester.runpytest_inprocess("-rs")
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines([f"*{reason}*"])
    monkeypatch.setenv("KEYFS_REQUIRE_MOUNT", "1")
    failed = pytester.runpytest_inprocess()
    failed.assert_outcomes(errors=1)
    failed.stdout.fnmatch_lines([f"*KEYFS_REQUIRE_MOUNT is set, and {reason}*"])


def test_a_daemon_that_cant_start_is_a_failure_with_its_words(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = pytester.path / "keyfs"
    program.write_text("#!/bin/sh\necho 'keyfs: it is broken' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("KEYFS_BINARY", str(program))
    pytester.makepyfile("def test_it(keyfs_store): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the store for this test can't be mounted: keyfs: it is broken*"])
