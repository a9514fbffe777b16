"""A session's file as an HTTP response."""

from __future__ import annotations

from typing import Final

from django.http import StreamingHttpResponse

from flows.display.units import plural
from flows.export.har_response import streamed
from flows.export.session_kinds import SESSION_KINDS, file_name, session_pieces
from flows.queries.sessions import Session
from providers.audit.log import Caller, record_audit

_NO_SCRIPT: Final = "sandbox; default-src 'none'"


def session_response(session: Session, kind: str, *, by: Caller) -> StreamingHttpResponse:
    """Return a session as a download; the audit log gets a row, as for every export.

    The console's own origin never shows the file: its policy forbids all in case a browser would.
    """
    requests = plural(session.totals["requests"], "flow")
    entry = record_audit("export", requests, by=by, detail=SESSION_KINDS[kind].suffix)
    pieces = session_pieces(kind, session)
    response = streamed(pieces, SESSION_KINDS[kind].media_type, entry)
    response["Content-Disposition"] = f'attachment; filename="{file_name(session, kind)}"'
    response["Content-Security-Policy"] = _NO_SCRIPT
    return response
