"""Sides and traces are read as they were written, and a flow's references are those of its last
record.
"""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from flows.models import BodyRef, Flow, FlowBody
from flows.queries.filters import FlowFilter
from flows.record import FlowRecord, HookStep
from flows.redaction.redactor import Redactor
from flows.sides import FlowSide, HookTrace, read_sides, read_traces, write_parts
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, live, side

LINES = [["x-a", "1"], ["x-name", 'grün "quoted" \\']]
SIDES = [
    FlowSide(
        "client", "HTTP/1.1", "POST", "http://h/", headers=LINES, body_digest="d", body_size_bytes=3
    ),
    FlowSide("forwarded", headers=LINES, body_truncated=True),
    FlowSide("upstream", status_code=0, reason="", trailers=[["t", "1"]], chunk_times=[[0, 0.5]]),
    FlowSide("delivered", status_code=200, headers=[], body_redacted=True, body_decoded=True),
]
TRACES = [
    HookTrace(
        0,
        "inbound",
        "h",
        "ran",
        prepare_ms=0.1,
        changed=["body"],
        headers_before=LINES,
        headers_after=[],
    ),
    HookTrace(
        3,
        "outbound",
        "i",
        "error",
        "why",
        headers_before=None,
        headers_after=[["x-b", "2"]],
        body_after="e",
    ),
    HookTrace(4, url_before="/a", url_after="/b"),
]


def build(record: FlowRecord) -> None:
    """Store a record as a writer that knows nothing of those before."""
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(record)])


def test_what_was_written_is_read() -> None:
    parts = write_parts(SIDES, TRACES)
    assert list(read_sides(parts.headers, parts.sides).values()) == SIDES
    assert read_traces(parts.headers, parts.steps) == TRACES
    assert orjson.loads(parts.headers) == [LINES, []], (
        "equal lists stand there once, and those of hooks elsewhere"
    )


def test_nothing_is_something_too() -> None:
    parts = write_parts([], [])
    assert (read_sides(parts.headers, parts.sides), read_traces(parts.headers, parts.steps)) == (
        {},
        [],
    )


def test_what_no_database_takes_is_spelled_out() -> None:
    odd = [["caf\udce9", "a\0b"], ["x", "\\u0000"]]
    parts = write_parts(
        [FlowSide("client", reason="\ud800", headers=odd)], [HookTrace(0, hook="\0")]
    )
    assert "\0" not in "".join((parts.headers, parts.sides, parts.steps))
    found = read_sides(parts.headers, parts.sides)["client"]
    assert (found.reason, found.headers) == ("\\ud800", [["caf\\xe9", "a\\x00b"], ["x", "\\u0000"]])
    assert read_traces(parts.headers, parts.steps)[0].hook == "\\x00"


@pytest.mark.django_db
def test_a_flow_needs_the_bodies_of_its_last_record_alone() -> None:
    partial = side(
        "delivered",
        b"data: the first half of an answer that is long enough to be worth its place\n\n",
    )
    step = HookStep(
        "inbound",
        "h",
        "ran",
        changed=("body",),
        body_before=b"before " * 20,
        body_after=b"after " * 20,
    )
    build(replace(live(), sides=(*live().sides, partial), hooks=(step,)))
    assert (BodyRef.objects.count(), FlowBody.objects.count()) == (4, 4)
    build(flow())
    needed = {one.body_digest for one in Flow.objects.get().sides.values()}
    assert set(BodyRef.objects.values_list("digest", flat=True)) == needed
    assert set(FlowBody.objects.values_list("pk", flat=True)) == needed


@pytest.mark.django_db
def test_a_body_stays_while_another_flow_needs_it() -> None:
    build(flow("one"))
    build(flow("two"))
    build(flow("one", sides=(side("client", b""),)))
    assert set(BodyRef.objects.values_list("flow_id", flat=True)) == {"two"}
    assert FlowBody.objects.count() == 2


@pytest.mark.django_db
def test_the_header_filter_finds_headers_of_sides_and_nothing_else() -> None:
    step = HookStep(
        "inbound",
        "h",
        "ran",
        headers_before=(("x-before", "only-a-hook-saw-it"),),
        reason="needle-reason",
    )
    trailed = side(
        "delivered",
        b"",
        (("x-here", "Needle"),),
        trailers=(("x-trailer", "trailed"),),
        reason="Fine",
    )
    build(flow(sides=(side("client", b"", url="https://h/needle-url"), trailed), hooks=(step,)))

    def found(header: str) -> bool:
        return bool(FlowFilter({"header": header}, queryset=Flow.objects.all()).qs)

    assert found("x-here: needle") and found("needle") and found("X-HERE:")
    others = (
        "only-a-hook-saw-it",
        "x-before:",
        "needle-reason",
        "needle-url",
        "trailed",
        "client",
        "delivered",
        "side",
    )
    assert [header for header in others if found(header)] == []
