"""A settings source for pydantic-settings: fields are read from keys.

A field's key is its name, or its alias, below the source's prefix; a field that is a model has its own fields' keys
below it, ``db/host``. Fields of ``SecretStr`` and ``SecretBytes`` are secrets, others are variables. ``Annotated[str,
Key("db/password", secure=True)]`` says otherwise.

What holds: a key that isn't there leaves the field to the other sources and its default. One that the process may not
read is an error.

What is deliberately not here: watching. Settings are what they were when they were made; make them anew to read anew.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple, Type, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from .errors import KeyNotFound, NotText
from .store import Store


class Key(NamedTuple):
    """Says of a field which key it is read from."""

    name: str
    secure: Optional[bool] = None
    """Whether it is a secret; ``None`` where the field's type says so."""
    absolute: bool = False
    """Whether the name is a whole key, without the prefix."""


class KeyfsSettingsSource(PydanticBaseSettingsSource):
    """Reads a settings class's fields from the keys that begin with ``prefix``, such as ``app/``."""

    def __init__(
        self,
        settings_cls: Type[BaseSettings],
        prefix: str = "",
        environment: Optional[str] = None,
        store: Optional[Store] = None,
    ) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix
        self._environment = environment
        self._store = store or Store()

    def get_field_value(self, field: FieldInfo, field_name: str) -> Tuple[Any, str, bool]:
        """The value of one field, ``None`` where there is no key; the name that the settings take it by; that it needs
        no decoding."""
        return self._value(field, self._prefix, field_name), _alias(field, field_name), False

    def __call__(self) -> Dict[str, Any]:
        """The values of the fields that there are keys of."""
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {name: value for value, name, _ in found if value is not None}

    def _value(self, field: FieldInfo, prefix: str, field_name: str) -> Any:
        key = next((item for item in field.metadata if isinstance(item, Key)), None)
        model = _model(field.annotation)
        if model is not None and key is None:
            return self._below(model, f"{prefix}{_alias(field, field_name)}/")
        secure = _mentions(field.annotation, (SecretStr, SecretBytes))
        if key is not None and key.secure is not None:
            secure = key.secure
        name = prefix + _alias(field, field_name)
        if key is not None:
            name = key.name if key.absolute else prefix + key.name
        try:
            if _mentions(field.annotation, (bytes, SecretBytes)):
                return self._store.get_bytes(name, secure=secure, environment=self._environment)
            text = self._store.get(name, secure=secure, environment=self._environment)
        except KeyNotFound:
            return None
        if not self._is_json(field):
            return text
        # Lists and the like are written as JSON, as for pydantic's other sources.
        value = self._decode(field_name, field, text)
        if value is None:
            raise NotText(
                f"{'secret' if secure else 'variable'} {name} is not the JSON that the field {field_name} takes"
            )
        return value

    def _is_json(self, field: FieldInfo) -> bool:
        """Whether a field takes no text itself, nor what pydantic makes of one."""
        options = get_args(field.annotation) if get_origin(field.annotation) is Union else (field.annotation,)
        kinds = [FieldInfo.from_annotation(option) for option in options if option is not type(None)]
        return all(self.field_is_complex(kind) for kind in kinds) and not _mentions(field.annotation, (SecretStr,))

    def _decode(self, field_name: str, field: FieldInfo, text: str) -> Any:
        # JSON's own error has the text in it, so it isn't under way where ours is raised.
        try:
            return self.decode_complex_value(field_name, field, text)
        except ValueError:
            return None

    def _below(self, model: Type[BaseModel], prefix: str) -> Optional[Dict[str, Any]]:
        values = {_alias(field, name): self._value(field, prefix, name) for name, field in model.model_fields.items()}
        present = {name: value for name, value in values.items() if value is not None}
        return present or None


def _alias(field: FieldInfo, field_name: str) -> str:
    """The name that a model takes a field by."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else field.alias or field_name


def _model(annotation: Any) -> Optional[Type[BaseModel]]:
    """The model that a field is, or may be."""
    kinds = [annotation, *get_args(annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _mentions(annotation: Any, kinds: Tuple[type, ...]) -> bool:
    """Whether a field is of one of these types, or may be."""
    return annotation in kinds or any(argument in kinds for argument in get_args(annotation))
