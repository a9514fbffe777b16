"""HAR as an HTTP response that is written while it is sent."""

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

_CHUNK_BYTES: Final = 256 * 1024


def har_response(ids: Sequence[str], name: str = "ccproxy", *, by: Caller) -> StreamingHttpResponse:
    """Return the flows of these ids as a download; only one of them is in memory at a time.

    The audit log gets a row before the first byte, marked “done” after the last one.
    """
    entry = record_audit("export", plural(len(ids), "flow"), by=by, detail="HAR")
    response = streamed(har_text(rows_of(ids), load_flows(ids)), CONTENT_TYPE, entry)
    response["Content-Disposition"] = f'attachment; filename="{name}.har"'
    return response


def streamed(pieces: Iterator[bytes], media_type: str, entry: AuditEntry) -> StreamingHttpResponse:
    """Return parts as a response that no cache keeps; the last one settles the audit entry."""
    chunks = _settled(_grouped(pieces), entry)
    response = StreamingHttpResponse(_asynchronous(chunks), content_type=media_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def _settled(chunks: Iterator[bytes], entry: AuditEntry) -> Iterator[bytes]:
    yield from chunks
    settle_audit(entry, "done")


def _grouped(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Join parts to larger chunks: each chunk costs a switch to the database's thread and back."""
    group = bytearray()
    for part in parts:
        group += part
        if len(group) >= _CHUNK_BYTES:
            yield bytes(group)
            group.clear()
    yield bytes(group)


async def _asynchronous(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # Django reads a plain iterator to its end before it sends the first byte.
    next_chunk = sync_to_async(lambda: next(chunks, None))
    while (chunk := await next_chunk()) is not None:
        yield chunk
