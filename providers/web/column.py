"""Column decorator of the admin theme, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unfold.decorators import display


def column[F: Callable[..., Any]](description: str, **options: Any) -> Callable[[F], F]:
    """Name a computed column.

    `options` are those of `unfold.decorators.display`: header, label, ordering, boolean.
    """

    def decorate(function: F) -> F:
        decorated: F = display(description=description, **options)(function)
        return decorated

    return decorate
