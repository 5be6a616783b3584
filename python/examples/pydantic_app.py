"""Settings by pydantic-settings, read from keyfs: variables, secrets, and one key of another name.

dt kv put app/db/host db.example.com
dt kv put -s app/db/password                    (and type it)
dt kv put -s shared/api_key
python examples/pydantic_app.py
"""

from __future__ import annotations

from typing import List, Tuple, Type

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import Annotated

from keyfs.pydantic_source import Key, KeyfsSettingsSource


class Database(BaseModel):
    host: str = "localhost"  # the variable app/db/host
    port: int = 5432
    password: SecretStr  # the secret app/db/password


class Settings(BaseSettings):
    # A value that doesn't fit is not to be in the error.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    db: Database
    workers: int = 4
    features: List[str] = []  # as JSON: ["search", "export"]
    api_key: Annotated[SecretStr, Key("shared/api_key", absolute=True)]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: Type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> Tuple[PydanticBaseSettingsSource, ...]:
        # What is given in the code comes first, keyfs after it, and environment variables last.
        return init_settings, KeyfsSettingsSource(settings_cls, prefix="app/"), env_settings


if __name__ == "__main__":
    settings = Settings()  # type: ignore[call-arg]
    print(f"{settings.db.host}:{settings.db.port}, {settings.workers} workers, password {settings.db.password}")
