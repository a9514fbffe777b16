"""Merge strategies: texts that say how one content field joins shape and request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

StrategyKind = Literal["replace", "prepend_shape", "append_shape", "drop"]

_FORM: Final = re.compile(r"(replace|drop)|(prepend_shape|append_shape)(?::([0-9]{1,6}))?")
FORMS: Final = "replace, drop, prepend_shape, prepend_shape:N, append_shape, append_shape:N"


class BadStrategy(ValueError):
    """The text names no strategy; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """Rule by which one field is merged.

    `limit` is the number of the shape's elements; None means all.
    """

    kind: StrategyKind
    limit: int | None = None

    @property
    def reads_shape(self) -> bool:
        """The shape's own value takes part."""
        return self.kind in ("prepend_shape", "append_shape")


REPLACE: Final = Strategy("replace")


def parse_strategy(text: object) -> Strategy:
    """Return the strategy that a text names: "prepend_shape:2" → the shape's first two, then ours.

    Raises:
        BadStrategy: it names none.
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadStrategy(f"“{str(text)[:60]}” is no strategy; choose one of: {FORMS}.")
    alone, with_limit, limit = found.groups()
    if alone == "drop":
        return Strategy("drop")
    if with_limit == "prepend_shape":
        return Strategy("prepend_shape", int(limit) if limit else None)
    if with_limit == "append_shape":
        return Strategy("append_shape", int(limit) if limit else None)
    return REPLACE
