"""A body prepared for the page: decoded with a cap, recognised, and cut to what a browser can
show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from django.utils.safestring import SafeString

from flows.bytes.decode import decode
from flows.display import json_tree
from flows.display.safe_text import printable, visible
from flows.display.units import size
from flows.reading.answer_text import AnswerReader, JsonText, Piece, joined, parse_json, pieces_of
from flows.reading.sse_events import looks_like_events
from flows.sides import FlowSide, header

SHOWN_CHARS: Final = 200_000
TREE_MAX_BYTES: Final = 8 * 1024 * 1024
EVENTS_MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyView:
    """What a template needs of one body. `kind`: empty, lost, json, events, text, binary."""

    source: str
    kind: str
    size_bytes: int = 0
    plain: bytes = b""
    notes: list[str] = field(default_factory=list)
    json: JsonText = field(default_factory=JsonText)
    compressed: bool = False

    @property
    def text(self) -> SafeString:
        """The first part of the body as visible text."""
        return visible(
            self.plain[: 4 * SHOWN_CHARS].decode("utf-8", "surrogateescape")[:SHOWN_CHARS]
        )

    @property
    def cut(self) -> bool:
        """Whether `text` is only the first part."""
        return len(self.plain) > SHOWN_CHARS

    def tree(self, url: str) -> SafeString:
        """Folded JSON."""
        return json_tree.tree(self.json.value, url)

    def answer(self) -> list[Piece]:
        """The readable part of an answer."""
        if self.kind == "json":
            try:
                return joined(pieces_of(self.json.value))
            except (AttributeError, TypeError):
                return []
        if self.kind == "events":
            reader = AnswerReader("identity")
            return joined([*reader.feed(self.plain), *reader.finish()])
        return []


def side_body(side: FlowSide | None, bodies: dict[str, bytes]) -> BodyView:
    """The body of one side."""
    if side is None:
        return BodyView("", "empty")
    stored = bodies.get(side.body_digest)
    if stored is None:
        return BodyView(
            side.side, "lost" if side.body_size_bytes else "empty", side.body_size_bytes
        )
    encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
    notes = []
    if side.body_truncated:
        notes.append(
            f"Only the first {size(len(stored))} of {size(side.body_size_bytes)} were kept."
        )
    if side.body_redacted:
        notes.append("A credential was cut out of the stored bytes.")
    content_type = header(side.headers, "content-type")
    return body_view(side.side, stored, content_type, encoding, notes, side.body_size_bytes)


def body_view(
    source: str,
    stored: bytes,
    content_type: str = "",
    encoding: str = "",
    notes: list[str] | None = None,
    size_bytes: int | None = None,
) -> BodyView:
    """Any stored bytes, recognised by their type or by how they look."""
    plain, notes = stored, list(notes or [])
    compressed = encoding.strip().lower() not in ("", "identity")
    if compressed:
        decoded = decode(stored, encoding)
        if decoded.capped:
            notes.append(
                f"Too large: only the first {size(len(decoded.data))} of the decoded body are"
                " shown."
            )
        elif not decoded.complete:
            notes.append(
                f"The {printable(encoding)} encoding is damaged or unknown; shown as far as it"
                " could be read."
            )
        plain = decoded.data or stored
    total = len(stored) if size_bytes is None else size_bytes
    if not plain:
        return BodyView(source, "empty", total)
    kind, parsed = _recognise(plain, content_type)
    return BodyView(source, kind, total, plain, notes, parsed, compressed)


def _recognise(plain: bytes, content_type: str) -> tuple[str, JsonText]:
    if looks_like_events(content_type, plain) and len(plain) <= EVENTS_MAX_BYTES:
        return "events", JsonText()
    if plain.lstrip()[:1] in (b"{", b"[") and len(plain) <= TREE_MAX_BYTES:
        parsed = parse_json(plain)
        if not parsed.error:
            return "json", parsed
    try:
        plain[:65536].decode("utf-8")
    except UnicodeDecodeError as exc:
        if exc.start < min(len(plain), 65536) - 4:  # not merely a character cut in two
            return "binary", JsonText()
    return ("binary" if b"\0" in plain[:65536] else "text"), JsonText()
