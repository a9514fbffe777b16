"""Losses of a response are listed in whatever form it comes and goes: buffered, streamed, mixed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import Losses
from providers.wire.translate import (
    StreamTranslator,
    translate_response,
    translate_response_to_stream,
)

from .cases import PAIRS

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
SIMPLE_CLIENT = AnswerContext({"messages": []})
Both = tuple[dict[str, Any], list[dict[str, Any]]]


def anthropic(blocks: list[dict[str, Any]], stop: str = "end_turn", **more: Any) -> Both:
    """Return a response buffered, and as the events of a stream."""
    base = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**base, "content": []}}]
    for index, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, **more}
    events += [{"type": "message_delta", "delta": delta}, {"type": "message_stop"}]
    return {**base, "content": blocks, **delta}, events


def chat(message: dict[str, Any], others: int = 0) -> Both:
    base = {"id": "c", "created": 1, "model": "m"}
    choices = [
        {"index": index, "message": message, "finish_reason": "stop"} for index in range(1 + others)
    ]
    deltas = [
        {"index": index, "delta": message, "finish_reason": "stop"} for index in range(1 + others)
    ]
    return {**base, "choices": choices}, [{**base, "choices": [delta]} for delta in deltas]


def responses(items: list[dict[str, Any]]) -> Both:
    done = [
        {"type": "response.output_item.done", "output_index": index, "item": item}
        for index, item in enumerate(items)
    ]
    body = {"id": "r", "status": "completed", "model": "m", "error": None, "output": items}
    created = {"type": "response.created", "response": {**body, "output": []}}
    return body, [created, *done, {"type": "response.completed", "response": body}]


def google(parts: list[dict[str, Any]], others: int = 0, **more: Any) -> Both:
    content = {"role": "model", "parts": parts}
    candidates = [
        {"index": index, "content": content, "finishReason": "STOP", **more}
        for index in range(1 + others)
    ]
    return {"candidates": candidates}, [{"candidates": [one]} for one in candidates]


TEXT = {"type": "text", "text": "hey"}
OUTPUT = {"type": "message", "content": [{"type": "output_text", "text": "hey", "annotations": []}]}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
SOURCES = {"groundingChunks": [{"web": {"uri": "https://a"}}]}
CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a"}}
LOSSY: dict[WireFormatName, dict[str, Both]] = {
    A: {
        "vendor's block": anthropic([SEARCH, TEXT]),
        "pause": anthropic([TEXT], "pause_turn"),
        "refusal": anthropic([TEXT], "refusal", stop_details={"explanation": "no"}),
    },
    C: {
        "choices": chat({"content": "hey"}, others=1),
        "part": chat({"content": [TEXT, {"type": "widget"}]}),
        "thinking": chat({"content": "hey", "reasoning_content": "hm"}),
        "annotation": chat({"tool_calls": [CALL], "annotations": [CITED]}),
    },
    R: {
        "vendor's item": responses([{"type": "web_search_call", "id": "w"}, OUTPUT]),
        "thinking": responses(
            [{"type": "reasoning", "id": "t", "summary": [{"type": "x", "text": "hm"}]}, OUTPUT]
        ),
    },
    G: {
        "candidates": google([{"text": "hey"}], others=1),
        "media": google([{"text": "hey"}, IMAGE]),
        "code": google([{"executableCode": {"code": "1"}}, {"text": "hey"}]),
        "thinking": google([{"text": "hm", "thought": True}, {"text": "hey"}]),
        "sources": google([{"functionCall": {"name": "f"}}], groundingMetadata=SOURCES),
        "finish": google([{"text": "hey"}], finishMessage="that is all"),
    },
}
CASES = [(src, dst, name) for src, dst in PAIRS for name in LOSSY[src]]


def sse(src: WireFormatName, events: list[dict[str, Any]]) -> bytes:
    end = b"data: [DONE]\n\n" if src == C else b""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end


def streamed(src: WireFormatName, dst: WireFormatName, raw: bytes, cut: int = 0) -> set[str]:
    translator = StreamTranslator(src, dst, context=SIMPLE_CLIENT)
    cut %= len(raw)
    out = translator.feed(raw[:cut]) + translator.feed(raw[cut:]) + translator.flush()
    assert out
    assert translator.failure is None, translator.failure
    return {loss.path for loss in translator.losses}


def buffered(src: WireFormatName, dst: WireFormatName, raw: bytes) -> set[str]:
    _, losses = translate_response(raw, src, dst, context=SIMPLE_CLIENT)
    return {loss.path for loss in losses}


@pytest.mark.parametrize(("src", "dst", "name"), CASES)
@given(cut=st.integers(0, 999))
@settings(max_examples=5)
def test_the_form_of_a_response_changes_no_loss(src: Any, dst: Any, name: str, cut: int) -> None:
    body, events = LOSSY[src][name]
    raw = json.dumps(body).encode()
    wanted = buffered(src, dst, raw)
    assert streamed(src, dst, raw, cut) == wanted
    assert streamed(src, dst, sse(src, events), cut) == wanted
    assert buffered(src, dst, sse(src, events)) == wanted
    losses = Losses()
    translate_response_to_stream(body, src, dst, context=SIMPLE_CLIENT, losses=losses)
    assert {loss.path for loss in losses} == wanted


def test_the_cases_lose_something() -> None:
    kinds = {(src, name) for src, dst, name in CASES if buffered_case(src, dst, name)}
    assert kinds == {(src, name) for src, _, name in CASES}


def buffered_case(src: WireFormatName, dst: WireFormatName, name: str) -> set[str]:
    return buffered(src, dst, json.dumps(LOSSY[src][name][0]).encode())


def test_an_array_of_chunks_keeps_its_losses() -> None:
    _, chunks = LOSSY[G]["media"]
    assert buffered(G, A, json.dumps(chunks).encode()) == {"content"}
