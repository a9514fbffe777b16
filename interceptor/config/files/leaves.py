"""Walker over the settings of a schema. No Django.

A leaf is a setting that is no group of others: `port`, `flows.retention.max_flows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str, ...]
_MARK = "not_built"


def not_built(part: str) -> dict[str, Any]:
    """Return the `json_schema_extra` that marks a field, or a group, as read by nothing yet.

    `part` is the part of ccproxy that will read it. A value other than the default is refused at
    start, and the reference says so.
    """
    return {_MARK: part}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting."""

    path: Path
    info: FieldInfo
    waits_for: str = ""
    """The part of ccproxy that will read it; "" when it is read today."""


def is_built(model: type[BaseModel], field: str) -> bool:
    """Return False for a field of the model that is marked with `not_built`."""
    return not _mark_of(model.model_fields[field])


def leaves(model: type[BaseModel], prefix: Path = (), waits_for: str = "") -> Iterator[Leaf]:
    """Yield every leaf of a model and of the groups below it, in the order of the schema."""
    for name, info in model.model_fields.items():
        part = _mark_of(info) or waits_for
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from leaves(info.annotation, (*prefix, name), part)
        else:
            yield Leaf((*prefix, name), info, part)


def _mark_of(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get(_MARK, "")) if isinstance(extra, Mapping) else ""
