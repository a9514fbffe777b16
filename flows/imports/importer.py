"""Takes captures of other tools into the record: HAR and mitmproxy files.

Secrets are cut out as from live traffic.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path
from typing import Any, Final

from flows.imports.har import CaptureError, records_of_har
from flows.models import Flow
from flows.record import FlowRecord, Headers, SideRecord
from flows.redaction.redactor import Redactor
from flows.sides import write_parts
from flows.writer.batch import write_batch
from flows.writer.row_builder import FlowRows, RowBuilder
from providers.auth.registry import SECRETS

MAX_HAR_BYTES: Final = 256 * 1024 * 1024
_BATCH_FLOWS: Final = 25
_ENCODING: Final = "content-encoding"
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Imported:
    """How many flows came in, how many were there already, and how many entries make no flow.

    `problem` says where a file ended too early.
    """

    new: int = 0
    known: int = 0
    skipped: int = 0
    problem: str = ""


def import_file(path: Path) -> Imported:
    """Import a HAR or a mitmproxy capture, told apart by their first byte.

    Raises:
        CaptureError: the file cannot be read, or is neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            file.seek(0)
            if start not in (b"{", b"["):
                from flows.imports.mitmproxy_dump import records_of_mflow

                return import_records(records_of_mflow(file), decoded=False)
            data = file.read(MAX_HAR_BYTES + 1)
    except OSError as exc:
        raise CaptureError(f"{path} cannot be read: {exc.strerror}") from None
    return import_records(records_of_har(parsed_har(data)), decoded=True)


def parsed_har(data: bytes) -> Any:
    """JSON of a HAR, a byte order mark in front allowed.

    Raises:
        CaptureError: too large, or no JSON.
    """
    if len(data) > MAX_HAR_BYTES:
        raise CaptureError(f"This HAR is over {MAX_HAR_BYTES // 1024**2} MB; split it first.")
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as exc:
        raise CaptureError(f"This is no JSON: {str(exc)[:200] or type(exc).__name__}") from None


def import_records(records: Iterable[FlowRecord], *, decoded: bool) -> Imported:
    """Store the flows that are not there yet. `decoded`: bodies come without their content
    encoding.

    Raises:
        CaptureError: not even one flow could be read.
    """
    builder = RowBuilder(Redactor(SECRETS))
    found = Imported()
    for batch in batched(_until_problem(records, found), _BATCH_FLOWS):
        unique = {record.id: record for record in batch}
        known = set(Flow.objects.filter(pk__in=unique).values_list("pk", flat=True))
        fresh = [record for key, record in unique.items() if key not in known]
        rows = [built for record in fresh if (built := _built(builder, record, decoded=decoded))]
        write_batch(rows)
        found.new += len(rows)
        found.known += len(batch) - len(fresh)
        found.skipped += len(fresh) - len(rows)
    if found.problem and not found.new and not found.known:
        raise CaptureError(found.problem)
    return found


def _built(builder: RowBuilder, record: FlowRecord, *, decoded: bool) -> FlowRows | None:
    """The rows of a record; None for one that no real traffic makes, with times or types that
    cannot be.
    """
    try:
        return _rows(builder, record, decoded=decoded)
    except (ValueError, TypeError, OverflowError, AttributeError, OSError):
        logger.info("An entry of a capture makes no flow and was left out", exc_info=True)
        return None


def _until_problem(records: Iterable[FlowRecord], found: Imported) -> Iterator[FlowRecord]:
    try:
        yield from records
    except CaptureError as exc:
        found.problem = str(exc)


def _rows(builder: RowBuilder, record: FlowRecord, *, decoded: bool) -> FlowRows:
    """The rows of a record.

    A header that names an encoding the bytes no longer have is put back after packing.
    """
    if not decoded:
        return builder.build(record)
    sides = tuple(replace(side, headers=_without_encoding(side)) for side in record.sides)
    rows = builder.build(replace(record, sides=sides))
    rebuilt = rows.sides
    for row, side in zip(rebuilt, record.sides, strict=True):
        for place, (name, value) in enumerate(side.headers):
            if name.lower() == _ENCODING:
                row.headers = [
                    *row.headers[:place],
                    [name[:100], value[:100]],
                    *row.headers[place:],
                ]
                row.body_decoded = True
    return replace(rows, parts=write_parts(rebuilt, rows.traces))


def _without_encoding(side: SideRecord) -> Headers:
    return tuple(line for line in side.headers if line[0].lower() != _ENCODING)
