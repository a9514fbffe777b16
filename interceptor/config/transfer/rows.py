"""Saving of one configuration row: changes are reported, refusals name the key in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import models

from interceptor.config.files.document import Document, KeyPath


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an import's report. Details never hold a secret."""

    kind: Literal["added", "changed", "removed"]
    what: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = f"{self.kind:8}{self.what}"
        return f"{line} ({', '.join(self.details)})" if self.details else line


@dataclass(slots=True)
class ImportReport:
    """Changes that an import made, or would make."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """A row that an import is about to write: how people call it, and where it stands in the
    file.
    """

    row: models.Model
    what: str
    path: KeyPath
    document: Document
    keys: Mapping[str, KeyPath] = field(default_factory=dict)
    """Model field to its key below `path`, where the names differ."""

    def write(self, values: Mapping[str, Any], report: ImportReport) -> None:
        """Set `values`, validate and save; a row that stays as it is is not saved.

        Raises:
            ConfigError: the row is refused; the message names the file's line and key.
        """
        is_new = self.row._state.adding
        details = () if is_new else self._differences(values)
        # A row that is saved without need would count as a new revision.
        if not is_new and not details:
            return
        for name, value in values.items():
            setattr(self.row, name, value)
        try:
            self.row.full_clean()
        except ValidationError as exc:
            raise self._refusal(exc) from None
        self.row.save()
        report.changes.append(Change("added" if is_new else "changed", self.what, details))

    def _differences(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        details = (_detail(name, getattr(self.row, name), new) for name, new in values.items())
        return tuple(detail for detail in details if detail)

    def _refusal(self, failure: ValidationError) -> Exception:
        name, messages = next(iter(failure.message_dict.items()))
        key = self.keys.get(name, (name,) if name != "__all__" else ())
        return self.document.error((*self.path, *key), f": {messages[0]}")


_OPAQUE = {
    "headers",
    "secret",
    "auth_config",
    "params",
    "comment",
    "billing_salt",
    "billing_seed",
    "merge_strategies",
}
"""Fields whose values are long or may hold a secret: only the fact that they changed is told."""


def _detail(name: str, old: Any, new: Any) -> str:
    if old == new:
        return ""
    # Lists are long: that they changed is enough.
    if name in _OPAQUE or isinstance(old, list) or isinstance(new, list):
        return name
    return f"{name}: {_text(old)} → {_text(new)}"


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)
