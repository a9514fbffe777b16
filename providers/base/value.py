"""Immutable values that are cheap to construct."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value[T](cls: type[T]) -> type[T]:
    """Make a dataclass with slots that the type checker treats as frozen.

    Nothing enforces it at run time. A request makes some thirty of them, and `frozen=True` costs
    1.8 µs for twelve fields instead of 0.3 µs.
    """
    made: type[T] = dataclass(slots=True, unsafe_hash=True)(cls)
    return made
