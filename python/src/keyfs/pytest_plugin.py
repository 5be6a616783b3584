"""Fixtures for pytest: a throw-away store for each test that asks for one.

``keyfs_store`` is a ``Store`` on a mount of its own; while the test runs, ``KEYFS_MOUNT`` leads there, so ``keyfs.kv``
and what the test starts use it too. ``keyfs_mount`` is the mount's path alone. The program is ``keyfs``, from
``KEYFS_BINARY`` or ``PATH``; where it or ``/dev/fuse`` is missing the test is skipped with the reason, or with
``KEYFS_REQUIRE_MOUNT`` set fails.

What holds: the daemon has ended and the mount is gone when the test is over, also when it failed. The machine's own
mounts and stores are never touched.

What is deliberately not here: other users. A test runs as who runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Tuple

import pytest

from . import mount as mounts
from .mount import mount_points
from .store import Store

# What would lead code under test to somewhere else.
_VARIABLES = ("KEYFS_ENV", "DATATAILR_JOB_ENVIRONMENT", "CREDENTIALS_DIRECTORY")
_PATIENCE = 30.0


@pytest.fixture
def keyfs_mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of a fresh mount with the environments dev, pre and prod."""
    missing = _missing()
    if missing is not None:
        if os.environ.get("KEYFS_REQUIRE_MOUNT"):
            pytest.fail(f"KEYFS_REQUIRE_MOUNT is set, and {missing}", pytrace=False)
        pytest.skip(missing)
    with _mounted() as mount:
        monkeypatch.setenv("KEYFS_MOUNT", str(mount))
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
        mounts.forget()
        yield mount
    mounts.forget()


@pytest.fixture
def keyfs_store(keyfs_mount: Path) -> Store:
    """A store on a fresh mount."""
    return Store(keyfs_mount)


@contextmanager
def _mounted(*options: str) -> Iterator[Path]:
    """A store in a directory of its own, which goes with it; ``options`` are further ones of ``keyfs mount``."""
    # pytest's own directories are closed to the processes of other users, and stay after the test.
    with tempfile.TemporaryDirectory(prefix="keyfs-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with _served(directory, options) as mount:
            yield mount


@contextmanager
def _served(directory: Path, options: Tuple[str, ...]) -> Iterator[Path]:
    """A daemon of our own, in the foreground, so that it is ended by its process."""
    mount = directory / "keys"
    command = [
        _binary() or "keyfs",
        "mount",
        "--create",
        "--store",
        str(directory / "store.redb"),
        "--identity",
        str(directory / "identity"),
    ]
    log = directory / "daemon.log"
    with log.open("wb") as errors:
        daemon = subprocess.Popen(
            [*command, *options, str(mount)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        if not _answers(daemon):
            pytest.fail(
                f"the store for this test can't be mounted: {log.read_text(errors='replace').strip()}", pytrace=False
            )
        yield mount
    finally:
        _end(daemon, mount)


def _answers(daemon: subprocess.Popen[bytes]) -> bool:
    """Waits until the mount is there, which the daemon says; or until it has ended."""
    return daemon.stdout is not None and any(line.startswith(b"keyfs: mounted ") for line in daemon.stdout)


def _end(daemon: subprocess.Popen[bytes], mount: Path) -> None:
    daemon.terminate()
    try:
        daemon.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    if daemon.stdout is not None:
        daemon.stdout.close()
    # It unmounts as it ends. What a killed one leaves, or one whose files are still open, is taken away all the same.
    if any(os.fsdecode(point.path) == str(mount.resolve()) for point in mount_points()):
        command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
        subprocess.run([*command, str(mount)], check=False, stderr=subprocess.DEVNULL)


def _binary() -> Optional[str]:
    return os.environ.get("KEYFS_BINARY") or shutil.which("keyfs")


def _missing() -> Optional[str]:
    """What the machine lacks for a mount."""
    binary = _binary()
    if binary is None:
        return "there is no program keyfs in PATH; set KEYFS_BINARY to where it is"
    if not os.access(binary, os.X_OK):
        return f"{binary} can't be run; set KEYFS_BINARY to the program keyfs"
    if os.path.exists("/dev/fuse") and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is closed to this user; open it, as udev does, or run as root"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse; `modprobe fuse`, or give it to the container"
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        return "there is no program fusermount3, by which a user mounts; install the package fuse3"
    return None
