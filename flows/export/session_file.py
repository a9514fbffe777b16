"""A session as one HTML file to share: opens offline, runs no foreign script, asks no server.

Its policy (a `meta` element) allows its own style and script by their hashes, and images inside the
file. Bodies are redacted as they are stored; headers are redacted by name once more.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from flows.display.safe_text import visible
from flows.export.har import redacted_headers
from flows.queries.sessions import Row, Session
from flows.reading.conversation.images import image_bytes
from flows.reading.json_text import pretty
from flows.sessions.context_areas import context_areas
from flows.sessions.exchange_reader import Exchange
from flows.sessions.session_changes import session_changes
from flows.sessions.session_overview import overview
from flows.sessions.session_story import story
from flows.sessions.time_axis import time_axis
from flows.sides import Lines
from providers.base.errors import CcproxyError
from providers.wire.core.ir import Media

CONTENT_TYPE: Final = "text/html; charset=utf-8"
MAX_RAW_CHARS: Final = 30_000_000
"""Raw bodies of one file; the other ones are left out, and the file says so."""
_MAX_BODY_CHARS: Final = 2_000_000
_MAX_IMAGE_CHARS: Final = 4_000_000
_STYLES: Final = ("ccproxy_site/shell.css", "flows/flows.css", "flows/share.css")
_SCRIPTS: Final = ("flows/share.js",)


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A style or a script with the hash that the policy names it by."""

    text: SafeString
    source: str


@dataclass(frozen=True, slots=True)
class _Raw:
    """One request with its raw bodies, as far as they are in the file."""

    row: Row
    headers: Lines
    request: SafeString
    response: SafeString
    is_left_out: bool


def session_html(session: Session) -> str:
    """Write the file. A session of 10 MB takes about a second."""
    told = story(session, _image, keep_bodies=True)
    style = _embedded(_STYLES)
    script = _embedded(_SCRIPTS)
    ids = [row.flow.pk for row in session.rows]
    context = {
        "session": session,
        "overview": overview(session),
        "story": told,
        "entries": told.entries,
        "changes": session_changes(ids),
        "axis": time_axis(session),
        "areas": context_areas(told),
        "raw": _raw(session.rows, told.exchanges),
        "offline": True,
        "style": style.text,
        "script": script.text,
        "policy": (
            f"default-src 'none'; style-src '{style.source}'; script-src '{script.source}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
    }
    return render_to_string("flows/share.html", context)


@cache
def _embedded(names: Sequence[str]) -> _Embedded:
    text = "\n".join(_static_text(name) for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    source = f"sha256-{base64.b64encode(digest).decode()}"
    # Our own files, which hold no end of their element.
    return _Embedded(mark_safe(text), source)  # noqa: S308


def _static_text(name: str) -> str:
    path = finders.find(name)
    # The package has them; without them a share would have no style.
    if not isinstance(path, str):
        raise CcproxyError(f"The file {name} of the console is missing: install ccproxy again.")
    return Path(path).read_text()


def _image(flow_id: str, number: int, media: Media) -> str:
    del flow_id, number
    image = image_bytes(media)
    if image is None or len(image.data) > _MAX_IMAGE_CHARS:
        return ""
    data = base64.b64encode(image.data).decode()
    return f"data:{image.media_type};base64,{data}"


def _raw(rows: Sequence[Row], exchanges: Sequence[Exchange]) -> list[_Raw]:
    left_chars = MAX_RAW_CHARS
    found = []
    for row, exchange in zip(rows, exchanges, strict=True):
        side = exchange.request_side
        headers = redacted_headers(side.headers) if side else []
        size = len(exchange.request_body) + len(exchange.answer_body)
        is_left_out = size > left_chars
        if is_left_out:
            found.append(_Raw(row, headers, SafeString(""), SafeString(""), is_left_out))
            continue
        left_chars -= size
        request = visible(pretty(exchange.request_body, _MAX_BODY_CHARS))
        response = visible(pretty(exchange.answer_body, _MAX_BODY_CHARS))
        found.append(_Raw(row, headers, request, response, is_left_out))
    return found
