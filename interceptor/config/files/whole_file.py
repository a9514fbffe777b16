"""Schema of a complete `ccproxy.yaml`: server settings, and sections of the database. No Django.

Providers, hooks, inspector.transforms, shaping.providers and pplx.models are read from the file by
`importconfig`, and once when the database is made; the forms of the product's own files are all
accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from interceptor.config.files.document import Document, read_document, refuse
from interceptor.config.files.groups import Group
from interceptor.config.files.parse_settings import DATABASE_KEYS, parse_server_settings
from interceptor.config.files.sections.catalogue_section import ModelSection
from interceptor.config.files.sections.hook_section import HookLists, hooks_by_stage
from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.files.sections.shaping_section import ProfileSection
from interceptor.config.files.sections.transform_section import TransformSection
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sections:
    """The database's sections of a file.

    None: the file does not mention it, and it stays as it is.
    """

    providers: dict[str, ProviderSection] | None = None
    hooks: HookLists | None = None
    transforms: tuple[TransformSection, ...] | None = None
    profiles: dict[str, ProfileSection] | None = None
    """Of shapes, by provider type."""
    models: tuple[ModelSection, ...] | None = None
    """The catalogue of Perplexity's models."""

    def __bool__(self) -> bool:
        sections = (self.providers, self.hooks, self.transforms, self.profiles, self.models)
        return any(section is not None for section in sections)


class _Inspector(Group):
    transforms: tuple[TransformSection, ...] | None = None


class _Shaping(Group):
    providers: dict[str, ProfileSection] | None = None


class _Pplx(Group):
    models: tuple[ModelSection, ...] | None = None


class DatabaseKeys(Group):
    """The keys as they stand in the file, so that errors carry their full path."""

    providers: dict[str, ProviderSection] | None = None
    hooks: Annotated[HookLists, BeforeValidator(hooks_by_stage)] | None = None
    inspector: _Inspector = _Inspector()
    shaping: _Shaping = _Shaping()
    pplx: _Pplx = _Pplx()


def parse_sections(document: Document) -> Sections:
    """Return the database's sections of a document.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    data: dict[str, Any] = {}
    for group, names in DATABASE_KEYS.items():
        values = document.data.get(str(group[0])) if group else document.data
        if not isinstance(values, dict):
            continue
        found = {name: values[name] for name in names if values.get(name) is not None}
        if found:
            data |= {str(group[0]): found} if group else found
    try:
        keys = DatabaseKeys.model_validate(data)
    except ValidationError as exc:
        raise refuse(document, DatabaseKeys, exc) from None
    return Sections(
        providers=keys.providers,
        hooks=keys.hooks,
        transforms=keys.inspector.transforms,
        profiles=keys.shaping.providers,
        models=keys.pplx.models,
    )


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A complete `ccproxy.yaml`, checked."""

    document: Document
    settings: ServerSettings
    sections: Sections


def check_file(document: Document) -> ConfigFile:
    """Check all of a document.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    return ConfigFile(document, parse_server_settings(document), parse_sections(document))


def read_config_file(path: Path) -> ConfigFile:
    """Read and check a complete file; a missing one is an error here.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    return check_file(read_document(path))
