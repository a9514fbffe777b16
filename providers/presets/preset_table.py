"""Table of presets, and the fields of the provider that one makes. No Django."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from providers.base.nearest import name_hint, no_such

_BLANK: Final = re.compile(r"\{(\w+)\}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
# Vertex AI's global endpoint has no location in its host's name:
# https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
_GLOBAL_PREFIX: Final = "global-aiplatform."


class BadPreset(ValueError):
    """A preset cannot be used as it was asked for; the text is the rest of a sentence."""


class Blank(NamedTuple):
    """A part of an address that only the operator knows; "" for no default."""

    meaning: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider of the table."""

    name: str
    title: str
    type: str
    host: str
    path: str
    source: str
    scheme: str = "https"
    port: int | None = None
    header: str = ""
    """Header of the key; "" is authorization with Bearer."""
    command: str = ""
    """Command whose output is the credential; "" for a stored key."""
    keyless: bool = False
    """The server asks for no credential."""
    native_formats: tuple[str, ...] = ()
    variable: str = ""
    """Where the vendor's own programs look for the key."""
    note: str = ""
    blanks: Mapping[str, Blank] = field(default_factory=dict)

    @property
    def to_replace(self) -> list[tuple[str, str]]:
        """The blanks without a default as they stand in the address, with their meaning."""
        missing = [(name, blank) for name, blank in self.blanks.items() if not blank.default]
        return [(f"{{{name}}}", blank.meaning) for name, blank in missing]

    def filled(self, given: Mapping[str, str]) -> Preset:
        """Return the preset with its blanks filled in.

        Raises:
            BadPreset: a blank has no value, or a value has no blank.
        """
        for name in given:
            if name not in self.blanks:
                hint = name_hint(name, self.blanks)
                raise BadPreset(f"the preset {self.name} has no “{name}”; {hint}")
        values = self._values(given)
        for name, value in values.items():
            if not value:
                raise BadPreset(
                    f"the preset {self.name} needs “{name}”: {self.blanks[name].meaning}"
                )
            if not _VALUE.fullmatch(value):
                raise BadPreset(f"“{name}” takes letters, digits and “.”, “_”, “:”, “-” alone")
        return self._with_values(values)

    def with_defaults(self) -> Preset:
        """Return the preset with the blanks filled in that have a default."""
        values = self._values({})
        return self._with_values({name: value for name, value in values.items() if value})

    def _values(self, given: Mapping[str, str]) -> dict[str, str]:
        return {name: given.get(name) or blank.default for name, blank in self.blanks.items()}

    def _with_values(self, values: Mapping[str, str]) -> Preset:
        host = _filled(self.host, values)
        if host.startswith(_GLOBAL_PREFIX):
            host = host.removeprefix("global-")
        return replace(self, host=host, path=_filled(self.path, values))

    def section(self) -> dict[str, Any]:
        """Return the preset as an entry of `providers` in a ccproxy.yaml."""
        section: dict[str, Any] = {"type": self.type, "host": self.host, "path": self.path}
        if self.scheme != "https":
            section["scheme"] = self.scheme
        if self.port is not None:
            section["port"] = self.port
        if self.native_formats:
            section["native_formats"] = list(self.native_formats)
        section["auth"] = self._auth()
        return section

    def form_values(self) -> dict[str, Any]:
        """Return the first values of the console's form; blanks without a default stay."""
        auth_type = "none"
        if not self.keyless:
            auth_type = "command" if self.command else "key"
        filled = self.with_defaults()
        return {
            "name": self.name,
            "type": self.type,
            "scheme": self.scheme,
            "host": filled.host,
            "port": self.port,
            "path": filled.path,
            "native_formats": list(self.native_formats),
            "auth_type": auth_type,
            "auth_command": self.command,
            "auth_header": self.header,
        }

    def _auth(self) -> dict[str, str] | None:
        if self.keyless:
            return None
        if self.command:
            return {"type": "command", "command": self.command}
        return {"type": "key", "header": self.header} if self.header else {"type": "key"}


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Fill the operator's blanks in; those of each request stay."""
    return _BLANK.sub(lambda match: values.get(match[1], match[0]), template)


@cache
def presets() -> Mapping[str, Preset]:
    """Return the presets that this product ships, by name."""
    text = files("providers.presets").joinpath("presets.toml").read_text(encoding="utf-8")
    found = [_preset_from(raw) for raw in tomllib.loads(text)["preset"]]
    return {preset.name: preset for preset in found}


def _preset_from(raw: Mapping[str, Any]) -> Preset:
    values = dict(raw)
    blanks = {name: Blank(**blank) for name, blank in values.pop("blanks", {}).items()}
    source = f"{values.pop('source')} ({values.pop('checked')})"
    formats = tuple(values.pop("native_formats", ()))
    return Preset(**values, source=source, native_formats=formats, blanks=blanks)


def preset_named(name: str) -> Preset:
    """Return a preset. Raises `BadPreset` with the nearest names."""
    known = presets()
    if name not in known:
        raise BadPreset(no_such("preset", name, known))
    return known[name]


def with_preset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of `providers` with its preset's fields under its own.

    {preset: azure-openai, resource: mine, enabled: false}
    → {type: openai, host: mine.openai.azure.com, …, enabled: false}

    Raises:
        BadPreset: there is no such preset, or a blank has no value.
    """
    own = dict(entry)
    preset = preset_named(str(own.pop("preset")))
    given = {name: str(own.pop(name)) for name in preset.blanks if own.get(name) is not None}
    return preset.filled(given).section() | own
