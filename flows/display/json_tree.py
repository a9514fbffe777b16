"""JSON as nested, folded HTML. Large branches are fetched when a reader opens them."""

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
MAX_LABEL_CHARS: Final = 60
_PREVIEW_CHARS: Final = 110
_LAZY: Final = (
    '<li><details hx-get="{}" hx-trigger="toggle once" hx-target="find .json">{}<ul'
    ' class="json"></ul></details></li>'
)


def tree(value: Any, url: str, pointer: str = "") -> SafeString:
    """Return the HTML of a parsed document, or of its branch at `pointer`.

    The page fetches large branches from `url`.
    """
    if not isinstance(value, dict | list):
        return format_html('<div class="json">{}</div>', _scalar(value))
    return format_html('<ul class="json">{}</ul>', _children(value, url, pointer, 0))


def branch(value: Any, url: str, pointer: str) -> SafeString:
    """Return the list items of one branch, for the fold that asked for it."""
    if not isinstance(value, dict | list):
        return _scalar(value)
    return _children(value, url, pointer, 0)


def resolve(value: Any, pointer: str) -> Any:
    """Return the branch that an RFC 6901 pointer names.

    Example: `resolve({"a/b": [1, 2]}, "/a~1b/1")` → `2`.

    Raises:
        LookupError: the document has no such branch.
    """
    for escaped in pointer.split("/")[1:]:
        # "~1" first: "~01" stands for "~1", not for "/" (RFC 6901, section 4).
        token = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and token.isascii() and token.isdigit():
            value = value[int(token)]
        elif isinstance(value, dict):
            value = value[token]
        else:
            raise LookupError(pointer)
    return value


def size_bytes(value: Any) -> int:
    """Return about the size of a branch as JSON."""
    try:
        return len(orjson.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return len(repr(value))


def _children(value: Any, url: str, pointer: str, depth: int) -> SafeString:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    pairs = list(items)
    html = []
    for key, item in pairs[:MAX_CHILDREN]:
        html.append(_child(key, item, url, pointer, depth))
    left_out = len(pairs) - MAX_CHILDREN
    if left_out > 0:
        html.append(format_html('<li class="muted">and {} more, see Raw</li>', left_out))
    return mark_safe("".join(html))  # noqa: S308  joined from escaped pieces


def _child(key: Any, value: Any, url: str, pointer: str, depth: int) -> SafeString:
    name = format_html('<span class="key">{}</span>', visible(str(key)))
    if not isinstance(value, dict | list) or not value:
        return format_html("<li>{} {}</li>", name, _scalar(value))

    size = size_bytes(value)
    escaped_key = str(key).replace("~", "~0").replace("/", "~1")
    child_pointer = f"{pointer}/{escaped_key}"
    summary = format_html("<summary>{} {}</summary>", name, _summary(value, size))
    if _is_lazy(size, depth):
        query = urlencode({"path": printable(child_pointer)})
        return format_html(_LAZY, f"{url}?{query}", summary)

    opened = mark_safe(" open") if size <= OPEN_BYTES else ""
    body = _children(value, url, child_pointer, depth + 1)
    return format_html(
        '<li><details{}>{}<ul class="json">{}</ul></details></li>', opened, summary, body
    )


def _is_lazy(size: int, depth: int) -> bool:
    # The first level comes along with the page unless it is huge: a reader opens it first.
    if depth == 0:
        return size > 8 * LAZY_BYTES
    return size > LAZY_BYTES or depth >= MAX_DEPTH


def _summary(value: Any, size: int) -> SafeString:
    """Return the line of a folded branch: its role, type or name, and its size."""
    words = _label_words(value) if isinstance(value, dict) else []
    noun = "item" if isinstance(value, list) else "key"
    number = units.plural(len(value), noun)
    label: SafeString | str = ""
    if words:
        label = format_html('<span class="label">{}</span> ', visible(" · ".join(words)))
    return format_html('{}<span class="muted">{} · {}</span>', label, number, units.size(size))


def _label_words(value: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for key in ("role", "type", "name"):
        word = value.get(key)
        if isinstance(word, str) and len(word) < MAX_LABEL_CHARS:
            words.append(word)
    # Chat Completions nests the name of a tool one level deeper.
    function = value.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if isinstance(name, str):
        words.append(name[:MAX_LABEL_CHARS])
    return words


def _scalar(value: Any) -> SafeString:
    match value:
        case str():
            return _string(value)
        case None:
            return _constant("null")
        case bool():
            return _constant(str(value).lower())
        case dict():
            return _constant("{}")
        case list():
            return _constant("[]")
    return format_html('<span class="num">{}</span>', str(value))


def _constant(text: str) -> SafeString:
    return format_html('<span class="const">{}</span>', text)


def _string(value: str) -> SafeString:
    if len(value) <= LONG_STRING_CHARS and "\n" not in value:
        return format_html('<span class="str">"{}"</span>', visible(value))

    preview = " ".join(value[:LONG_STRING_CHARS].split())
    shown = value[:MAX_STRING_CHARS]
    left_out = len(value) - len(shown)
    rest: SafeString | str = ""
    if left_out:
        rest = format_html('<p class="muted">and {} more characters, see Raw</p>', left_out)
    return format_html(
        '<details class="long"><summary><span class="str">"{}…"</span> <span'
        ' class="muted">{}</span></summary><pre>{}</pre>{}</details>',
        visible(preview[:_PREVIEW_CHARS]),
        units.size(len(value.encode("utf-8", "surrogatepass"))),
        visible(shown),
        rest,
    )
