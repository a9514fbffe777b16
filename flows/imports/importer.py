"""Import of captures of other tools into the record: HAR and mitmproxy files.

Redaction cuts secrets out of them as it does from live traffic.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import batched
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from flows.display.units import plural
from flows.imports.capture_file import (
    MAX_HAR_BYTES,
    CaptureError,
    decompressed,
    is_har,
    json_text,
)
from flows.imports.captured_flow import CapturedFlow
from flows.imports.flow_line_reader import is_flow_lines, records_of_lines
from flows.imports.har_reader import records_of_har
from flows.models import Flow
from flows.record import FlowRecord, Headers, SideRecord
from flows.redaction.redactor import Redactor
from flows.sides import FlowSide, write_parts
from flows.writer.batch import write_batch
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SECRETS

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


@dataclass(slots=True)
class _Lacking:
    """Counts of new flows of which the file does not have everything."""

    times: int = 0
    bodies: int = 0

    def count(self, flow: CapturedFlow) -> None:
        self.times += not flow.has_time
        self.bodies += flow.lacks_bodies

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each kind."""
        if self.times:
            yield (
                f"The time of {plural(self.times, 'flow')} is unknown: the file has none that can "
                "be read. They are listed in the file's order."
            )
        if self.bodies:
            yield (
                f"The file does not have every body: of {plural(self.bodies, 'flow')} a request or "
                "a response is missing or cut."
            )


type Captured = Iterable[CapturedFlow | None]
"""Entries of a file; None for one that is no flow."""


def _as_they_are(records: Captured) -> Captured:
    return records


def import_file(path: Path, watch: Callable[[Captured], Captured] = _as_they_are) -> Imported:
    """Import a HAR, our own lines or a mitmproxy capture, compressed or not.

    The first bytes say which one it is.

    `watch` passes the entries on as they are read.

    Raises:
        CaptureError: the file cannot be read, or is neither.
    """
    try:
        with path.open("rb") as raw:
            file = decompressed(raw)
            if not is_har(file):
                # mitmproxy takes a second to import, which the console would pay at its start.
                from flows.imports.mitmproxy_dump import records_of_mflow

                return import_records(watch(records_of_mflow(file)), decoded=False)
            data = file.read(MAX_HAR_BYTES + 1)
    except OSError as exc:
        raise CaptureError(f"{path} cannot be read: {exc.strerror}") from None
    if is_flow_lines(data):
        if len(data) > MAX_HAR_BYTES:
            raise CaptureError(f"This file is over {MAX_HAR_BYTES // 1024**2} MB; split it first.")
        return import_records(watch(records_of_lines(data)), decoded=True)
    return import_records(watch(records_of_har(parsed_har(data))), decoded=True)


def parsed_har(data: bytes, max_bytes: int = MAX_HAR_BYTES) -> Any:
    """Parse the JSON of a HAR, in any Unicode encoding, with or without a byte order mark.

    Raises:
        CaptureError: too large, or not JSON.
    """
    if len(data) > max_bytes:
        raise CaptureError(f"This HAR is over {max_bytes // 1024**2} MB; split it first.")
    try:
        return json.loads(json_text(data))
    except (ValueError, RecursionError) as exc:
        reason = str(exc)[:200] or type(exc).__name__
        raise CaptureError(f"This is not JSON: {reason}") from None


def import_records(records: Iterable[CapturedFlow | None], *, decoded: bool) -> Imported:
    """Store the flows that are not stored yet.

    `decoded`: bodies come without their content encoding.

    Raises:
        CaptureError: not even one flow could be read.
    """
    builder = RowBuilder(Redactor(SECRETS))
    result = Imported()
    lacking = _Lacking()
    imported_at = timezone.now()
    readable = _until_problem(records, result)
    for batch in batched(readable, _BATCH_FLOWS):
        captured = [flow for flow in batch if flow is not None]
        fresh = _not_stored(captured)
        rows = []
        for flow in fresh:
            flow_rows = _built(builder, flow, decoded=decoded)
            if flow_rows is not None:
                flow_rows.flow.imported_at = imported_at
                rows.append(flow_rows)
                lacking.count(flow)
        write_batch(rows)
        result.new += len(rows)
        result.known += len(captured) - len(fresh)
        result.skipped += len(batch) - len(captured) + len(fresh) - len(rows)
    if result.problem and not result.new and not result.known:
        raise CaptureError(result.problem)
    if result.new:
        result.notes = [RETENTION_NOTE, *lacking.notes()]
    return result


def _not_stored(captured: Iterable[CapturedFlow]) -> list[CapturedFlow]:
    """Return the flows that are not stored yet, each id once."""
    by_id = {flow.record.id: flow for flow in captured}
    stored = Flow.objects.filter(pk__in=by_id).values_list("pk", flat=True)
    for flow_id in stored:
        del by_id[flow_id]
    return list(by_id.values())


def _built(builder: RowBuilder, captured: CapturedFlow, *, decoded: bool) -> FlowRows | None:
    """Return the rows of a flow; None for one with impossible times or types."""
    try:
        rows = _rows(builder, captured.record, decoded=decoded)
    except _UNREAL:
        logger.info("An entry of a capture is not a flow and was left out", exc_info=True)
        return None
    for name, value in captured.columns.items():
        setattr(rows.flow, name, value)
    return rows


def _until_problem(
    records: Iterable[CapturedFlow | None], result: Imported
) -> Iterator[CapturedFlow | None]:
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
