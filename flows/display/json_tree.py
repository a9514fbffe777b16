"""JSON as nested, folded HTML. Big branches are fetched when somebody opens them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from flows.display import units
from flows.display.safe_text import printable, visible

LAZY_BYTES: Final = 12_000
OPEN_BYTES: Final = 1_200
MAX_CHILDREN: Final = 500
LONG_STRING_CHARS: Final = 160
MAX_STRING_CHARS: Final = 100_000
MAX_DEPTH: Final = 60
_LAZY: Final = (
    '<li><details hx-get="{}" hx-trigger="toggle once" hx-target="find .json">{}<ul'
    ' class="json"></ul></details></li>'
)


def tree(value: Any, url: str, pointer: str = "") -> SafeString:
    """The HTML of a parsed document, or of its branch at `pointer`, whose bigger branches are
    fetched from `url`.
    """
    if not isinstance(value, dict | list):
        return format_html('<div class="json">{}</div>', _scalar(value))
    return format_html('<ul class="json">{}</ul>', _children(value, url, pointer, 0))


def branch(value: Any, url: str, pointer: str) -> SafeString:
    """The list items of one branch, for the fold that asked for it."""
    return _children(value, url, pointer, 0) if isinstance(value, dict | list) else _scalar(value)


def resolve(value: Any, pointer: str) -> Any:
    """The branch that an RFC 6901 pointer names. Raises `LookupError` when there is none."""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and token.isascii() and token.isdigit():
            value = value[int(token)]
        elif isinstance(value, dict):
            value = value[token]
        else:
            raise LookupError(pointer)
    return value


def size_bytes(value: Any) -> int:
    """About the size of a branch as JSON."""
    try:
        return len(orjson.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return len(repr(value))


def _children(value: Any, url: str, pointer: str, depth: int) -> SafeString:
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    html = [_child(key, item, url, pointer, depth) for key, item in pairs[:MAX_CHILDREN]]
    if len(pairs) > MAX_CHILDREN:
        html.append(
            format_html('<li class="muted">and {} more, see Raw</li>', len(pairs) - MAX_CHILDREN)
        )
    return mark_safe("".join(html))  # noqa: S308  joined from escaped pieces


def _child(key: Any, value: Any, url: str, pointer: str, depth: int) -> SafeString:
    name = format_html('<span class="key">{}</span>', visible(str(key)))
    if not isinstance(value, dict | list) or not value:
        return format_html("<li>{} {}</li>", name, _scalar(value))
    size = size_bytes(value)
    here = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
    summary = format_html("<summary>{} {}</summary>", name, _summary(value, size))
    if (size > LAZY_BYTES and depth > 0) or depth >= MAX_DEPTH or size > 8 * LAZY_BYTES:
        address = f"{url}?{urlencode({'path': printable(here)})}"
        return format_html(_LAZY, address, summary)
    opened = mark_safe(" open") if size <= OPEN_BYTES else ""
    body = _children(value, url, here, depth + 1)
    return format_html(
        '<li><details{}>{}<ul class="json">{}</ul></details></li>', opened, summary, body
    )


def _summary(value: Any, size: int) -> SafeString:
    """What a folded branch says of itself: its kind, role or name, and its size."""
    words: list[str] = []
    if isinstance(value, dict):
        words = [
            v
            for k in ("role", "type", "name")
            if isinstance(v := value.get(k), str) and len(v) < 60
        ]
        function = value.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            words.append(function["name"][:60])
    number = units.plural(len(value), "item" if isinstance(value, list) else "key")
    label = (
        format_html('<span class="label">{}</span> ', visible(" · ".join(words))) if words else ""
    )
    return format_html('{}<span class="muted">{} · {}</span>', label, number, units.size(size))


def _scalar(value: Any) -> SafeString:
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return format_html(
            '<span class="const">{}</span>', "null" if value is None else str(value).lower()
        )
    if isinstance(value, dict | list):
        return format_html(
            '<span class="const">{}</span>', "{}" if isinstance(value, dict) else "[]"
        )
    return format_html('<span class="num">{}</span>', str(value))


def _string(value: str) -> SafeString:
    if len(value) <= LONG_STRING_CHARS and "\n" not in value:
        return format_html('<span class="str">"{}"</span>', visible(value))
    first = " ".join(value[:LONG_STRING_CHARS].split())
    shown = value[:MAX_STRING_CHARS]
    rest = format_html(
        '<p class="muted">and {} more characters, see Raw</p>', len(value) - len(shown)
    )
    return format_html(
        '<details class="long"><summary><span class="str">"{}…"</span> <span'
        ' class="muted">{}</span></summary><pre>{}</pre>{}</details>',
        visible(first[:110]),
        units.size(len(value.encode("utf-8", "surrogatepass"))),
        visible(shown),
        rest if len(shown) < len(value) else "",
    )
