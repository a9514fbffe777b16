"""Conditions under which a recorded request may become a shape. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from flows.display.units import size
from providers.wire.core.jsonio import loads_request
from shapes.capture.captured_request import CapturedRequest, Headers

MAX_CAPTURED_BYTES: Final = 32_000_000
"""Bodies of clients with many images are as large; a shape keeps a small part of them."""


class NoShape(ValueError):
    """The request cannot become a shape; the message is a sentence for the user."""


class PathPattern(Protocol):
    """The compiled `capture.path_pattern` of a profile."""

    def search(self, text: str, /) -> Any:
        """Return a match or None."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded request and its response's status.

    `body` is decoded, and None if it was not kept or not completely. `target` is the path with
    its query.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | None
    status_code: int | None


def valid_request(recorded: Recorded, pattern: PathPattern | None) -> CapturedRequest:
    """Return the request if it may become a shape.

    Raises:
        NoShape: it is no POST of a JSON object to such a path, or was not answered with 2xx.
    """
    path, _, query = recorded.target.partition("?")
    _check_start(recorded, path, pattern)
    body = _json_object(recorded)
    return CapturedRequest(recorded.method, path, query, recorded.headers, body)


def _check_start(recorded: Recorded, path: str, pattern: PathPattern | None) -> None:
    if recorded.method != "POST":
        raise NoShape(f"its method is {recorded.method[:20]}, and a shape is a POST")
    if recorded.status_code is None:
        raise NoShape("it has no response, and a shape is a request that the provider accepted")
    if not 200 <= recorded.status_code < 300:
        raise NoShape(f"the provider refused it with {recorded.status_code}")
    if pattern is not None and not pattern.search(path):
        raise NoShape(f"its path {path[:80]} is not one of this provider type")


def _json_object(recorded: Recorded) -> dict[str, Any]:
    content_type = _first(recorded.headers, "content-type")
    if not content_type.strip().lower().startswith("application/json"):
        raise NoShape(f"its content type is “{content_type[:60]}”, not application/json")
    if recorded.body is None:
        raise NoShape("its body was not recorded completely")
    if len(recorded.body) > MAX_CAPTURED_BYTES:
        raise NoShape(
            f"its body is {size(len(recorded.body))} long, over {size(MAX_CAPTURED_BYTES)}"
        )
    try:
        # Halves of surrogate pairs become U+FFFD: no database stores them.
        body, _ = loads_request(recorded.body)
    except (ValueError, RecursionError):
        raise NoShape("its body is no JSON") from None
    if not isinstance(body, dict):
        raise NoShape("its body is JSON, but no object")
    return _encodable(body)


def _encodable(body: dict[str, Any]) -> dict[str, Any]:
    try:
        orjson.dumps(body)
    except TypeError:  # orjson's JSONEncodeError: nested too deeply, or a number beyond 64 bits
        raise NoShape("its body is nested too deeply, or has a number beyond 64 bits") from None
    return body


def _first(headers: Headers, name: str) -> str:
    for line_name, value in headers:
        if line_name.lower() == name:
            return value
    return ""
