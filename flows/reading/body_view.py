"""A body prepared for the page: decoded with a cap, recognised, and cut to what a browser shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from django.utils.safestring import SafeString

from flows.bytes.decode import decode
from flows.display import json_tree
from flows.display.safe_text import printable, visible
from flows.display.units import size
from flows.reading.answer_text import pieces_of_json, pieces_of_stream
from flows.reading.event_pieces import Piece
from flows.reading.json_text import JsonText, parse_json
from flows.reading.sse_events import looks_like_events
from flows.sides import FlowSide, header
from providers.wire.answer_form import is_json

SHOWN_CHARS: Final = 200_000
TREE_MAX_BYTES: Final = 8 * 1024 * 1024
EVENTS_MAX_BYTES: Final = 16 * 1024 * 1024
_SNIFFED_BYTES: Final = 65_536
_LONGEST_UTF8_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class BodyView:
    """One body for a template. `kind`: empty, lost, json, events, text, binary."""

    source: str
    kind: str
    size_bytes: int = 0
    plain: bytes = b""
    notes: list[str] = field(default_factory=list)
    json: JsonText = field(default_factory=JsonText)
    compressed: bool = False

    @property
    def text(self) -> SafeString:
        """First part of the body as visible text."""
        # So many bytes hold at least the characters that are shown.
        start = self.plain[: _LONGEST_UTF8_BYTES * SHOWN_CHARS]
        return visible(start.decode("utf-8", "surrogateescape")[:SHOWN_CHARS])

    @property
    def cut(self) -> bool:
        """True if `text` is only the first part."""
        return len(self.plain) > SHOWN_CHARS

    def tree(self, url: str) -> SafeString:
        """Return the folded JSON; the page fetches large branches from `url`."""
        return json_tree.tree(self.json.value, url)

    def answer(self) -> list[Piece]:
        """Return the readable part of a response."""
        if self.kind == "json":
            return pieces_of_json(self.json.value)
        if self.kind == "events":
            return list(pieces_of_stream(self.plain))
        return []


class _Recognised(NamedTuple):
    kind: str
    json: JsonText


class _Plain(NamedTuple):
    """A body without its encoding, and a note if that was not possible in full."""

    data: bytes
    note: str = ""


def side_body(side: FlowSide | None, bodies: dict[str, bytes]) -> BodyView:
    """Prepare the body of one side; `bodies` has the stored bytes by digest."""
    if side is None:
        return BodyView("", "empty")
    stored = bodies.get(side.body_digest)
    if stored is None:
        kind = "lost" if side.body_size_bytes else "empty"
        return BodyView(side.side, kind, side.body_size_bytes)

    notes = []
    if side.body_truncated:
        kept = size(len(stored))
        notes.append(f"Only the first {kept} of {size(side.body_size_bytes)} were kept.")
    if side.body_redacted:
        notes.append("A credential was cut out of the stored bytes.")
    encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
    content_type = header(side.headers, "content-type")
    return body_view(
        side.side,
        stored,
        content_type,
        encoding,
        notes,
        side.body_size_bytes,
    )


def side_plain(side: FlowSide | None, bodies: dict[str, bytes]) -> bytes:
    """Return the decoded body of one side, without finding out its kind; b"" without one."""
    stored = bodies.get(side.body_digest) if side is not None else None
    if side is None or not stored:
        return b""
    encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
    return _decompressed(stored, encoding).data if _is_compressed(encoding) else stored


def body_view(
    source: str,
    stored: bytes,
    content_type: str = "",
    encoding: str = "",
    notes: list[str] | None = None,
    size_bytes: int | None = None,
) -> BodyView:
    """Prepare stored bytes; their type or their first bytes decide the kind."""
    plain = stored
    notes = list(notes or [])
    compressed = _is_compressed(encoding)
    if compressed:
        decompressed = _decompressed(stored, encoding)
        plain = decompressed.data
        if decompressed.note:
            notes.append(decompressed.note)
    total = len(stored) if size_bytes is None else size_bytes
    if not plain:
        return BodyView(source, "empty", total)
    found = _recognise(plain, content_type)
    return BodyView(
        source,
        found.kind,
        total,
        plain,
        notes,
        found.json,
        compressed,
    )


def _is_compressed(encoding: str) -> bool:
    return encoding.strip().lower() not in ("", "identity")


def _decompressed(stored: bytes, encoding: str) -> _Plain:
    decoded = decode(stored, encoding)
    note = ""
    if decoded.capped:
        shown = size(len(decoded.data))
        note = f"Too large: only the first {shown} of the decoded body are shown."
    elif not decoded.complete:
        note = (
            f"The {printable(encoding)} encoding is damaged or unknown; shown as far as it could be"
            " read."
        )
    return _Plain(decoded.data or stored, note)


def _recognise(plain: bytes, content_type: str) -> _Recognised:
    if looks_like_events(content_type, plain) and len(plain) <= EVENTS_MAX_BYTES:
        return _Recognised("events", JsonText())
    if is_json(plain) and len(plain) <= TREE_MAX_BYTES:
        parsed = parse_json(plain)
        if not parsed.error:
            return _Recognised("json", parsed)
    kind = "binary" if _is_binary(plain[:_SNIFFED_BYTES]) else "text"
    return _Recognised(kind, JsonText())


def _is_binary(start: bytes) -> bool:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as exc:
        # Within the last four bytes it may be a character that the cut divided.
        if exc.start < len(start) - _LONGEST_UTF8_BYTES:
            return True
    return b"\0" in start
