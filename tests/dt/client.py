"""What the platform's client does with `dt`: `client.py DT PART`."""

import os
import subprocess
import sys

import datatailr.wrapper

datatailr.wrapper.CLI_TOOL = sys.argv[1]

from datatailr import ACL, KV, Group, Permission, Secrets, User  # noqa: E402

kv, secrets = KV(), Secrets()
READ, WRITE = Permission.READ, Permission.WRITE


def dt(*arguments):
    subprocess.run([sys.argv[1], *arguments], check=True, capture_output=True)


def refused(function, *words):
    try:
        function()
    except RuntimeError as error:
        assert all(word in str(error) for word in words), str(error)
        assert "s3cret" not in str(error), str(error)
        return
    raise AssertionError("it was not refused")


def everything():
    # Values come back as the texts that they were, whatever they look like.
    for value in ["0.95", "true", "null", '{"a": 1}', "two words", "it's", 'say "hi"', "ключ", "a=b;c", "line\nline"]:
        kv.put("config/value", value)
        assert kv.get("config/value") == value, (value, kv.get("config/value"))
    kv.put("db_url", "postgresql://user:password@host:5432/dbname")
    assert sorted(item["key"] for item in kv.ls()) == ["config/value", "db_url"]
    assert all(isinstance(item["acl"], ACL) for item in kv.ls())

    # Who may use a key: given with it, added, replaced.
    given = ACL({READ: [User.get("bob"), Group.get("payments")], WRITE: [User.get("bob")]})
    kv.put("shared", "x", given)
    me = [] if os.geteuid() == 0 else [User.get("alice")]
    assert kv.acls("shared") == ACL({READ: me + given.permissions[READ], WRITE: me + given.permissions[WRITE]})
    kv.add_acl("shared", ACL({WRITE: [Group.get("payments")], READ: [Group.get("ops")]}))
    added = kv.acls("shared")
    assert {str(entity) for entity in added.permissions[WRITE]} >= {str(Group.get("payments")), str(User.get("bob"))}
    assert str(Group.get("ops")) in [str(entity) for entity in added.permissions[READ]]
    kv.set_acls("shared", ACL({READ: [Group.get("analysts")]}))
    assert kv.acls("shared") == ACL({READ: me + [Group.get("analysts")], WRITE: me})
    assert [item["acl"] for item in kv.ls() if item["key"] == "shared"] == [kv.acls("shared")]

    # Secrets are made elsewhere, and read by the client.
    dt("kv", "put", "-s", "db/password", "s3cret", "-g", "payments:r")
    assert [item["key"] for item in secrets.ls()] == ["db/password"]
    assert Group.get("payments") in secrets.ls()[0]["acl"].permissions[READ]
    assert secrets.get("db/password") == "s3cret"
    assert secrets.set_env("db/password", overwrite=True) == "DB_PASSWORD"
    assert os.environ["DB_PASSWORD"] == "s3cret"

    # Each environment has its own.
    os.environ["DATATAILR_JOB_ENVIRONMENT"] = "prod"
    assert kv.ls() == [] and secrets.ls() == []
    kv.put("db_url", "in production")
    assert kv.get("db_url") == "in production"
    os.environ["DATATAILR_JOB_ENVIRONMENT"] = "dev"
    assert kv.get("db_url") == "postgresql://user:password@host:5432/dbname"

    # What is gone is gone, and said to be.
    kv.delete("db_url")
    for function in (kv.get, kv.delete, kv.acls, secrets.get):
        refused(lambda: function("db_url"), "no ", "db_url in dev")
    refused(lambda: kv.set_acls("db_url", given), "db_url")
    assert User.get("alice").groups[0] == "alice" and User.exists("alice") and not User.exists("nobodies")
    assert User.get("alice").user_id in Group.get("payments").members
    assert ACL().permissions[READ] == [User.signed_user()]


def store():
    kv.put("mine", "x")
    kv.put("shared", "for payments", ACL({READ: [Group.get("payments")]}))
    dt("kv", "put", "-s", "db/password", "s3cret", "-g", "payments:r")


def refused_to_others():
    assert [item["key"] for item in kv.ls()] == ["mine", "shared"]
    assert [item["key"] for item in secrets.ls()] == ["db/password"]
    refused(lambda: kv.get("mine"), "not permitted to read variable mine in dev")
    refused(lambda: secrets.get("db/password"), "needs read for one of: payments")
    refused(lambda: kv.put("mine", "y"), "not permitted to store")
    refused(lambda: kv.delete("mine"), "not permitted to remove")
    refused(lambda: kv.set_acls("mine", ACL({READ: [User.get("bob")]})), "not permitted to change")


def granted():
    assert kv.get("shared") == "for payments" and secrets.get("db/password") == "s3cret"
    refused(lambda: kv.put("shared", "y"), "not permitted to store")


def kept():
    assert kv.get("mine") == "x" and kv.get("shared") == "for payments"


PARTS = {"everything": everything, "store": store, "refused": refused_to_others, "granted": granted, "kept": kept}
PARTS[sys.argv[2]]()
print(f"{sys.argv[2]}: done")
