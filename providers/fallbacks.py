"""Fallbacks of a provider or a rule: the next receivers of a request that failed. No Django."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MAX_FALLBACKS: Final = 8
MAX_MODEL_CHARS: Final = 200
DEFAULT_COOLDOWN_S: Final = 5.0
MAX_COOLDOWN_S: Final = 86_400
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class BadFallbacks(ValueError):
    """A list that cannot be used. The message is a sentence."""


class Fallback(NamedTuple):
    """A provider, and the model to ask it for; "" leaves the model."""

    provider: str
    model: str = ""

    @property
    def text(self) -> str:
        """The entry as people write it."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


def parse_fallbacks(values: object) -> tuple[Fallback, ...]:
    """Return the entries of a stored list, in order.

    The model is everything behind the first slash:
    ["backup", "router/vendor/model"] → (("backup", ""), ("router", "vendor/model"))

    Raises:
        BadFallbacks: the list cannot be used.
    """
    if not isinstance(values, list | tuple):
        raise BadFallbacks("Give a list of PROVIDER or PROVIDER/MODEL.")
    if len(values) > MAX_FALLBACKS:
        raise BadFallbacks(f"A list has at most {MAX_FALLBACKS} fallbacks.")
    found = tuple([_entry(value) for value in values])
    for index, entry in enumerate(found):
        if entry in found[:index]:
            raise BadFallbacks(f"“{entry.text}” stands twice.")
    return found


def _entry(value: object) -> Fallback:
    name, slash, model = str(value).strip().partition("/")
    is_good = isinstance(value, str) and _NAME.fullmatch(name) is not None
    if slash and not (model and model.isprintable() and len(model) <= MAX_MODEL_CHARS):
        is_good = False
    if not is_good:
        raise BadFallbacks(f"“{str(value)[:60]}” is not of the form PROVIDER or PROVIDER/MODEL.")
    return Fallback(name, model)
