"""Import of captures of other tools into the record: HAR and mitmproxy files.

Redaction cuts secrets out of them as it does from live traffic.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import batched
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from flows.imports.har_reader import CaptureError, records_of_har
from flows.models import Flow
from flows.record import FlowRecord, Headers, SideRecord
from flows.redaction.redactor import Redactor
from flows.sides import FlowSide, write_parts
from flows.writer.batch import write_batch
from flows.writer.row_builder import FlowRows, RowBuilder
from providers.auth.registry import SECRETS

MAX_HAR_BYTES: Final = 256 * 1024 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SNIFFED_BYTES: Final = 64
_BATCH_FLOWS: Final = 25
_ENCODING: Final = "content-encoding"
_MAX_HEADER_CHARS: Final = 100
RETENTION_NOTE: Final = (
    "Retention counts the age of imported flows from their import, whatever their dates are."
)
_UNREAL: Final = (ValueError, TypeError, OverflowError, AttributeError, OSError)
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Imported:
    """Counts of an import: new flows, flows stored already, entries that are not flows.

    `problem` is a sentence if a file ended early. `notes` are sentences about the new flows.
    """

    new: int = 0
    known: int = 0
    skipped: int = 0
    problem: str = ""
    notes: list[str] = field(default_factory=list)


def import_file(path: Path) -> Imported:
    """Import a HAR or a mitmproxy capture; the first byte decides which one it is.

    Raises:
        CaptureError: the file cannot be read, or is neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
            file.seek(0)
            if not _starts_json(start):
                # mitmproxy takes a second to import, which the console would pay at its start.
                from flows.imports.mitmproxy_dump import records_of_mflow

                return import_records(records_of_mflow(file), decoded=False)
            data = file.read(MAX_HAR_BYTES + 1)
    except OSError as exc:
        raise CaptureError(f"{path} cannot be read: {exc.strerror}") from None
    return import_records(records_of_har(parsed_har(data)), decoded=True)


def _starts_json(start: bytes) -> bool:
    return start.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] in (b"{", b"[")


def parsed_har(data: bytes, max_bytes: int = MAX_HAR_BYTES) -> Any:
    """Parse the JSON of a HAR, with or without a byte order mark.

    Raises:
        CaptureError: too large, or not JSON.
    """
    if len(data) > max_bytes:
        raise CaptureError(f"This HAR is over {max_bytes // 1024**2} MB; split it first.")
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as exc:
        reason = str(exc)[:200] or type(exc).__name__
        raise CaptureError(f"This is not JSON: {reason}") from None


def import_records(records: Iterable[FlowRecord], *, decoded: bool) -> Imported:
    """Store the flows that are not stored yet.

    `decoded`: bodies come without their content encoding.

    Raises:
        CaptureError: not even one flow could be read.
    """
    builder = RowBuilder(Redactor(SECRETS))
    result = Imported()
    imported_at = timezone.now()
    readable = _until_problem(records, result)
    for batch in batched(readable, _BATCH_FLOWS):
        fresh = _not_stored(batch)
        rows = []
        for record in fresh:
            flow_rows = _built(builder, record, decoded=decoded)
            if flow_rows is not None:
                flow_rows.flow.imported_at = imported_at
                rows.append(flow_rows)
        write_batch(rows)
        result.new += len(rows)
        result.known += len(batch) - len(fresh)
        result.skipped += len(fresh) - len(rows)
    if result.problem and not result.new and not result.known:
        raise CaptureError(result.problem)
    if result.new:
        result.notes.append(RETENTION_NOTE)
    return result


def _not_stored(records: Iterable[FlowRecord]) -> list[FlowRecord]:
    """Return the records whose flows are not stored yet, each id once."""
    by_id = {record.id: record for record in records}
    stored = Flow.objects.filter(pk__in=by_id).values_list("pk", flat=True)
    for flow_id in stored:
        del by_id[flow_id]
    return list(by_id.values())


def _built(builder: RowBuilder, record: FlowRecord, *, decoded: bool) -> FlowRows | None:
    """Return the rows of a record; None for one with impossible times or types."""
    try:
        return _rows(builder, record, decoded=decoded)
    except _UNREAL:
        logger.info("An entry of a capture is not a flow and was left out", exc_info=True)
        return None


def _until_problem(records: Iterable[FlowRecord], result: Imported) -> Iterator[FlowRecord]:
    # The flows before the damage are worth keeping.
    try:
        yield from records
    except CaptureError as exc:
        result.problem = str(exc)


def _rows(builder: RowBuilder, record: FlowRecord, *, decoded: bool) -> FlowRows:
    """Return the rows of a record.

    Example: a HAR has `content-encoding: gzip` and the decoded text. The builder would try to
    decompress that text, so it gets the record without this header, and the header is put back.
    """
    if not decoded:
        return builder.build(record)
    sides = tuple(replace(side, headers=_without_encoding(side)) for side in record.sides)
    rows = builder.build(replace(record, sides=sides))
    rebuilt = rows.sides
    for row, side in zip(rebuilt, record.sides, strict=True):
        _restore_encoding(row, side)
    return replace(rows, parts=write_parts(rebuilt, rows.traces, rows.attempts))


def _without_encoding(side: SideRecord) -> Headers:
    lines = []
    for name, value in side.headers:
        if name.lower() != _ENCODING:
            lines.append((name, value))
    return tuple(lines)


def _restore_encoding(row: FlowSide, side: SideRecord) -> None:
    for index, (name, value) in enumerate(side.headers):
        if name.lower() != _ENCODING:
            continue
        line = [name[:_MAX_HEADER_CHARS], value[:_MAX_HEADER_CHARS]]
        row.headers = [*row.headers[:index], line, *row.headers[index:]]
        row.body_decoded = True
