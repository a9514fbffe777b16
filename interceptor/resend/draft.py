"""A recorded request as editable texts, and those texts as a request again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from flows.bodies.complete_flow import CompleteFlow
from flows.display.units import size
from flows.export.codegen import readable
from flows.reading.body_view import body_view
from flows.sides import FlowSide, header
from providers.base.errors import CcproxyError

MAX_EDIT_BYTES: Final = 2 * 1024 * 1024
LONG_LINE_CHARS: Final = 120
"""A JSON body with longer lines was written for machines: it is laid out for reading."""

NOT_SENT: Final = frozenset(
    {"content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "te",
    "trailer",
     "transfer-encoding", "upgrade", "x-ccproxy-resend", "x-ccproxy-token"}
)  # fmt: skip
"""Headers of one connection, and what the sender shows of its own."""

_METHOD: Final = re.compile(r"[A-Za-z]{1,32}")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_TARGET: Final = re.compile(r"/[\x21-\x7e]*")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

Line = tuple[str, str]


class ResendError(CcproxyError):
    """This request cannot be sent again; the message says why, and what can be done instead."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request to be edited: path with query, headers one a line, the body without its content
    encoding.
    """

    method: str
    target: str
    headers: str
    body: str
    locked: str = ""
    """Why the body cannot be edited; it is sent as it was recorded then."""


def recorded_side(flow: CompleteFlow, *, as_forwarded: bool) -> FlowSide:
    """Return the side of a flow that is sent again.

    Raises:
        ResendError: it is a websocket, was not recorded, or not kept completely.
    """
    if flow.flow.is_websocket:
        raise ResendError(
            "A websocket cannot be sent again: it is a conversation of two, not one request."
        )
    side = flow.side("forwarded" if as_forwarded else "client")
    if side is None and as_forwarded:
        raise ResendError(
            "Nothing left the proxy, so nothing can be sent as forwarded. Try “as the client sent"
            " it”."
        )
    if side is None:
        raise ResendError("The client's request was not recorded, so it cannot be sent again.")
    if side.body_truncated or flow.stored(side) is None:
        raise ResendError(
            f"Not all {size(side.body_size_bytes)} of the body were kept, so the request cannot be"
            " sent again."
        )
    return side


def draft_of(flow: CompleteFlow, side: FlowSide) -> Draft:
    """Return the side as texts."""
    text, locked = _editable(flow.plain(side), header(side.headers, "content-type"))
    lines = [f"{name}: {value}" for name, value in sent_lines(side)]
    return Draft(
        side.method or flow.flow.method, target_of(side.url), "\n".join(lines), text, locked
    )


def sent_lines(side: FlowSide) -> list[Line]:
    """Return the headers that are sent again, in order, without HTTP/2's pseudo-headers."""
    lines = [(str(name), str(value)) for name, value in side.headers]
    return [line for line in lines if _is_sent(*line)]


def length_index(side: FlowSide) -> int:
    """Return how many of the sent headers come before Content-Length."""
    # Host, Content-Length, TE, Accept → 1: only Host is sent again before it
    count = 0
    for name, value in side.headers:
        if str(name).lower() == "content-length":
            return count
        count += _is_sent(str(name), str(value))
    return count


def _is_sent(name: str, value: str) -> bool:
    # HTTP/2's pseudo-headers become the request line.
    if name.startswith(":") or name.lower() in NOT_SENT:
        return False
    return not (name.lower() == "connection" and "upgrade" in value.lower())


def target_of(url: str) -> str:
    """Return path and query of an address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _editable(plain: bytes, content_type: str) -> tuple[str, str]:
    """Return the body as text, or the reason why it cannot be edited; the other one is empty."""
    if len(plain) > MAX_EDIT_BYTES:
        return (
            "",
            (
                f"The body of {size(len(plain))} is too large to be edited here; it is sent as it"
                " was recorded."
            ),
        )
    view = body_view("", plain, content_type)
    if view.kind == "binary":
        return "", f"The body, {size(len(plain))}, is no text; it is sent as it was recorded."
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        return "", "The body is not UTF-8; it is sent as it was recorded."
    if view.kind == "json":
        if max(map(len, text.split("\n"))) > LONG_LINE_CHARS:
            text = _laid_out(view.json.value) or text
        text = readable(text.encode()) or text
    return text.replace("\r\n", "\n").replace("\r", "\n"), ""


def _laid_out(value: object) -> str:
    for ascii_only in (False, True):  # a lone surrogate can only be written as an escape
        try:
            text = json.dumps(value, indent=2, ensure_ascii=ascii_only)
            text.encode()
        except (RecursionError, UnicodeEncodeError):
            continue
        return text
    return ""


def parsed_lines(text: str) -> list[Line]:
    """Header lines of an editor.

    Raises:
        ResendError: naming the line that is no header.
    """
    lines: list[Line] = []
    for row in text.replace("\r\n", "\n").split("\n"):
        if not row.strip():
            continue
        name, colon, value = row.partition(":")
        if not colon or not _NAME.fullmatch(name.strip()):
            raise ResendError(f"“{row[:60]}” is no header: write Name: value, one a line.")
        if name.strip().lower() not in NOT_SENT:
            lines.append((name.strip(), value.strip()))
    return lines


def check_line(method: str, target: str, headers: Sequence[Line]) -> None:
    """Refuse what is no HTTP.

    Raises:
        ResendError: naming the part that is wrong.
    """
    if not _METHOD.fullmatch(method):
        raise ResendError("The method has to be the name of an HTTP method, such as POST.")
    if not _TARGET.fullmatch(target):
        raise ResendError(
            "The path has to begin with / and must have no spaces; write other characters as %XX."
        )
    for name, value in headers:
        if not _NAME.fullmatch(name) or _CONTROLS.search(value):
            raise ResendError(
                f"The header {name[:60]} cannot be sent: it has characters that no header may have."
            )


def json_problem(body: str, content_type: str) -> str:
    """Return the position at which a body of a JSON type is no JSON; "" when it is valid."""
    if "json" not in content_type.lower() or not body.strip():
        return ""
    try:
        json.loads(body)
    except json.JSONDecodeError as exc:
        return (
            f"The body is not valid JSON: {exc.msg.lower()} in line {exc.lineno}, column"
            f" {exc.colno}."
        )
    except (ValueError, RecursionError):
        return "The body is not valid JSON."
    return ""
