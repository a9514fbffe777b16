"""Streams cut at any byte: the text that arrived is shown, and no sentence blames the provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.reading.decoded import read_answer
from providers.base.names import WireFormatName
from providers.wire.core.ir import Text, Thinking, ToolCall


def anthropic() -> list[dict[str, Any]]:
    def delta(index: int, **fields: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": fields}

    def start(index: int, **block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    return [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
        start(0, type="thinking", thinking=""),
        delta(0, type="thinking_delta", thinking="I think so."),
        start(1, type="text", text=""),
        delta(1, type="text_delta", text="Hello "),
        delta(1, type="text_delta", text="world."),
        start(2, type="tool_use", id="t1", name="Bash", input={}),
        delta(2, type="input_json_delta", partial_json='{"command": "ls'),
    ]


def chat() -> list[dict[str, Any]]:
    call = {
        "index": 0,
        "id": "call_1",
        "function": {"name": "Bash", "arguments": '{"command": "ls'},
    }
    deltas: list[dict[str, Any]] = [
        {"content": "Hello "},
        {"content": "world."},
        {"tool_calls": [call]},
    ]
    return [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]


def google() -> list[dict[str, Any]]:
    parts = [{"text": "Hello "}, {"text": "world."}, {"functionCall": {"name": "Bash", "args": {}}}]
    return [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]


STREAMS: dict[WireFormatName, list[dict[str, Any]]] = {
    "anthropic_messages": anthropic(), "openai_chat": chat(), "google_generate": google(),
}  # fmt: skip


def told(wire: WireFormatName, body: bytes) -> str:
    """Return all that a cut response says, in one line."""
    answer = read_answer(wire, body, 200)
    assert (answer.failure, answer.note, answer.complete) == ("", "", False), body[-60:]
    said = ""
    for block in answer.blocks:
        if isinstance(block, Text | Thinking):
            said += block.text or ""
        elif isinstance(block, ToolCall):
            said += f"{block.name}{block.arguments or ''}"
    return said


@pytest.mark.parametrize("wire", STREAMS)
def test_what_arrived_before_a_cut_is_shown(wire: WireFormatName) -> None:
    events = [b"data: %b\n\n" % json.dumps(event).encode() for event in STREAMS[wire]]
    complete = b""
    for event in events:
        before = complete
        complete += event
        whole = told(wire, complete)
        for cut in range(len(before) + 6, len(complete), 13):
            # An event counts once it has arrived, or in the end if only its blank line is missing.
            assert told(wire, complete[:cut]) in (told(wire, before) if before else "", whole)
    assert "Hello world." in whole
    assert "Bash" in whole


def test_a_failure_that_the_provider_reports_is_kept() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    stream = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in [*anthropic(), error])
    assert "Overloaded" in read_answer("anthropic_messages", stream, 200).failure


def test_cut_json_points_to_what_arrived() -> None:
    answer = read_answer("anthropic_messages", b'{"content": [{"type": "text", "te', 200)
    assert answer.note == "The response is not complete JSON. The raw view shows what arrived."
    assert not answer.complete
