"""`flow_detail`: the log's lines about each flow."""

from __future__ import annotations

import gzip
import logging

import pytest

from flows.record import FlowRecord, SideRecord, WebSocketRecord
from flows.redaction.redactor import Redactor, mark
from interceptor.operate.flow_log import CUT_CHARS, FlowLog, flow_lines
from providers.auth.registry import SecretRegistry

KEY = "real-key-0a1b2c3d456789ef"
RECORD = FlowRecord(
    id="f1",
    state="done",
    started_at=0,
    method="POST",
    client_url="http://127.0.0.1:4000/v1/messages?key=AIza0123456789abcdef",
    forwarded_url="https://api.example/v1/messages",
    status_code=200,
    duration_ms=912.4,
    sides=(
        SideRecord("client", headers=(("x-api-key", KEY),), body=b"x" * 3000),
        SideRecord(
            "delivered",
            headers=(("content-encoding", "gzip"),),
            body=gzip.compress(f"you sent {KEY}".encode()),
        ),
    ),
    messages=(WebSocketRecord(0, 1.0, True, True, b"hello"),),
)


def lines(detail: int, record: FlowRecord = RECORD) -> list[str]:
    return list(flow_lines(record, detail, Redactor(SecretRegistry())))


def test_one_is_the_request_and_its_status() -> None:
    (line,) = lines(1)
    assert line.startswith("POST http://127.0.0.1:4000/v1/messages?key=‹redacted ")
    assert line.endswith(" → https://api.example/v1/messages: 200, 912 ms")


def test_two_adds_headers() -> None:
    assert lines(2)[1:] == [
        f"client x-api-key: {mark(KEY)}",
        "delivered content-encoding: gzip",
    ]


def test_three_adds_the_beginning_of_bodies_and_messages() -> None:
    found = lines(3)
    assert f"client body: {'x' * CUT_CHARS}… (3000 characters)" in found
    assert f"delivered body: you sent {mark(KEY)}" in found
    assert found[-1] == "client message: hello"


def test_four_cuts_nothing() -> None:
    assert f"client body: {'x' * 3000}" in lines(4)


@pytest.mark.parametrize("detail", [1, 2, 3, 4])
def test_no_secret_is_written(detail: int) -> None:
    text = "\n".join(lines(detail))
    assert KEY not in text
    assert "AIza0123456789abcdef" not in text


def test_a_flow_without_a_response_says_why() -> None:
    failed = FlowRecord(
        id="f2", state="error", started_at=0, method="GET", client_url="http://h/", error="no route"
    )
    assert lines(1, failed) == ["GET http://h/: no response, no route"]


async def test_it_is_written_when_the_flow_ends(caplog: pytest.LogCaptureFixture) -> None:
    log = FlowLog(1, Redactor(SecretRegistry()))
    with caplog.at_level(logging.INFO):
        log.started(RECORD)
        log.progress(RECORD)
        log.finished(RECORD)
        await log.close()
    (written,) = caplog.records
    assert written.getMessage().startswith("POST ")
    assert written.__dict__["flow"] == "f1"
