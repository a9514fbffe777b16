"""Failures that the writer finds in stored responses: listed, filtered and counted as failed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from flows.models import Flow, UsageDaily
from flows.queries.filters import FlowFilter
from flows.record import WebSocketRecord
from flows.redaction.redactor import Redactor
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

pytestmark = pytest.mark.django_db
FAILED = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"m"}}\n\n'
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n'
)


def write(body: bytes, *, encoding: str = "", **changes: Any) -> Flow:
    headers = (("content-encoding", encoding),) if encoding else ()
    sides = (*flow().sides[:2], side("upstream", body, headers), side("delivered", body, headers))
    changes = {"client_format": "anthropic_messages", "sent_model": "m"} | changes
    record = flow(sides=sides, **changes)
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(record)])
    return Flow.objects.get()


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_failed_stream_is_listed_filtered_and_counted(encoding, client, admin_client):
    del client
    body = gzip.compress(FAILED) if encoding else FAILED
    row = write(body, encoding=encoding)
    assert (row.state, row.error, row.status_code) == ("error", "Overloaded", 200)
    assert FlowFilter({"error": True}, queryset=Flow.objects.all()).qs.count() == 1
    assert FlowFilter({"q": "overloaded"}, queryset=Flow.objects.all()).qs.count() == 1
    assert UsageDaily.objects.get().failed == 1
    page = admin_client.get("/flows/").content.decode()
    assert 'title="Overloaded"' in page


def test_an_error_with_status_200_is_a_failure():
    row = write(json.dumps({"error": {"code": 429, "message": "quota"}}).encode())
    assert (row.state, row.error) == ("error", "quota")


def test_a_good_answer_stays_good():
    row = write(b'{"content":[{"type":"tool_use","input":{"error":"x"}}],"usage":null}')
    assert (row.state, row.error) == ("done", "")


def test_other_traffic_is_not_judged():
    row = write(FAILED, client_format="")
    assert (row.state, row.error) == ("done", "")


def test_the_secrets_of_an_error_are_cut_out():
    key = "k3y-of-a-request-0a1b2c3d"
    body = json.dumps({"error": {"message": f"the key {key} is bad"}}).encode()
    request = side("client", b"{}", (("x-api-key", key),))
    record = flow(sides=(request, side("upstream", body)), client_format="openai_chat")
    built = RowBuilder(Redactor(SecretRegistry())).build(record)
    assert built.flow.state == "error"
    assert "is bad" in built.flow.error and key not in built.flow.error


def socket(*messages: Any, from_client: bool = False, **changes: Any) -> Flow:
    encoded = [json.dumps(message).encode() for message in messages]
    records = [
        WebSocketRecord(seq, 1.0, from_client, True, data) for seq, data in enumerate(encoded)
    ]
    changes = {"path": "/v1/realtime", "provider": "oai"} | changes
    record = flow(is_websocket=True, status_code=101, messages=tuple(records), **changes)
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(record)])
    return Flow.objects.get()


SOCKET_FAILURE = {
    "type": "response.failed",
    "response": {"error": {"message": "Overloaded", "padding": "x" * 100_000}},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"provider": "", "path": "/v1/responses", "client_format": "openai_responses"},
        {"provider": "", "path": "/v1/realtime?model=m"},
    ],
)
def test_a_failed_message_of_any_size_is_listed_filtered_and_counted(changes):
    row = socket({"type": "response.created"}, SOCKET_FAILURE, **changes)
    assert (row.state, row.error, row.status_code) == ("error", "Overloaded", 101)
    assert FlowFilter({"error": True}, queryset=Flow.objects.all()).qs.count() == 1
    assert UsageDaily.objects.get().failed == 1


def test_a_failed_websocket_is_listed_and_filtered_while_it_is_open(client, admin_client):
    del client
    row = socket({"type": "response.created"}, state="live", error="Overloaded")
    assert (row.state, row.error) == ("live", "Overloaded")
    found = FlowFilter({"error": True}, queryset=Flow.objects.all()).qs
    assert [flow.pk for flow in found] == [row.pk]
    assert not FlowFilter({"error": False}, queryset=Flow.objects.all()).qs.exists()
    assert 'title="Overloaded"' in admin_client.get("/flows/").content.decode()


@pytest.mark.parametrize("changes", [{"from_client": True}, {"provider": "", "path": "/chat"}])
def test_messages_of_others_are_no_failures(changes):
    row = socket(SOCKET_FAILURE, **changes)
    assert (row.state, row.error) == ("done", "")
