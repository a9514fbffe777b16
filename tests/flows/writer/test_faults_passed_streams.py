"""Facts of recorded responses that pass unchanged, whatever label, junk and encoding they have."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reading.body_view import body_view
from flows.reading.decoded import read_answer
from flows.reading.sse_events import count_events, looks_like_events
from flows.reading.token_usage import HEAD_BYTES, TAIL_BYTES, usage_of_body
from flows.record import FlowRecord, WebSocketRecord
from flows.redaction.redactor import Redactor
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.sse import SseParser
from tests.flows.records import flow, side

MESSAGE = {
    "type": "message",
    "id": "i",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hey", "annotations": []}],
}
DONE = {
    "type": "response.completed",
    "response": {
        "id": "r",
        "status": "completed",
        "model": "m",
        "error": None,
        "output": [],
        "usage": {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13},
    },
}
STREAMS: dict[WireFormatName, list[dict[str, Any] | str]] = {
    ANTHROPIC_MESSAGES: [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "m", "usage": {"input_tokens": 11, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hey"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ],
    OPENAI_CHAT: [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "hey"}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 2}},
        "[DONE]",
    ],
    OPENAI_RESPONSES: [
        {"type": "response.created", "response": {"id": "r", "model": "m", "error": None}},
        # The Codex backend sends a text in deltas or only here.
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        DONE,
    ],
    GOOGLE_GENERATE: [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "hey"}]}}]},
        {
            "candidates": [{"finishReason": "STOP", "index": 0}],
            "modelVersion": "m",
            "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 2},
        },
    ],
}
FINISHES = {
    ANTHROPIC_MESSAGES: "end_turn",
    OPENAI_CHAT: "stop",
    OPENAI_RESPONSES: "completed",
    GOOGLE_GENERATE: "STOP",
}
FORMATS = list(STREAMS)
COMMENTS = [": OPENROUTER PROCESSING", ": keep-alive", ":"]
# No event, and an event that says nothing.
JUNK = ["data: ping", "event: ping\ndata: {}", "data: null", "event: codex.rate_limits\ndata: {}"]
LABELS = ["text/event-stream", "text/event-stream; charset=utf-8", "", "text/plain", "application/json"]  # fmt: skip
WIRE = st.sampled_from(FORMATS)


@st.composite
def bodies(draw: Any, wire: WireFormatName) -> bytes:
    """A stream with junk between its events, in one of the line ends."""
    blocks: list[str] = []
    for event in STREAMS[wire]:
        blocks += draw(st.lists(st.sampled_from([*COMMENTS, *JUNK]), max_size=2))
        data = event if isinstance(event, str) else json.dumps(event)
        # Anthropic's and OpenAI's newer events have names, which repeat their types.
        is_named = isinstance(event, dict) and "type" in event and draw(st.booleans())
        name = f"event: {event['type']}\n" if is_named else ""  # type: ignore[index]
        blocks.append(f"{name}data: {data}")
    text = "\n\n".join(blocks) + draw(st.sampled_from(["", "\n", "\n\n", "\n\n\n"]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    start = draw(st.sampled_from(["", "\ufeff", "\n\n"]))
    whole: str = (start + text).replace("\n", end)
    return whole.encode()


def row_of(body: bytes, **changes: Any) -> FlowRows:
    encoding = changes.pop("encoding", "")
    headers = (("content-encoding", encoding),) if encoding else ()
    sides = (*flow().sides[:2], side("upstream", body, headers), side("delivered", body, headers))
    return build(flow(sides=sides, is_stream=True, **changes))


def build(record: FlowRecord) -> FlowRows:
    return RowBuilder(Redactor(SecretRegistry())).build(record)


def parsed_count(body: bytes) -> int:
    parser = SseParser()
    return len([*parser.feed(body), *parser.flush()])


@given(data=st.data(), wire=WIRE, label=st.sampled_from(LABELS))
def test_a_stream_is_read_whatever_surrounds_its_events(
    data: Any, wire: WireFormatName, label: str
) -> None:
    body = data.draw(bodies(wire))
    row = row_of(body, client_format=wire).flow
    assert (row.state, row.error) == ("done", "")
    assert (row.input_tokens, row.output_tokens) == (11, 2)
    assert row.search_text.endswith("\nhey")
    view = body_view("upstream", body, label)
    assert (view.kind, view.answer()) == ("events", [("text", "hey")])
    answer = read_answer(wire, body, 200)
    assert (answer.finish, answer.complete, answer.note) == (FINISHES[wire], True, "")
    assert looks_like_events(label, body)
    assert count_events(body) == parsed_count(body)


@given(data=st.data(), wire=WIRE, encoding=st.sampled_from(["gzip", "deflate"]))
def test_a_compressed_stream_is_counted_by_the_writer(
    data: Any, wire: WireFormatName, encoding: str
) -> None:
    body = data.draw(bodies(wire))
    squeezed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    row = row_of(squeezed, client_format=wire, encoding=encoding).flow
    assert row.event_count == parsed_count(body)
    assert (row.input_tokens, row.output_tokens) == (11, 2)
    assert row.search_text.endswith("\nhey")


@pytest.mark.parametrize("label", LABELS)
def test_json_is_no_stream_whatever_its_label(label: str) -> None:
    body = b"\n" * 500 + json.dumps(DONE["response"]).encode()
    assert not looks_like_events(label, body)
    assert body_view("upstream", body, label).kind == "json"
    assert row_of(body).flow.input_tokens == 11
    assert read_answer(OPENAI_RESPONSES, body, 200).finish == "completed"


@pytest.mark.parametrize(
    "text", ["id: 5\nname: x\n", "data: is the new oil\n", ": a\n", "error: x"]
)
def test_other_texts_are_no_streams(text: str) -> None:
    assert not looks_like_events("text/plain", text.encode())


@pytest.mark.parametrize("wire", [OPENAI_RESPONSES, OPENAI_CHAT])
def test_the_usage_of_a_last_event_of_any_length_is_read(wire: WireFormatName) -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "x" * 1000}
    filler = b"data: " + json.dumps(delta).encode() + b"\n\n"
    last = {"padding": "y" * (TAIL_BYTES + 9)}
    last |= DONE if wire == OPENAI_RESPONSES else STREAMS[OPENAI_CHAT][2]  # type: ignore[arg-type]
    body = filler * (HEAD_BYTES // 1000 + 9) + b"data: " + json.dumps(last).encode() + b"\n\n"
    metered = usage_of_body(body)
    assert metered is not None
    assert (metered.usage.input_tokens, metered.usage.output_tokens) == (11, 2)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"type": "response.create", "model": "m-1", "input": []}, "/v1/responses"),
        ({"type": "response.create", "response": {"model": "m-1"}}, "/v1/responses"),
        ({"type": "session.update", "session": {"model": "m-1"}}, "/v1/realtime"),
        ({"type": "response.create"}, "/v1/realtime?model=m-1"),
    ],
)
def test_the_model_of_a_websocket_is_recorded(message: dict[str, Any], path: str) -> None:
    first = WebSocketRecord(0, 1.0, True, True, json.dumps(message).encode())
    values: dict[str, Any] = {"is_websocket": True, "requested_model": "", "messages": (first,)}
    row = build(flow(path=path, provider="oai", sides=flow().sides[:2], **values)).flow
    assert row.requested_model == "m-1"
    other = build(flow(path="/chat?model=m-1", sides=flow().sides[:2], **values)).flow
    assert other.requested_model == ""
