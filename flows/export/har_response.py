"""A HAR as an HTTP answer that is written while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from flows.bodies.complete_flow import load_flows
from flows.display.units import plural
from flows.export.har import CONTENT_TYPE, har_text
from flows.queries.flow_set import rows_of
from providers.audit.log import Caller, record_audit, settle_audit
from providers.models import AuditEntry

_PIECE_BYTES: Final = 256 * 1024


def har_response(ids: Sequence[str], name: str = "ccproxy", *, by: Caller) -> StreamingHttpResponse:
    """The flows of these ids as a download; the server never holds more than a flow of it.

    The audit log gets a row before the first byte; it says “done” once the last one was made.
    """
    entry = record_audit("export", plural(len(ids), "flow"), by=by, detail="HAR")
    pieces = _settled(_grouped(har_text(rows_of(ids), load_flows(ids))), entry)
    response = StreamingHttpResponse(_asynchronous(pieces), content_type=CONTENT_TYPE)
    response["Content-Disposition"] = f'attachment; filename="{name}.har"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def _settled(pieces: Iterator[bytes], entry: AuditEntry) -> Iterator[bytes]:
    yield from pieces
    settle_audit(entry, "done")


def _grouped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Fewer, larger pieces: each one is a trip to the database's thread and back."""
    group = bytearray()
    for piece in pieces:
        group += piece
        if len(group) >= _PIECE_BYTES:
            yield bytes(group)
            group.clear()
    yield bytes(group)


async def _asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A plain iterator would be read to its end before the first byte is sent."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
