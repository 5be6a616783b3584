"""Who may do what, by processes of several users: what is refused says what would be needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from accounts import ALICE, BOB, CAROL, DAVE, OPS, PAYMENTS, run_as
from conftest import AsUser

import keyfs as dt

pytestmark = pytest.mark.usefixtures("as_user")


def put(key: str = "db/password", value: str = "s3cret", **options: object) -> None:
    dt.kv.put(key, value, secure=True, **options)  # type: ignore[arg-type]


def get(key: str = "db/password") -> str:
    return dt.kv.get(key, secure=True)


def test_a_new_key_is_its_creators_alone(keyfs_mount: Path) -> None:
    run_as(ALICE, put)
    status = (keyfs_mount / "dev/secrets/db/password").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o600, ALICE.id, ALICE.id)
    assert run_as(ALICE, get) == "s3cret"
    for other in (BOB, CAROL):
        with pytest.raises(dt.PermissionDenied, match="can't read secret db/password in dev: no group is granted read"):
            run_as(other, get)
    with pytest.raises(dt.PermissionDenied, match="its owner alice can grant it to a group"):
        get()  # root, in no group of it


def test_a_variable_is_its_creators_alone_too() -> None:
    run_as(ALICE, lambda: dt.kv.put("key", "v"))
    with pytest.raises(dt.PermissionDenied, match="can't read variable key in dev: no group is granted read"):
        run_as(BOB, lambda: dt.kv.get("key"))


def test_groups_are_granted(keyfs_mount: Path) -> None:
    run_as(ALICE, lambda: put(groups="payments:r,ops:rw"))
    assert run_as(CAROL, get) == "s3cret"
    with pytest.raises(PermissionError) as raised:
        run_as(BOB, get)
    assert str(raised.value) == "can't read secret db/password in dev: needs read for one of: payments, ops"
    with pytest.raises(dt.PermissionDenied, match="can't put secret db/password in dev: needs write for one of: ops"):
        run_as(BOB, put)
    assert dt.kv.permissions("db/password", secure=True).groups == {"ops": "rw", "payments": "r"}


def test_groups_can_be_a_mapping() -> None:
    run_as(ALICE, lambda: put(groups={"analysts": "r"}))
    assert run_as(BOB, get) == "s3cret"


def test_a_key_that_is_there_keeps_its_permissions() -> None:
    run_as(ALICE, lambda: put(groups="ops:rw"))
    run_as(CAROL, lambda: put(value="changed"))
    assert run_as(ALICE, get) == run_as(CAROL, get) == "changed"
    assert dt.kv.permissions("db/password", secure=True) == ("alice", {"alice": "rw"}, {"ops": "rw"})


def test_groups_of_a_key_that_is_there_take_the_old_ones_place() -> None:
    run_as(ALICE, lambda: put(groups="ops:rw"))
    run_as(ALICE, lambda: put(value="changed", groups="analysts:r"))
    assert run_as(BOB, get) == "changed"
    with pytest.raises(dt.PermissionDenied, match="needs read for one of: analysts"):
        run_as(CAROL, get)
    assert dt.kv.history("db/password", secure=True) == [1, 2]


def test_groups_and_value_change_in_one_commit_and_nothing_else_does(keyfs_mount: Path) -> None:
    run_as(ALICE, lambda: dt.kv.put("key", "v", groups="ops:rw", users="bob:r"))
    before = commits(keyfs_mount)
    run_as(CAROL, lambda: dt.kv.put("key", "w", groups="ops:rw,analysts:r", if_version=1))
    assert commits(keyfs_mount) == before + 1
    assert dt.kv.permissions("key") == ("alice", {"alice": "rw", "bob": "r"}, {"analysts": "r", "ops": "rw"})
    with pytest.raises(dt.Conflict, match="it is at version 2 now"):
        run_as(CAROL, lambda: dt.kv.put("key", "x", groups="", if_version=1))
    assert dt.kv.get("key") == "w"


def test_a_new_key_is_one_commit_with_all_that_belongs_to_it(keyfs_mount: Path) -> None:
    before = commits(keyfs_mount)
    run_as(ALICE, lambda: put("a/b/c/key", groups="payments:r"))
    assert commits(keyfs_mount) == before + 1


def test_who_may_not_grant_is_told_who_may() -> None:
    run_as(ALICE, lambda: put(groups="analysts:w,ops:rw"))
    text = "needs read and write for one of: ops, or to be done by its owner alice"
    for call in (
        lambda: put(value="v", groups="analysts:rw"),
        lambda: dt.kv.set_permissions("db/password", groups="analysts:rw", secure=True),
    ):
        with pytest.raises(dt.PermissionDenied) as raised:
            run_as(BOB, call)
        assert str(raised.value) == f"can't change who may read and write secret db/password in dev: {text}"
    assert run_as(ALICE, get) == "s3cret"


def commits(mount: Path) -> int:
    """How many commits the daemon has made."""
    lines = (mount / ".keyfs/metrics").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("keyfs_commits_total "))


def test_who_may_write_and_not_read_stores_and_learns_nothing() -> None:
    run_as(ALICE, lambda: put(groups="analysts:w"))
    run_as(BOB, lambda: put(value="rotated"))
    with pytest.raises(dt.PermissionDenied, match="no group is granted read"):
        run_as(BOB, get)
    assert run_as(ALICE, get) == "rotated"


def test_an_editor_sets_groups_and_removes() -> None:
    run_as(ALICE, lambda: put(groups="ops:rw"))
    run_as(CAROL, lambda: dt.kv.set_permissions("db/password", groups="ops:rw,analysts:r", secure=True))
    assert run_as(BOB, get) == "s3cret"
    with pytest.raises(dt.PermissionDenied, match="or read and write on the key for one of: ops"):
        run_as(BOB, lambda: dt.kv.rm("db/password", secure=True))
    run_as(CAROL, lambda: dt.kv.rm("db/password", secure=True))
    assert dt.kv.ls(secure=True) == []


@pytest.mark.parametrize(("key", "owner"), [("key", "root"), ("db/key", "alice")])
def test_who_may_remove_is_said(key: str, owner: str) -> None:
    run_as(ALICE, lambda: put(key, groups="ops:rw"))
    with pytest.raises(dt.PermissionDenied) as raised:
        run_as(BOB, lambda: dt.kv.rm(key, secure=True))
    who = f"its owner alice or the directory's owner {owner}, or read and write on the key for one of: ops"
    assert str(raised.value) == f"can't remove secret {key} in dev: needs to be done by {who}"


@pytest.mark.parametrize("key", ["key", "deep/down/key"])
def test_nobody_removes_or_replaces_what_is_anothers(key: str) -> None:
    run_as(ALICE, lambda: put(key))
    for call in (
        lambda: dt.kv.rm(key, secure=True),
        lambda: put(key, "forged"),
        lambda: put(key, "forged", groups="analysts:rw"),
    ):
        with pytest.raises(dt.PermissionDenied):
            run_as(BOB, call)
    assert run_as(ALICE, lambda: get(key)) == "s3cret"
    assert dt.kv.ls(secure=True) == [key]


def test_everybody_adds_to_directories_that_put_made(keyfs_mount: Path) -> None:
    run_as(ALICE, lambda: put("db/one"))
    run_as(BOB, lambda: put("db/two"))
    assert dt.kv.ls(secure=True) == ["db/one", "db/two"]
    assert stat.S_IMODE((keyfs_mount / "dev/secrets/db").stat().st_mode) == 0o1777


def test_parents_have_their_parents_mode_and_group(keyfs_mount: Path) -> None:
    team = keyfs_mount / "dev/secrets/team"
    team.mkdir()
    os.chown(team, 0, PAYMENTS)
    team.chmod(0o770)
    run_as(ALICE, lambda: put("team/a/b/key"))
    for directory in (team / "a", team / "a/b"):
        status = directory.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o770, PAYMENTS)
    run_as(CAROL, lambda: put("team/a/b/other"))
    # Who can't give the group doesn't give its rights to another one.
    os.chown(team, 0, OPS)
    team.chmod(0o777)
    run_as(BOB, lambda: put("team/bob/key"))
    status = (team / "bob").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o1777, BOB.id)
    team.chmod(0o773)
    run_as(BOB, lambda: put("team/more/key"))
    assert stat.S_IMODE((team / "more").stat().st_mode) == 0o1733


def test_the_directory_in_the_way_is_named(keyfs_mount: Path) -> None:
    team = keyfs_mount / "dev/secrets/team"
    team.mkdir()
    os.chown(team, 0, PAYMENTS)
    team.chmod(0o750)
    facts = "the directory dev/secrets/team (owner root, group payments, mode 750)"
    for user, call, right in [
        (ALICE, lambda: put("team/new"), "write"),
        (BOB, lambda: put("team/new"), "execute"),
        (BOB, lambda: get("team/new"), "execute"),
        (BOB, lambda: put("team/deep/new"), "execute"),
    ]:
        with pytest.raises(dt.PermissionDenied) as raised:
            run_as(user, call)
        assert f"needs {right} on {facts}" in str(raised.value)
    team.chmod(0o700)
    with pytest.raises(
        dt.PermissionDenied, match="can.t list secrets in dev: needs read on the directory dev/secrets "
    ):
        (keyfs_mount / "dev/secrets").chmod(0o711)
        run_as(BOB, lambda: dt.kv.ls(secure=True))


def test_ls_leaves_out_what_may_not_be_listed(keyfs_mount: Path) -> None:
    run_as(ALICE, lambda: put("open/key"))
    run_as(ALICE, lambda: put("closed/key"))
    (keyfs_mount / "dev/secrets/closed").chmod(0o711)
    assert run_as(BOB, lambda: dt.kv.ls(secure=True)) == ["open/key"]
    with pytest.raises(dt.PermissionDenied, match="needs read on the directory dev/secrets/closed"):
        run_as(BOB, lambda: dt.kv.ls("closed/", secure=True))


def test_a_failed_put_leaves_nothing(keyfs_mount: Path) -> None:
    for call in (lambda: put("a/b/c", groups="nobodies:r"), lambda: put("a/b/c", "x" * (2 << 20))):
        with pytest.raises(dt.Error):
            run_as(ALICE, call)
        assert os.listdir(keyfs_mount / "dev/secrets") == []
        assert os.listdir(keyfs_mount / ".keyfs/transactions") == []


def test_an_earlier_version_stays_closed() -> None:
    run_as(ALICE, put)
    run_as(ALICE, lambda: put(value="new", groups="analysts:r"))
    assert run_as(BOB, get) == "new"
    with pytest.raises(dt.PermissionDenied):
        run_as(BOB, lambda: dt.kv.get("db/password", secure=True, version=1))
    assert run_as(ALICE, lambda: dt.kv.get("db/password", secure=True, version=1)) == "s3cret"


def test_a_view_tells_what_is_there_without_reading() -> None:
    run_as(ALICE, put)
    view = dt.kv.view("db/", secure=True)
    assert "password" in view and list(view) == ["password"]
    with pytest.raises(dt.PermissionDenied):
        view["password"]
    with pytest.raises(dt.PermissionDenied):
        dt.kv.get("db/password", secure=True, default="none")


def test_users_of_a_variable() -> None:
    run_as(ALICE, lambda: dt.kv.put("key", "v", users="bob:r,alice:r", groups="ops:rw"))
    assert run_as(BOB, lambda: dt.kv.get("key")) == "v"
    with pytest.raises(dt.PermissionDenied):
        run_as(BOB, lambda: dt.kv.put("key", "w"))
    assert dt.kv.permissions("key") == ("alice", {"alice": "rw", "bob": "r"}, {"ops": "rw"})
    run_as(ALICE, lambda: dt.kv.set_permissions("key", users="dave:rw"))
    assert dt.kv.permissions("key") == ("alice", {"alice": "rw", "dave": "rw"}, {"ops": "rw"})
    run_as(DAVE, lambda: dt.kv.put("key", "w"))
    run_as(CAROL, lambda: dt.kv.set_permissions("key", groups="analysts:r"))
    assert dt.kv.permissions("key") == ("alice", {"alice": "rw", "dave": "rw"}, {"analysts": "r"})
    run_as(ALICE, lambda: dt.kv.set_permissions("key", users="", groups=""))
    assert dt.kv.permissions("key") == ("alice", {"alice": "rw"}, {})


def test_users_of_a_secret_stand_for_their_own_group() -> None:
    run_as(ALICE, lambda: put(users="bob:r"))
    assert run_as(BOB, get) == "s3cret"
    assert dt.kv.permissions("db/password", secure=True).groups == {"bob": "r"}
    with pytest.raises(dt.InvalidGroups, match="dave has no group of their own"):
        run_as(ALICE, lambda: put("other", users="dave:r"))


def test_the_owner_is_shown_where_it_counts(keyfs_mount: Path) -> None:
    run_as(ALICE, put)
    os.chown(keyfs_mount / "dev/secrets/db/password", ALICE.id, OPS)
    assert dt.kv.permissions("db/password", secure=True).users == {"alice": "w"}
    os.chown(keyfs_mount / "dev/secrets/db/password", ALICE.id, PAYMENTS)
    assert dt.kv.permissions("db/password", secure=True).users == {"alice": "rw"}


def test_the_exception_comes_through_a_process(as_user: AsUser) -> None:
    run_as(ALICE, put)
    with pytest.raises(dt.PermissionDenied) as raised:
        as_user(BOB, get)
    assert raised.value.key == "db/password" and raised.value.environment == "dev"
