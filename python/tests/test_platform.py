"""Code for the datatailr package, as its documentation writes it, with the one line changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from accounts import ALICE, BOB, CAROL, OPS, run_as

import keyfs as dt

pytestmark = pytest.mark.usefixtures("as_user")

READ, WRITE = dt.Permission.READ, dt.Permission.WRITE


def test_put_get_ls_and_delete() -> None:
    kv = dt.KV()
    kv.put("db_url", "postgresql://user@host:5432/dbname")
    assert kv.get("db_url") == "postgresql://user@host:5432/dbname"
    assert [entry["key"] for entry in kv.ls()] == ["db_url"]
    assert kv.ls()[0]["acl"] == dt.ACL({READ: dt.User.get("root"), WRITE: dt.User.get("root")})
    kv.delete("db_url")
    assert kv.ls() == []
    with pytest.raises(dt.KeyNotFound):
        kv.get("db_url")


def test_an_acl_comes_with_the_value() -> None:
    acl = dt.ACL({READ: [dt.User.get("bob"), dt.Group.get("ops")], WRITE: [dt.Group.get("ops")]})
    run_as(ALICE, lambda: dt.KV().put("db_url", "v", acl))
    assert run_as(BOB, lambda: dt.KV().get("db_url")) == "v"
    run_as(CAROL, lambda: dt.KV().put("db_url", "w"))
    with pytest.raises(dt.PermissionDenied):
        run_as(BOB, lambda: dt.KV().put("db_url", "x"))
    assert dt.KV().acls("db_url").to_dict() == {"read": [ALICE.id, BOB.id, -OPS], "write": [ALICE.id, -OPS]}


def test_acls_are_added_and_set() -> None:
    run_as(ALICE, lambda: dt.Secrets().put("token", "v", dt.ACL({READ: dt.Group.get("ops")})))
    run_as(
        ALICE,
        lambda: dt.Secrets().add_acl("token", dt.ACL({READ: dt.Group.get("analysts"), WRITE: dt.Group.get("ops")})),
    )
    assert run_as(BOB, lambda: dt.Secrets().get("token")) == "v"
    run_as(CAROL, lambda: dt.Secrets().put("token", "w"))
    run_as(ALICE, lambda: dt.Secrets().set_acls("token", dt.ACL({READ: [dt.Group.get("analysts")]})))
    assert run_as(BOB, lambda: dt.Secrets().get("token")) == "w"
    with pytest.raises(dt.PermissionDenied, match="needs read for one of: analysts"):
        run_as(CAROL, lambda: dt.Secrets().get("token"))
    assert [entry["key"] for entry in dt.Secrets().ls()] == ["token"]
    assert dt.KV().ls() == []


def test_an_acl_of_nothing_is_the_users_own() -> None:
    acl = run_as(ALICE, lambda: dt.ACL().to_dict())
    assert acl == {str(permission): [ALICE.id] for permission in dt.Permission}
    run_as(ALICE, lambda: dt.Secrets().put("token", "v", dt.ACL()))
    with pytest.raises(dt.PermissionDenied):
        run_as(BOB, lambda: dt.Secrets().get("token"))


def test_an_acl_is_written_and_read_by_ids() -> None:
    acl = dt.ACL({READ: [dt.User.get("alice"), dt.Group.get("ops")], WRITE: dt.User.get("bob")})
    assert json.loads(acl.to_json()) == {"read": [ALICE.id, -OPS], "write": [BOB.id]}
    assert dt.ACL.from_dict(acl.to_dict()) == acl
    assert dt.ACL.from_dict({"read": [4_000_000]}).to_dict() == {"read": [4_000_000]}
    assert acl != dt.ACL({READ: [dt.User.get("alice")]})
    assert "alice" in repr(acl)
    with pytest.raises(TypeError, match="an ACL is of users and groups, not of str"):
        dt.ACL({READ: "alice"})  # type: ignore[dict-item]


def test_users_and_groups_are_the_machines() -> None:
    alice = dt.User.get("alice")
    assert (alice.name, alice.user_id, alice.groups) == ("alice", ALICE.id, ["alice", "payments"])
    assert dt.User.get(ALICE.id) == alice and dt.User(id=ALICE.id) == alice
    ops = dt.Group.get("ops")
    assert (ops.name, ops.group_id, ops.members) == ("ops", OPS, [CAROL.id])
    assert dt.Group.get(OPS) == ops and ops.is_member(CAROL.id) and not ops.is_member(alice)
    assert alice in dt.User.ls() and ops in dt.Group.ls()
    assert dt.User.exists("alice") and not dt.User.exists("nobody9")
    assert dt.Group.exists("ops") and not dt.Group.exists("nobodies")
    assert run_as(BOB, lambda: dt.User.signed_user().name) == "bob"
    for call in (lambda: dt.User.get("nobody9"), lambda: dt.Group.get("nobodies"), dt.User, dt.Group):
        with pytest.raises(ValueError):
            call()


def test_a_secret_is_put_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    secrets = dt.Secrets()
    secrets.put("db/password", "s3cret")
    assert secrets.set_env("db/password") == "DB_PASSWORD"
    assert os.environ["DB_PASSWORD"] == "s3cret"
    secrets.put("db/password", "new")
    secrets.set_env("db/password")
    assert os.environ["DB_PASSWORD"] == "s3cret"
    assert secrets.set_env("db/password", "OTHER", overwrite=True) == "OTHER"
    monkeypatch.delenv("OTHER")
    with pytest.raises(ValueError):
        secrets.set_env("db/password", "A=B")


def test_the_environment_is_the_jobs(keyfs_mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dt.get_dt_env() is dt.Environment.DEV
    monkeypatch.setenv("DATATAILR_JOB_ENVIRONMENT", "prod")
    assert dt.get_dt_env() is dt.Environment.PROD and str(dt.get_dt_env()) == "prod"
    dt.KV().put("key", "v")
    assert (keyfs_mount / "prod/variables/key").read_text() == "v"
    assert dt.kv.get("key", environment=dt.Environment.PROD) == "v"
    assert dt.kv.ls(environment=dt.Environment.DEV) == []
