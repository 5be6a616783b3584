"""Users and groups for the tests, which are nobody's on the machine.

What holds: the tests run in a mount namespace of their own, in which the lists of users and groups have a few lines
more. The machine's own lists are not touched, and what is mounted in there is gone with the last process.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Callable, List, NamedTuple, NoReturn, Tuple, TypeVar

Result = TypeVar("Result")

# Set in the namespace.
INSIDE = "KEYFS_TEST_ACCOUNTS"


class Account(NamedTuple):
    """A user, in the group of the same id and name and in others."""

    name: str
    id: int
    groups: Tuple[int, ...] = ()


PAYMENTS, OPS, ANALYSTS, USERS = 20101, 20102, 20103, 20104
GROUPS = {"payments": PAYMENTS, "ops": OPS, "analysts": ANALYSTS, "users": USERS}

ALICE = Account("alice", 20001, (PAYMENTS,))
BOB = Account("bob", 20002, (ANALYSTS,))
CAROL = Account("carol", 20003, (OPS, PAYMENTS))
DAVE = Account("dave", 20004)


def enter(arguments: List[str]) -> NoReturn:
    """Runs pytest with these arguments where the accounts are."""
    with tempfile.TemporaryDirectory(prefix="keyfs-accounts-") as name:
        _write(Path(name))
        script = 'for list in passwd group; do mount --bind "$0/$list" "/etc/$list" || exit; done; exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, name]
        command += [sys.executable, "-m", "pytest", *arguments]
        status = os.spawnvpe(os.P_WAIT, command[0], command, {**os.environ, INSIDE: "1"})
    os._exit(status)


def run_as(account: Account, action: Callable[[], Result], groups: Tuple[int, ...] = (-1,)) -> Result:
    """What a function gives or raises in a child process of this user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become(account, account.groups if groups == (-1,) else groups)
        _answer(writer, action)
    os.close(writer)
    with open(reader, "rb") as answer:
        raised, result = pickle.load(answer)
    os.waitpid(child, 0)
    if raised:
        raise result
    outcome: Result = result
    return outcome


def _become(account: Account, groups: Tuple[int, ...]) -> None:
    os.umask(0o022)
    os.setgroups(groups)
    os.setgid(account.id)
    os.setuid(account.id)


def _answer(writer: int, action: Callable[[], Result]) -> NoReturn:
    try:
        answer = pickle.dumps((False, action()))
    except BaseException as error:
        answer = pickle.dumps((True, error))
    with open(writer, "wb") as pipe:
        pipe.write(answer)
    os._exit(0)


def _write(directory: Path) -> None:
    directory.chmod(0o755)
    accounts = [ALICE, BOB, CAROL]
    users = [f"{account.name}:x:{account.id}:{account.id}::/:/bin/sh" for account in accounts]
    # dave is in the group of all users, and has none of his own.
    users.append(f"{DAVE.name}:x:{DAVE.id}:{USERS}::/:/bin/sh")
    groups = [f"{account.name}:x:{account.id}:" for account in accounts]
    for name, number in GROUPS.items():
        members = [account.name for account in accounts if number in account.groups]
        groups.append(f"{name}:x:{number}:{','.join(members)}")
    for name, lines in (("passwd", users), ("group", groups)):
        ours = {line.split(":")[0] for line in lines}
        others = [line for line in Path("/etc", name).read_text().splitlines() if line.split(":")[0] not in ours]
        (directory / name).write_text("\n".join([*others, *lines]) + "\n")
