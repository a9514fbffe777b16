"""Walker over the settings of a schema. No Django.

A leaf is a setting that is no group of others: `port`, `flows.retention.max_flows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting."""

    path: Path
    info: FieldInfo


def leaves(model: type[BaseModel], prefix: Path = ()) -> Iterator[Leaf]:
    """Yield every leaf of a model and of the groups below it, in the order of the schema."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from leaves(info.annotation, (*prefix, name))
        else:
            yield Leaf((*prefix, name), info)
