"""Kinds of files that a session is exported as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from flows.bodies.complete_flow import load_flows
from flows.export.flow_lines import CONTENT_TYPE as LINES_TYPE
from flows.export.flow_lines import flow_lines
from flows.export.session_file import CONTENT_TYPE as HTML_TYPE
from flows.export.session_file import session_html
from flows.export.session_markdown import CONTENT_TYPE as MARKDOWN_TYPE
from flows.export.session_markdown import session_markdown
from flows.queries.sessions import Session, flows_of
from providers.base.errors import CcproxyError


class SessionKind(NamedTuple):
    """The suffix of a kind's files, its media type, and its name for people."""

    suffix: str
    media_type: str
    label: str


SESSION_KINDS: Final = {
    "html": SessionKind("html", HTML_TYPE, "One HTML file, which opens offline"),
    "markdown": SessionKind("md", MARKDOWN_TYPE, "The conversation as Markdown"),
    "jsonl": SessionKind("jsonl", LINES_TYPE, "All flows, for another ccproxy to import"),
}


def session_pieces(kind: str, session: Session) -> Iterator[bytes]:
    """Write a session; the lines cover all of its flows, the other kinds its newest 500."""
    if kind == "jsonl":
        ids = [row.flow.pk for row in session.rows]
        if session.left_out:
            of_session = flows_of(session.id).order_by("started_at", "id")
            ids = list(of_session.values_list("pk", flat=True))
        yield from flow_lines(load_flows(ids, steps=True))
        return
    text = session_html(session) if kind == "html" else session_markdown(session)
    # Bytes that are not UTF-8 become question marks.
    yield text.encode("utf-8", "replace")


def kind_of(path: Path) -> str:
    """Return the kind that a file's suffix names: "x.html" → "html".

    Raises:
        CcproxyError: none of them.
    """
    wanted = path.suffix.lower().removeprefix(".")
    for name, kind in SESSION_KINDS.items():
        if wanted == kind.suffix:
            return name
    suffixes = ", ".join(f".{kind.suffix}" for kind in SESSION_KINDS.values())
    raise CcproxyError(f"The file's name has to end in one of {suffixes}.")


def file_name(session: Session, kind: str) -> str:
    """Return a name for a download: the session's id as far as a name may hold it."""
    letters = [one for one in session.id[:36] if one.isascii() and (one.isalnum() or one in "-_")]
    return f"session-{''.join(letters) or 'export'}.{SESSION_KINDS[kind].suffix}"
