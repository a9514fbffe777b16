"""Reasoning in responses to clients that did not ask for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.wire.core.base import AnswerContext
from providers.wire.translate import (
    StreamTranslator,
    translate_response,
    translate_response_to_stream,
)

from .asking import A, C, G, R

PLAIN = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]}
WITH_TOOLS = {**PLAIN, "tools": [{"name": "f", "input_schema": {"type": "object"}}]}
ENABLED = {**PLAIN, "thinking": {"type": "adaptive"}}
DISABLED = {**PLAIN, "thinking": {"type": "disabled"}}
ANSWERS: dict[Any, dict[str, Any]] = {
    R: {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "encrypted_content": "gAAA",
                "summary": [{"type": "summary_text", "text": "hm"}],
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "yes", "annotations": []}],
            },
        ],
    },
    C: {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "yes", "reasoning_content": "hm"},
            }
        ],
    },
    G: {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": "hm", "thought": True}, {"text": "yes"}],
                },
                "finishReason": "STOP",
            }
        ]
    },
}


@pytest.mark.parametrize("src", ANSWERS)
@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (PLAIN, ["text"]),
        (DISABLED, ["text"]),
        (WITH_TOOLS, ["thinking", "text"]),
        (ENABLED, ["thinking", "text"]),
        ({}, ["thinking", "text"]),
    ],
)
def test_thinking_comes_only_when_it_is_expected(
    src: Any, asked: dict[str, Any], kinds: list[str]
) -> None:
    context = AnswerContext(client_body=asked)
    answer, losses = translate_response(ANSWERS[src], src, A, context=context)
    assert [block["type"] for block in answer["content"]] == kinds
    assert bool(losses) == (kinds == ["text"])
    stream = translate_response_to_stream(ANSWERS[src], src, A, context=context).decode()
    starts = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data:")]
    blocks = [event for event in starts if event["type"] == "content_block_start"]
    assert [event["content_block"]["type"] for event in blocks] == kinds
    assert [event["index"] for event in blocks] == list(range(len(kinds)))


def test_streamed_thinking_is_left_out_too() -> None:
    translator = StreamTranslator(C, A, context=AnswerContext(client_body=PLAIN))
    out = b""
    for delta in ({"reasoning_content": "hm"}, {"content": "yes"}):
        chunk = {"id": "c", "choices": [{"index": 0, "delta": delta}]}
        out += translator.feed(f"data: {json.dumps(chunk)}\n\n".encode())
    out += translator.feed(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
    out += translator.feed(b"data: [DONE]\n\n") + translator.flush()
    assert b"hm" not in out
    assert b'"text":"yes"' in out
    assert b"message_stop" in out
    assert [loss.path for loss in translator.losses] == ["content.thinking"]
