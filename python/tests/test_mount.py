"""Finding the mount and the environment, in the kernel's table and on mounts of each kind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, List

import pytest
from accounts import ALICE, BOB, run_as

import keyfs as dt
from keyfs import mount as mounts
from keyfs.mount import MountPoint, mount_points
from keyfs.pytest_plugin import _mounted

TABLE = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /srv/with\040blank\011tab\134back\012line rw,nosuid shared:9 master:2 - fuse.keyfs keyfs rw
41 22 0:40 /prod /app/keys rw - fuse.keyfs keyfs rw
42 22 0:40 /prod/secrets/db/password /run/password rw - fuse.keyfs keyfs rw
43 22 0:41 / /gone rw - fuse.keyfs keyfs rw
44 22 0:42 / /gone rw - tmpfs tmpfs rw
45 22 0:43 / /other rw - fuse.sshfs host: rw
not a line
"""


def test_the_kernels_table_is_read() -> None:
    assert mount_points(TABLE) == [
        MountPoint(b"/", b"/srv/with blank\ttab\\back\nline"),
        MountPoint(b"/prod", b"/app/keys"),
        MountPoint(b"/prod/secrets/db/password", b"/run/password"),
    ]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> List[MountPoint]:
    """The mounts that the process is shown as its own, whatever else the machine has."""
    shown: List[MountPoint] = []
    monkeypatch.setattr(mounts, "mount_points", lambda: list(shown))
    monkeypatch.setattr(mounts, "DEFAULT", "/nowhere/keys")
    return shown


@pytest.fixture
def bound(keyfs_mount: Path, as_user: object) -> Iterator[Path]:
    """A bind mount of the environment prod, which takes root, in a place that all users reach."""
    with tempfile.TemporaryDirectory(prefix="keyfs-bound-") as name:
        Path(name).chmod(0o755)
        place = Path(name, "app keys")
        place.mkdir()
        subprocess.run(["mount", "--bind", str(keyfs_mount / "prod"), str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_one_mount_is_found(keyfs_mount: Path, alone: List[MountPoint], monkeypatch: pytest.MonkeyPatch) -> None:
    dt.kv.put("key", "v")
    monkeypatch.delenv("KEYFS_MOUNT")
    with pytest.raises(dt.NoMount, match="no keyfs is mounted; start one with `keyfs mount --create"):
        dt.kv.get("key")
    alone.append(MountPoint(b"/", os.fsencode(keyfs_mount)))
    assert dt.kv.get("key") == "v"


def test_without_a_mount_the_default_is_taken(
    keyfs_mount: Path, alone: List[MountPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEYFS_MOUNT")
    monkeypatch.setattr(mounts, "DEFAULT", str(keyfs_mount))
    assert mounts.find().path == os.fsencode(keyfs_mount)


def test_several_mounts_are_named(keyfs_mount: Path, alone: List[MountPoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYFS_MOUNT")
    with _mounted() as other:
        alone += [MountPoint(b"/", os.fsencode(path)) for path in (keyfs_mount, other)]
        with pytest.raises(dt.NoMount) as raised:
            dt.kv.ls()
        first, second = sorted(map(str, (keyfs_mount, other)))
        text = f"several keyfs are mounted: {first}, {second}; set KEYFS_MOUNT to the one that is meant"
        assert str(raised.value) == text
        monkeypatch.setenv("KEYFS_MOUNT", str(other))
        assert dt.kv.ls() == []


def test_what_is_no_mount_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYFS_MOUNT", str(tmp_path))
    with pytest.raises(
        OSError, match=f"no keyfs answers at {tmp_path}; start one with `keyfs mount --create {tmp_path}`"
    ):
        dt.kv.get("key")


def test_a_mount_that_moved_is_found_again(alone: List[MountPoint]) -> None:
    for value in ("one", "two"):
        with _mounted() as mount:
            alone[:] = [MountPoint(b"/", os.fsencode(mount))]
            dt.kv.put("key", value)
            assert dt.kv.get("key") == value
    with pytest.raises(dt.NoMount):
        dt.kv.get("key")


def test_a_bind_mount_of_an_environment_is_that_environment(
    bound: Path, keyfs_mount: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dt.kv.put("key", "of prod", environment="prod")
    monkeypatch.setenv("KEYFS_MOUNT", str(bound))
    monkeypatch.setenv("KEYFS_ENV", "dev")
    assert dt.kv.get("key") == dt.kv.get("key", environment="prod") == "of prod"
    assert dt.kv.environments() == ["prod"]
    with pytest.raises(dt.NoEnvironment, match="shows prod alone, not dev"):
        dt.kv.get("key", environment="dev")
    with pytest.raises(dt.KeyNotFound, match="no variable other in prod"):
        dt.kv.get("other")


def test_a_bind_mount_takes_all_but_what_needs_control_files(bound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYFS_MOUNT", str(bound))
    dt.kv.put("a/b", "one", groups="0:r", secure=True)
    dt.kv.put("a/b", "two", secure=True)
    assert dt.kv.get("a/b", secure=True) == "two"
    assert dt.kv.ls(secure=True) == ["a/b"]
    for call in (
        lambda: dt.kv.get("a/b", secure=True, version=1),
        lambda: dt.kv.history("a/b", secure=True),
        lambda: dt.kv.watch(),
    ):
        with pytest.raises(
            dt.OperationFailed, match="shows no .keyfs/.*, as a part of a mount doesn't; set KEYFS_MOUNT"
        ):
            call()
    dt.kv.rm("a/b", secure=True)
    assert dt.kv.ls(secure=True) == []


def test_a_put_on_a_bind_mount_is_whole_and_its_callers(
    bound: Path, as_user: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYFS_MOUNT", str(bound))
    run_as(ALICE, lambda: dt.kv.put("a/b", "one", secure=True, groups="ops:rw", if_version=0))
    with pytest.raises(dt.Conflict):
        run_as(ALICE, lambda: dt.kv.put("a/b", "two", secure=True, if_version=0))
    with pytest.raises(dt.OperationFailed, match="groups= and if_version= can't go together on a part of a mount"):
        run_as(ALICE, lambda: dt.kv.put("a/b", "two", secure=True, groups="ops:rw", if_version=1))
    with pytest.raises(dt.OperationFailed, match="the value is larger"):
        run_as(ALICE, lambda: dt.kv.put("a/c", b"x" * (2 << 20), secure=True))
    run_as(ALICE, lambda: dt.kv.put("a/b", "two", secure=True, groups="analysts:r"))
    assert run_as(BOB, lambda: dt.kv.get("a/b", secure=True)) == "two"
    assert dt.kv.permissions("a/b", secure=True) == ("alice", {"alice": "rw"}, {"analysts": "r"})
    assert os.listdir(bound / "secrets/a") == ["b"]


def test_a_subtree_is_that_environment(keyfs_mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dt.kv.put("key", "of pre", environment="pre")
    monkeypatch.setenv("KEYFS_MOUNT", str(keyfs_mount / "pre"))
    assert dt.kv.get("key") == "of pre"
    with pytest.raises(dt.NoEnvironment, match="shows pre alone"):
        dt.kv.get("key", environment="prod")


def test_a_mount_of_one_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with _mounted("--env", "prod") as mount:
        monkeypatch.setenv("KEYFS_MOUNT", str(mount))
        monkeypatch.setenv("KEYFS_ENV", "dev")
        dt.kv.put("key", "one")
        dt.kv.put("key", "two")
        assert (mount / "variables/key").read_text() == "two"
        assert dt.kv.get("key", version=1, environment="prod") == "one"
        assert dt.kv.environments() == ["prod"]
        with pytest.raises(dt.NoEnvironment, match="shows prod alone, not dev"):
            dt.kv.ls(environment="dev")


def test_a_copy_in_an_ordinary_directory_is_read(tmp_path: Path) -> None:
    for tree in ("variables", "secrets"):
        (tmp_path / tree).mkdir()
    (tmp_path / "variables/key").write_text("v\n")
    store = dt.Store(tmp_path)
    assert store.get("key") == store.get("key", environment="prod") == "v"
    with pytest.raises(dt.KeyNotFound, match="no variable other in this environment"):
        store.get("other")


def test_an_environment_that_is_closed_is_no_missing_mount(keyfs_mount: Path, as_user: object) -> None:
    for name in ("dev", "pre", "prod"):
        (keyfs_mount / name).chmod(0o750)
    with pytest.raises(dt.PermissionDenied, match="needs execute on the directory dev "):
        run_as(BOB, lambda: dt.kv.get("key"))
