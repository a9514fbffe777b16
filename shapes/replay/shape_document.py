"""Virtual file `shape.json`: the text on which patches work, made of a shape and read back.

It is pretty JSON with sorted keys, so that a diff shows what changed and nothing else:

    {
      "body": {"model": "a"},
      "headers": {"accept": "*/*"},
      "method": "POST",
      "url": "https://h.example/v1/messages?beta=true"
    }

Sorting loses the order of headers and keys; `restored` takes it over from the shape before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shapes.replay.shape_text import BadShape, HeaderPairs, read_body, read_headers, write_body
from shapes.replay.unified_diff import BadPatch, apply_diff


@dataclass(frozen=True, slots=True)
class ShapeParts:
    """The parts of a shape that a patch may change."""

    method: str
    origin: str
    """Scheme and host: "https://h.example"."""
    path: str
    query: str
    headers: HeaderPairs
    body: str
    """JSON text of an object."""

    @property
    def url(self) -> str:
        """The address with its query."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{query}"


def document_text(parts: ShapeParts) -> str:
    """Return the virtual file of a shape.

    Raises:
        BadShape: the body is no JSON object.
    """
    document = {
        "body": read_body(parts.body),
        "headers": _header_object(parts.headers),
        "method": parts.method,
        "url": parts.url,
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _header_object(headers: HeaderPairs) -> dict[str, str | list[str]]:
    """Return headers by name; a duplicate has the list of its values."""
    found: dict[str, str | list[str]] = {}
    for name, value in headers:
        before = found.get(name)
        if before is None:
            found[name] = value
        else:
            found[name] = [*(before if isinstance(before, list) else [before]), value]
    return found


def read_document(text: str) -> ShapeParts:
    """Return the shape of a virtual file, in the order in which the file has its keys.

    Raises:
        BadShape: a part is missing or has another form.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadShape(f"shape.json is no JSON: {str(exc)[:120]}.") from None
    if not isinstance(document, dict):
        raise BadShape("shape.json must hold a JSON object.")
    method, url, body = document.get("method"), document.get("url"), document.get("body")
    if not isinstance(method, str) or not method:
        raise BadShape("shape.json needs a method.")
    if not isinstance(body, dict):
        raise BadShape("The body in shape.json must be a JSON object.")
    origin, path, query = split_url(url)
    headers = read_headers(_header_pairs(document.get("headers")))
    return ShapeParts(method, origin, path, query, headers, write_body(body))


def split_url(url: object) -> tuple[str, str, str]:
    """Return origin, path and query of an address.

    Raises:
        BadShape: it has another form.
    """
    if not isinstance(url, str) or not url:
        raise BadShape("shape.json needs a url.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadShape("The url in shape.json cannot be read.") from None
    origin = f"{parts.scheme}://{parts.netloc}" if parts.scheme else ""
    path = parts.path or "/"
    if not path.startswith("/"):
        raise BadShape("The path of the url in shape.json starts with a slash.")
    return origin, path, parts.query


def _header_pairs(headers: object) -> list[tuple[Any, Any]]:
    if not isinstance(headers, dict):
        raise BadShape("The headers in shape.json must be a mapping of names to values.")
    pairs: list[tuple[Any, Any]] = []
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        pairs.extend((name, one) for one in values)
    return pairs


def patched(parts: ShapeParts, diffs: Iterable[tuple[str, str]]) -> ShapeParts:
    """Return a shape after patches, given as (name, unified diff), each on the result before it.

    Raises:
        BadPatch: one does not apply, or its result is no shape; the message names it.
    """
    # Each is a diff of the text that the one before it left, as in a quilt series.
    for name, diff in diffs:
        try:
            changed = read_document(apply_diff(document_text(parts), diff))
        except (BadPatch, BadShape) as exc:
            raise BadPatch(f"patch {name}: {exc}") from None
        parts = restored(changed, parts)
    return parts


def restored(changed: ShapeParts, before: ShapeParts) -> ShapeParts:
    """Return a changed shape with the order of headers and keys that it had before.

    New headers and keys stand at the end.
    """
    # The sorted file has lost the order, and a provider may look at it.
    body = _ordered_like(json.loads(changed.body), json.loads(before.body))
    return ShapeParts(
        changed.method,
        changed.origin,
        changed.path,
        changed.query,
        _headers_like(changed.headers, before.headers),
        write_body(body),
    )


def _headers_like(headers: HeaderPairs, before: HeaderPairs) -> HeaderPairs:
    left: dict[str, list[str]] = {}
    for name, value in headers:
        left.setdefault(name, []).append(value)
    ordered: list[tuple[str, str]] = []
    for name, _ in before:
        if left.get(name):
            ordered.append((name, left[name].pop(0)))
    for name, values in left.items():
        ordered.extend((name, value) for value in values)
    return tuple(ordered)


def _ordered_like(value: Any, before: Any) -> Any:
    """Return a value whose objects have the order of keys of another value, index by index."""
    if isinstance(value, dict) and isinstance(before, dict):
        names = [*(name for name in before if name in value), *value]
        return {name: _ordered_like(value[name], before.get(name)) for name in names}
    if isinstance(value, list) and isinstance(before, list):
        padding = [None] * (len(value) - len(before))
        pairs = zip(value, [*before, *padding], strict=False)
        return [_ordered_like(item, old) for item, old in pairs]
    return value
