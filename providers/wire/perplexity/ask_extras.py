"""Fields of a request's own `pplx` object, read leniently where clients write them so."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from providers.base.errors import MalformedBody
from providers.wire.core.ir import JsonObject
from providers.wire.core.shape import an_object, maybe_string, strings

FIELD: Final = "pplx"
"""Name of the object at the top of a client's body (`extra_body` of the SDKs)."""
_WORDS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


class AskExtras:
    """The `pplx` object of one request.

    Raises `MalformedBody` for a field of the wrong kind, when that field is read.
    """

    def __init__(self, raw: Any) -> None:
        self._raw: JsonObject = {} if raw is None else an_object(raw, FIELD)

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text field; an empty one counts as missing."""
        return self._maybe_text(name) or default

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean field.

        Example: "yes" → True, 0 → False, missing → `default`.
        """
        value = self._raw.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        found = _WORDS.get(str(value).strip().lower()) if isinstance(value, str | int) else None
        if found is None:
            raise MalformedBody(f"{FIELD}.{name} must be true or false, not {str(value)[:40]!r}.")
        return found

    def texts(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """Return a list of texts."""
        value = self._raw.get(name)
        return list(default) if value is None else strings(value, f"{FIELD}.{name}")

    def items(self, name: str) -> list[Any]:
        """Return a list of any values."""
        value = self._raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise MalformedBody(f"{FIELD}.{name} must be an array.")
        return value

    def coordinates(self) -> JsonObject | None:
        """Return the client's position as Perplexity writes it, or None."""
        value = self._raw.get("coordinates")
        if value is None:
            return None
        position = an_object(value, f"{FIELD}.coordinates")
        found = [position.get(name) for name in ("latitude", "longitude")]
        if not all(isinstance(number, int | float) for number in found):
            raise MalformedBody(f"{FIELD}.coordinates needs the numbers latitude and longitude.")
        return {"location_lat": found[0], "location_lng": found[1], "name": ""}

    def context_uuid(self) -> str:
        """Return the id of the thread's context: the given one, or a new one."""
        return self._maybe_text("frontend_context_uuid") or str(uuid4())

    def _maybe_text(self, name: str) -> str | None:
        try:
            return maybe_string(self._raw, name)
        except MalformedBody as exc:
            raise MalformedBody(f"{FIELD}.{exc}") from None
