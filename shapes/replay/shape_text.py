"""Stored parts of a shape: checks of its headers, and of its body's JSON text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from providers.base.json_value import check_json

MAX_BODY_CHARS: Final = 4_000_000
"""A reference client's first request has some 100 KB; a longer text was not scrubbed."""

MAX_HEADERS: Final = 200
MAX_HEADERS_CHARS: Final = 64_000

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

HeaderPairs = tuple[tuple[str, str], ...]


class BadShape(ValueError):
    """The shape cannot be used; the message is a sentence for the user."""


def read_headers(pairs: object) -> HeaderPairs:
    """Return headers in order, with duplicates; `pairs` is a list of [name, value].

    Raises:
        BadShape: the list, a name or a value has another form.
    """
    if not isinstance(pairs, list | tuple):
        raise BadShape("Give a list of [name, value].")
    if len(pairs) > MAX_HEADERS:
        raise BadShape(f"A shape has at most {MAX_HEADERS} headers.")
    found = tuple(_header(pair) for pair in pairs)
    if sum(len(name) + len(value) for name, value in found) > MAX_HEADERS_CHARS:
        raise BadShape(f"The headers have at most {MAX_HEADERS_CHARS:,} characters.")
    return found


def _header(pair: object) -> tuple[str, str]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise BadShape("Give a list of [name, value].")
    name, value = pair
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadShape(f"“{str(name)[:60]}” is not a header name.")
    if not isinstance(value, str) or _CONTROL.search(value) or check_json(value):
        raise BadShape(f"The value of “{name}” must be text without control characters.")
    return name, value


def read_body(text: object) -> dict[str, Any]:
    """Return the JSON object of a body's text, with its order of keys.

    Raises:
        BadShape: it is no JSON object, is too long, or cannot be stored.
    """
    if not isinstance(text, str):
        raise BadShape("The body must be the text of a JSON object.")
    if len(text) > MAX_BODY_CHARS:
        raise BadShape(f"The body has more than {MAX_BODY_CHARS:,} characters.")
    # The standard library's parser: it keeps integers beyond 64 bits.
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadShape(f"The body is no JSON: {str(exc)[:120]}.") from None
    if not isinstance(body, dict):
        raise BadShape("The body must be a JSON object.")
    if problem := check_json(body):
        raise BadShape(problem)
    return body


def write_body(body: dict[str, Any]) -> str:
    """Return a body as it is stored: compact JSON text in the order of its keys."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
