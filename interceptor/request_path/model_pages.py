"""Pages of a provider's list of models: what each one adds, and how the next one is asked for.

Sources: "List models" in the API references of Anthropic (`has_more`, `last_id` → `after_id`) and
Google (`nextPageToken` → `pageToken`), and OpenAI's lists elsewhere (`has_more`, `last_id` →
`after`). The first page is asked for without parameters, which small servers may refuse.
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName

MAX_PAGES: Final = 50
MAX_MODELS: Final = 2000
MAX_NAME_CHARS: Final = 200
_MAX_TOKEN_CHARS: Final = 2000


class ModelPages:
    """Names of all pages so far.

    Args:
        wire_format: of the provider; it decides the name of the parameter.
    """

    def __init__(self, wire_format: WireFormatName | None) -> None:
        self._wire_format = wire_format
        self._names: dict[str, None] = {}
        self._asked: set[tuple[str, str]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, each once, in the provider's order."""
        return tuple(self._names)[:MAX_MODELS]

    def take(self, listed: Any) -> dict[str, str] | None:
        """Add a page. Return the parameters of the next one, or None at the end.

        A server that repeats itself is at its end: a page without a new name, or a position that
        was asked for before.
        """
        count = len(self._names)
        self._names.update(dict.fromkeys(names_in(listed)))
        is_new = len(self._names) > count
        found = self._next(listed)
        if found is None or found in self._asked or not is_new:
            return None
        self._asked.add(found)
        if len(self._names) >= MAX_MODELS or len(self._asked) >= MAX_PAGES:
            return None
        name, value = found
        return {name: value}

    def _next(self, listed: Any) -> tuple[str, str] | None:
        """Return the parameter that asks for the page after this one."""
        if not isinstance(listed, dict):
            return None
        for key in ("nextPageToken", "next_page_token"):
            if token := _token(listed.get(key)):
                return "pageToken", token
        if listed.get("has_more") is True and (last := _token(_last_id(listed))):
            name = "after_id" if self._wire_format == ANTHROPIC_MESSAGES else "after"
            return name, last
        return None


def names_in(listed: Any) -> tuple[str, ...]:
    """Return the model names of a list in any vendor's shape.

    `{"data": [{"id": "a"}]}` → `("a",)`; `{"models": [{"name": "models/b"}]}` → `("b",)`; a
    bare list of names or entries is read too.
    """
    found = []
    for entry in _entries(listed)[:MAX_MODELS]:
        name = _name_in(entry)
        if 0 < len(name) <= MAX_NAME_CHARS and name.isprintable():
            found.append(name.removeprefix("models/"))
    return tuple(dict.fromkeys(found))


def is_model_list(listed: Any) -> bool:
    """Check if a JSON value is a list in a vendor's shape; an empty one is."""
    if isinstance(listed, dict):
        return any(isinstance(listed.get(key), list) for key in ("data", "models"))
    return isinstance(listed, list)


def _last_id(listed: dict[str, Any]) -> Any:
    """Return `last_id`; without it, the id of the last entry."""
    if "last_id" in listed:
        return listed["last_id"]
    entries = _entries(listed)
    return _name_in(entries[-1]) if entries else None


def _token(value: Any) -> str:
    is_usable = isinstance(value, str) and len(value) <= _MAX_TOKEN_CHARS
    return value if is_usable else ""


def _entries(listed: Any) -> list[Any]:
    """Return the list itself: of a vendor's page, or bare."""
    if isinstance(listed, list):
        return listed
    if not isinstance(listed, dict):
        return []
    for key in ("data", "models"):
        if isinstance(listed.get(key), list) and listed[key]:
            return list(listed[key])
    return []


def _name_in(entry: Any) -> str:
    """Return the name that a request would use; Ollama calls it `model`, Codex `slug`."""
    if isinstance(entry, str):
        return entry.strip()
    if not isinstance(entry, dict):
        return ""
    for key in ("id", "slug", "model", "name"):
        if isinstance(entry.get(key), str) and entry[key].strip():
            return str(entry[key].strip())
    return ""
