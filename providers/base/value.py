"""Immutable values that are cheap to make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value[T](cls: type[T]) -> type[T]:
    """A dataclass with slots that is not to be changed: the type checker refuses it, at run time
    nothing does.

    A request makes some thirty of them. With `frozen=True` one of twelve fields takes 1.8 µs to
    make, so 0.3 µs.
    """
    made: type[T] = dataclass(slots=True, unsafe_hash=True)(cls)
    return made
