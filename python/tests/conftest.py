"""What the tests have in common: a mount of the program that was built here, and processes of several users.

As root, all tests run; otherwise those of several users are skipped with the reason, which is a failure where
KEYFS_REQUIRE_MOUNT is set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import accounts
import pytest

from keyfs import Store
from keyfs import mount as mounts

PROJECT = Path(__file__).parents[2]

pytest_plugins = ["pytester"]

AsUser = Callable[..., object]


def pytest_configure(config: pytest.Config) -> None:
    """Takes the tests to where their accounts are, and the program to where they find it."""
    built = PROJECT / "target" / "debug" / "keyfs"
    if built.exists():
        os.environ.setdefault("KEYFS_BINARY", str(built))
    if os.geteuid() == 0 and accounts.INSIDE not in os.environ:
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.stop_global_capturing()
        os.chdir(config.invocation_params.dir)
        accounts.enter([str(argument) for argument in config.invocation_params.args])


@pytest.fixture
def as_user(keyfs_store: Store) -> AsUser:
    """Runs a function as another user, on a fresh mount."""
    if accounts.INSIDE not in os.environ:
        reason = "processes of several users take root"
        if os.environ.get("KEYFS_REQUIRE_MOUNT"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return accounts.run_as


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of who runs it."""
    for name in ("KEYFS_MOUNT", "KEYFS_ENV", "DATATAILR_JOB_ENVIRONMENT", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    mounts.forget()
