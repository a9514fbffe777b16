"""Round trip of our own files: what the export writes comes back the same."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.bodies.complete_flow import load_flow, load_flows
from flows.export.har import har_text
from flows.imports.har_reader import records_of_har
from flows.imports.importer import import_records, parsed_har
from flows.models import Flow
from flows.queries.flow_set import rows_of
from flows.record import SIDES, FlowRecord, SideRecord, WebSocketRecord
from flows.redaction.redactor import Redactor
from flows.services import clear_ids
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import EPOCH, flow

pytestmark = pytest.mark.django_db
_numbers = itertools.count()
COLUMNS = (
    "state", "method", "host", "path", "client_url", "forwarded_url", "user_agent",
    "client_format", "provider_format", "action", "provider", "rule", "route", "requested_model",
    "sent_model", "session_id", "status_code", "is_stream", "is_websocket", "error", "event_count",
    "connect_ms", "first_byte_ms", "first_event_ms", "duration_ms", "request_size_bytes",
    "response_size_bytes", "input_tokens", "output_tokens", "run_label", "run_command", "ja3",
    "ja4", "started_at",
)  # fmt: skip
BODIES = st.sampled_from(
    [
        b"",
        b"plain",
        b"\xff\x00binary",
        b"abcd",
        b"data:application/json;base64,e30=",
        b'{"model": "m"}',
        b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
        b"event: a\ndata: 1\n\ndata: 2\n\n",
        "ü\u2028".encode(),
    ]
)
TYPES = st.sampled_from(["", "application/json", "text/event-stream", "Text/Event-Stream"])
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
MS = st.none() | st.integers(0, 5000).map(float)


@st.composite
def sides(draw: st.DrawFn, *names: str) -> tuple[SideRecord, ...]:
    found = []
    for name in names:
        body: bytes | None = draw(BODIES)
        content_type = draw(TYPES)
        headers = (("content-type", content_type),) if content_type else ()
        size = len(body or b"")
        fate = draw(st.sampled_from(["kept", "kept", "cut", "lost"]))
        if fate == "lost":
            body, size = None, 900
        elif fate == "cut" and body:
            size += 900
        record = SideRecord(
            side=name,  # type: ignore[arg-type]
            http_version="HTTP/2.0",
            headers=headers,
            body=body,
            body_size_bytes=size,
            body_truncated=fate == "cut" and bool(body),
        )
        if name in ("client", "forwarded"):
            url = f"https://{name}.example/v1/x?n={name}"
            record = replace(record, method="PUT", url=url)
        else:
            status = draw(st.sampled_from([200, 204, 404, 503]))
            record = replace(record, status_code=status, reason="Because")
        found.append(record)
    return tuple(found)


MESSAGES = st.lists(
    st.builds(
        WebSocketRecord,
        seq=st.just(0),
        at_ms=st.integers(0, 5000).map(float),
        from_client=st.booleans(),
        is_text=st.booleans(),
        content=st.binary(max_size=6) | st.sampled_from([b"abcd", b"{}"]),
    ),
    max_size=3,
)


@st.composite
def flows(draw: st.DrawFn) -> FlowRecord:
    names = draw(st.sampled_from([SIDES, SIDES[:1], SIDES[:2], SIDES[:3], ("client", "delivered")]))
    of_flow = draw(sides(*names))
    response = next((side for side in of_flow if side.side == "delivered"), None)
    messages = draw(MESSAGES)
    numbered = [replace(message, seq=seq) for seq, message in enumerate(messages)]
    error = draw(st.sampled_from(["", "the provider closed"]))
    client = of_flow[0]
    forwarded = next((side for side in of_flow if side.side == "forwarded"), client)
    return flow(
        str(uuid.UUID(int=next(_numbers))),
        state="error" if error else "done",
        error=error,
        started_at=EPOCH,
        method="PUT",
        host=forwarded.url.split("/")[2],
        path="/v1/x?n=client",
        client_url=client.url,
        forwarded_url=forwarded.url,
        status_code=response.status_code if response else None,
        sides=of_flow,
        is_websocket=bool(messages),
        messages=tuple(numbered),
        is_stream=draw(st.booleans()),
        event_count=draw(st.integers(0, 9)),
        connect_ms=draw(MS),
        first_byte_ms=draw(MS),
        first_event_ms=draw(MS),
        duration_ms=draw(MS),
        session_id=draw(WORDS),
        run_label=draw(WORDS),
        provider=draw(WORDS),
        requested_model=draw(WORDS),
        sent_model=draw(WORDS),
        ja4="t13d",
    )


def stored(flow_id: str) -> dict[str, Any]:
    """Everything of a flow that a file can hold."""
    complete = load_flow(flow_id)
    assert complete is not None
    found = {name: getattr(complete.flow, name) for name in COLUMNS}
    for name, side in complete.sides.items():
        found[name] = (
            side.method, side.url, side.status_code, side.reason, side.headers, side.http_version,
            side.body_size_bytes, side.body_truncated, complete.stored(side),
        )  # fmt: skip
    found["messages"] = [
        (
            message.from_client,
            message.is_text,
            round(message.at_ms),
            complete.bodies.get(message.body_digest),
        )
        for message in complete.messages
    ]
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    names = before.keys() | after.keys()
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=flows())
def test_what_the_export_writes_comes_back_the_same(record: FlowRecord) -> None:
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(record)])
    before = stored(record.id)
    data = b"".join(har_text(rows_of([record.id]), load_flows([record.id])))
    clear_ids([record.id])
    assert not Flow.objects.filter(pk=record.id).exists()
    assert import_records(records_of_har(parsed_har(data)), decoded=True).new == 1
    assert differences(before, stored(record.id)) == {}
    assert Flow.objects.get(pk=record.id).source == "import"
