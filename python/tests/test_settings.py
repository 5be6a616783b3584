"""Settings of frameworks from keys, and credentials of a service manager: the examples, run on a mount."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Optional

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings
from typing_extensions import Annotated

import keyfs as dt
from keyfs.pydantic_source import Key, KeyfsSettingsSource

EXAMPLES = Path(__file__).parents[1] / "examples"

SECRET = "s3cret-value"


def example(name: str) -> ModuleType:
    """An example, run as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # pydantic looks a model's module up to resolve its annotations.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, name, module)
        spec.loader.exec_module(module)
    return module


def load(kind: type[BaseSettings], store: dt.Store, prefix: str = "") -> dict[str, object]:
    """What the source gives for a class of settings."""
    return KeyfsSettingsSource(kind, prefix, store=store)()


def test_djangos_settings(keyfs_store: dt.Store) -> None:
    from django.conf import LazySettings
    from django.utils.functional import empty

    keyfs_store.put("django/secret_key", SECRET, secure=True)
    keyfs_store.put("django/allowed_hosts", "example.com,www.example.com")
    keyfs_store.put("django/db_password", "of the database", secure=True)
    settings = LazySettings()
    assert settings._wrapped is empty
    settings.configure(default_settings=example("django_settings"))
    assert settings.SECRET_KEY == SECRET
    assert settings.ALLOWED_HOSTS == ["example.com", "www.example.com"]
    assert settings.DEBUG is False
    assert settings.DATABASES["default"]["PASSWORD"] == "of the database"
    assert settings.DATABASES["default"]["HOST"] == "localhost"


def test_flasks_configuration(keyfs_store: dt.Store) -> None:
    keyfs_store.put("flask/GREETING", "hello\n")
    keyfs_store.put("flask/secret_key", SECRET, secure=True)
    app = example("flask_app").create_app()
    assert app.config["GREETING"] == "hello"
    assert app.config["SECRET_KEY"] == SECRET
    keyfs_store.put("flask/GREETING", "changed")
    assert app.test_client().get("/").text == "changed"


def test_pydantics_settings(keyfs_store: dt.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keyfs_store.put("app/db/host", "db.example.com")
    keyfs_store.put("app/db/password", SECRET, secure=True)
    keyfs_store.put("shared/api_key", "of the api", secure=True)
    keyfs_store.put("app/features", '["search"]')
    monkeypatch.setenv("WORKERS", "8")
    settings = example("pydantic_app").Settings()
    assert (settings.db.host, settings.db.port, settings.workers) == ("db.example.com", 5432, 8)
    assert settings.db.password.get_secret_value() == SECRET
    assert settings.api_key.get_secret_value() == "of the api"
    assert settings.features == ["search"]
    assert SECRET not in repr(settings)


class Plain(BaseSettings):
    host: str = "default"
    port: Optional[int] = None
    token: Optional[SecretStr] = None
    blob: bytes = b""
    key: SecretBytes = SecretBytes(b"")
    renamed: Annotated[str, Key("another/name", secure=True)] = ""


def test_fields_are_keys_by_their_names_and_types(keyfs_store: dt.Store) -> None:
    assert load(Plain, keyfs_store) == {}
    keyfs_store.put("x/host", "h\n")
    keyfs_store.put("x/port", "1")
    keyfs_store.put("x/token", SECRET, secure=True)
    keyfs_store.put("x/blob", b"\xff\n")
    keyfs_store.put("x/key", b"\xfe\n", secure=True)
    keyfs_store.put("x/another/name", "r", secure=True)
    found = load(Plain, keyfs_store, "x/")
    assert found == {"host": "h", "port": "1", "token": SECRET, "blob": b"\xff\n", "key": b"\xfe\n", "renamed": "r"}


def test_what_may_not_be_read_is_no_default(as_user: object, keyfs_store: dt.Store) -> None:
    from accounts import ALICE, BOB, run_as

    run_as(ALICE, lambda: keyfs_store.put("token", SECRET, secure=True))
    with pytest.raises(dt.PermissionDenied):
        run_as(BOB, lambda: load(Plain, keyfs_store))


class Nested(BaseModel):
    hosts: list[str]
    token: SecretStr


class Outer(BaseSettings):
    inner: Optional[Nested] = None
    numbers: Optional[list[int]] = None


def test_a_nested_model_is_a_directory(keyfs_store: dt.Store) -> None:
    assert load(Outer, keyfs_store) == {}
    keyfs_store.put("inner/hosts", '["a", "b"]')
    keyfs_store.put("inner/token", SECRET, secure=True)
    assert load(Outer, keyfs_store) == {"inner": {"hosts": ["a", "b"], "token": SECRET}}


def test_what_isnt_json_is_said_without_the_value(keyfs_store: dt.Store) -> None:
    keyfs_store.put("numbers", SECRET)
    with pytest.raises(dt.NotText, match="variable numbers is not the JSON that the field numbers takes") as raised:
        load(Outer, keyfs_store)
    assert raised.value.__context__ is None and SECRET not in str(raised.value)


def test_a_value_that_doesnt_fit_is_not_in_the_error(keyfs_store: dt.Store) -> None:
    keyfs_store.put("app/db/port", SECRET)
    keyfs_store.put("app/db/password", SECRET, secure=True)
    keyfs_store.put("shared/api_key", "k", secure=True)
    with pytest.raises(ValidationError) as raised:
        example("pydantic_app").Settings()
    assert "db.port" in str(raised.value) and SECRET not in str(raised.value)


def test_a_units_credential_comes_first(keyfs_store: dt.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyfs_store.put("db/password", "of the mount\n", secure=True)
    keyfs_store.put("db_password", "of the same name", secure=True)
    assert dt.credential("db_password", "db/password") == "of the mount"
    assert dt.credential("db_password") == "of the same name"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert dt.credential("db_password", "db/password") == "of the mount"
    (tmp_path / "db_password").write_text("of the unit\n")
    assert dt.credential("db_password", "db/password") == "of the unit"
    # A secret's key is no path in the unit's directory.
    assert dt.credential("db/password") == "of the mount"
    for name in ("..", "../db_password", "nothing"):
        with pytest.raises(dt.Error):
            dt.credential(name)
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(dt.NotText, match="the credential binary in .* is not UTF-8 text"):
        dt.credential("binary")


def test_a_credential_without_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("KEYFS_MOUNT", "/nowhere")
    (tmp_path / "token").write_text("v")
    assert dt.credential("token") == "v"
