"""The calls that people know from the platform, each as they write it, and the values that go through them."""

from __future__ import annotations

from pathlib import Path

import pytest

import keyfs as dt

pytestmark = pytest.mark.usefixtures("keyfs_mount")


def test_put_and_get_a_variable() -> None:
    dt.kv.put("config/threshold", "0.95")
    assert dt.kv.get("config/threshold") == "0.95"


def test_put_and_get_a_secret(keyfs_mount: Path) -> None:
    dt.kv.put("api/key", "sk-abc123", secure=True)
    assert dt.kv.get("api/key", secure=True) == "sk-abc123"
    assert (keyfs_mount / "dev/secrets/api/key").read_bytes() == b"sk-abc123"
    with pytest.raises(dt.KeyNotFound):
        dt.kv.get("api/key")


def test_ls_lists_whole_keys_in_byte_order() -> None:
    for key in ("b", "a/z", "a/b/c", "a-b", "a.b", "é", "A"):
        dt.kv.put(key, "v")
    dt.kv.put("api/key", "sk-abc123", secure=True)
    assert dt.kv.ls() == ["A", "a-b", "a.b", "a/b/c", "a/z", "b", "é"]
    assert dt.kv.ls(secure=True) == ["api/key"]


def test_rm_takes_empty_parents_away(keyfs_mount: Path) -> None:
    dt.kv.put("config/deep/old_key", "v")
    dt.kv.put("config/other", "v")
    dt.kv.rm("config/deep/old_key")
    assert dt.kv.ls() == ["config/other"]
    assert [path.name for path in (keyfs_mount / "dev/variables/config").iterdir()] == ["other"]
    dt.kv.rm("config/other")
    assert list((keyfs_mount / "dev/variables").iterdir()) == []


@pytest.mark.parametrize(
    ("prefix", "keys"),
    [
        ("", ["a/b/c", "a/bc", "ab", "b"]),
        ("a", ["a/b/c", "a/bc", "ab"]),
        ("a/", ["a/b/c", "a/bc"]),
        ("a/b", ["a/b/c", "a/bc"]),
        ("a/b/", ["a/b/c"]),
        ("a/b/c", ["a/b/c"]),
        ("a/b/c/", []),
        ("b", ["b"]),
        ("b/", []),
        ("x/y", []),
        ("../variables/", []),
        ("/", []),
        ("a//", []),
    ],
)
def test_ls_takes_a_prefix_of_the_text(prefix: str, keys: list[str]) -> None:
    for key in ("a/b/c", "a/bc", "ab", "b"):
        dt.kv.put(key, "v")
    assert dt.kv.ls(prefix) == keys


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\n",
        b"\n\n",
        b"a\nb\n",
        b"a\0b",
        b"\xff\xfe",
        "ü€😀".encode(),
        b"-n -s --",
        b"'\"`$(x)\\",
        b"x" * (1 << 20),
    ],
    ids=["empty", "newline", "newlines", "lines", "nul", "bytes", "utf-8", "dashes", "quotes", "1-mib"],
)
def test_bytes_round_trip(keyfs_mount: Path, value: bytes, secure: bool) -> None:
    dt.kv.put("some/key", b"before", secure=secure)
    for key in ("some/key", "new/key"):
        dt.kv.put(key, value, secure=secure)
        assert dt.kv.get_bytes(key, secure=secure) == value
        assert (keyfs_mount / "dev" / ("secrets" if secure else "variables") / key).read_bytes() == value


@pytest.mark.parametrize("text", ["", "v", " v ", "a\nb", "-v", "ü€😀", "a\0b", '"quoted"'])
def test_text_is_stored_exactly_and_reads_the_same(keyfs_mount: Path, text: str) -> None:
    dt.kv.put("key", text)
    assert dt.kv.get_bytes("key") == text.encode()
    assert dt.kv.get("key") == text
    # As `echo` writes it.
    (keyfs_mount / "dev/variables/key").write_bytes(text.encode() + b"\n")
    assert dt.kv.get("key") == text


def test_one_newline_at_the_end_is_taken_off() -> None:
    dt.kv.put("key", "v\n\n")
    assert dt.kv.get("key") == "v\n"
    assert dt.kv.get_bytes("key") == b"v\n\n"


def test_what_holds_bytes_can_be_put() -> None:
    dt.kv.put("key", bytearray(b"one"))
    assert dt.kv.get("key") == "one"
    dt.kv.put("key", memoryview(b"..two..")[2:5])
    assert dt.kv.get("key") == "two"


@pytest.mark.parametrize("value", [0.95, None, ["v"]])
def test_what_is_neither_text_nor_bytes_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="the value of key is to be text or bytes, not"):
        dt.kv.put("key", value)  # type: ignore[arg-type]


def test_environments_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    dt.kv.put("key", "of dev")
    dt.kv.put("key", "of prod", environment="prod")
    assert dt.kv.get("key", environment="dev") == "of dev"
    assert dt.kv.ls(environment="pre") == []
    monkeypatch.setenv("DATATAILR_JOB_ENVIRONMENT", "prod")
    assert dt.kv.get("key") == "of prod"
    monkeypatch.setenv("KEYFS_ENV", "dev")
    assert dt.kv.get("key") == "of dev"
    assert dt.kv.get("key", environment="prod") == "of prod"
    assert dt.Store(environment="prod").get("key") == "of prod"
    dt.kv.rm("key", environment="prod")
    assert dt.kv.ls() == ["key"]
    assert dt.kv.environments() == ["dev", "pre", "prod"]


def test_earlier_versions_are_read_by_number() -> None:
    for value in ("one", "two", "three"):
        dt.kv.put("key", value, secure=True)
    assert dt.kv.history("key", secure=True) == [1, 2, 3]
    assert dt.kv.get("key", secure=True, version=1) == "one"
    assert dt.kv.get_bytes("key", secure=True, version=2) == b"two"
    dt.kv.rm("key", secure=True)
    assert dt.kv.get("key", secure=True, version=3) == "three"


def test_a_default_is_for_a_missing_key_alone() -> None:
    assert dt.kv.get("key", default="none") == "none"
    assert dt.kv.get("key", default=None) is None
    dt.kv.put("key", "v")
    assert dt.kv.get("key", default="none") == "v"
    assert dt.kv.get("key", version=9, default="none") == "none"
    with pytest.raises(dt.NoEnvironment):
        dt.kv.get("key", environment="qa", default="none")


def test_a_version_is_insisted_on() -> None:
    dt.kv.put("key", "one", if_version=0)
    with pytest.raises(dt.Conflict):
        dt.kv.put("key", "two", if_version=0)
    dt.kv.put("key", "two", if_version=1)
    with pytest.raises(dt.Conflict, match="it is at version 2 now"):
        dt.kv.put("key", "three", if_version=1)
    assert dt.kv.get("key") == "two"
    with pytest.raises(dt.KeyNotFound):
        dt.kv.put("other", "v", if_version=1)


def test_the_longest_key_works(keyfs_mount: Path) -> None:
    key = "/".join(["d" * 254] * 16 + ["k" * 15])
    assert len(key) == 4095
    dt.kv.put(key, "deep", groups="0:r")
    dt.kv.put(key, "deeper")
    assert dt.kv.get(key) == "deeper"
    assert dt.kv.ls("d") == [key]
    assert dt.kv.permissions(key).groups == {"root": "r"}
    dt.kv.rm(key)
    assert list((keyfs_mount / "dev/variables").iterdir()) == []


def test_a_key_may_have_any_name() -> None:
    for key in ("-n", "a b", "ü/€", "..a", "a\nb", "{x}", "%s", "*"):
        dt.kv.put(key, key)
        assert dt.kv.get(key) == key
        assert dt.kv.ls(key) == [key]


def test_a_store_of_ones_own_has_its_mount(keyfs_mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYFS_MOUNT", "/nowhere")
    store = dt.Store(keyfs_mount, environment="pre")
    store.put("key", "v")
    assert (keyfs_mount / "pre/variables/key").read_text() == "v"
    assert store.place("key") == str(keyfs_mount / "pre/variables/key")


def test_a_view_is_a_mapping() -> None:
    dt.kv.put("app/host", "localhost\n")
    dt.kv.put("app/db/port", "5432")
    dt.kv.put("other", "v")
    view = dt.kv.view("app/")
    assert dict(view) == {"host": "localhost", "db/port": "5432"}
    assert len(view) == 2
    assert "host" in view and "other" not in view
    assert not view.__contains__(7)
    assert view.get("nothing", "default") == "default"
    with pytest.raises(KeyError):
        view["nothing"]
    dt.kv.put("app/host", "elsewhere")
    assert view["host"] == "elsewhere"
    assert "elsewhere" not in repr(view)
