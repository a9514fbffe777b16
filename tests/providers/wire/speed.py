"""What translation costs, for each pair: `python -m tests.providers.wire.speed`.

CPU microseconds for a streamed text delta (decode, filter, encode), milliseconds to the first
event, and the time of a 1.3 MB agent request as a ratio to `json.loads` + `json.dumps` of it in the
same run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.translate import StreamTranslator, translate_request
from tests.providers.wire.cases import ALL, PAIRS

EVENTS = 10_000
REPEATS = 5


def _sse(body: dict[str, Any]) -> bytes:
    return f"event: {body.get('type', '')}\ndata: {
        json.dumps(body, separators=(',', ':'))
    }\n\n".encode()


_CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "system_fingerprint": "f",
}
_BEGIN: dict[WireFormatName, list[dict[str, Any]]] = {
    ANTHROPIC_MESSAGES: [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ],
    OPENAI_CHAT: [{**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant"}}]}],
    OPENAI_RESPONSES: [{"type": "response.created", "response": {"id": "r", "model": "m"}}],
    GOOGLE_GENERATE: [],
}
_DELTA: dict[WireFormatName, dict[str, Any]] = {
    ANTHROPIC_MESSAGES: {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": " hello"},
    },
    OPENAI_CHAT: {
        **_CHUNK,
        "choices": [{"index": 0, "delta": {"content": " hello"}, "finish_reason": None}],
    },
    OPENAI_RESPONSES: {
        "type": "response.output_text.delta",
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "delta": " hello",
        "sequence_number": 4,
    },
    GOOGLE_GENERATE: {
        "candidates": [{"content": {"parts": [{"text": " hello"}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 4, "totalTokenCount": 15},
        "modelVersion": "g",
        "responseId": "x",
    },
}


def _started(src: WireFormatName, dst: WireFormatName) -> StreamTranslator:
    stream = StreamTranslator(src, dst)
    for body in _BEGIN[src]:
        stream.feed(_sse(body))
    return stream


def event_us(src: WireFormatName, dst: WireFormatName) -> float:
    """CPU microseconds per text delta."""
    stream, raw = _started(src, dst), _sse(_DELTA[src])
    stream.feed(raw)
    begun = time.process_time()
    for _ in range(EVENTS):
        stream.feed(raw)
    return (time.process_time() - begun) / EVENTS * 1e6


def first_event_ms(src: WireFormatName, dst: WireFormatName) -> float:
    """Milliseconds from nothing to the first text in the client's format."""
    begun = time.perf_counter()
    _started(src, dst).feed(_sse(_DELTA[src]))
    return (time.perf_counter() - begun) * 1e3


def agent_request() -> dict[str, Any]:
    """An Anthropic request of 1.3 MB: 60 turns with tool calls and results, 60 tools."""
    messages: list[dict[str, Any]] = []
    for number in range(60):
        call = {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "read",
            "input": {"lines": list(range(200))},
        }
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": "line of file\n" * 800,
        }
        messages.append(
            {"role": "user", "content": [{"type": "text", "text": 'lorem "q" \n' * 300}]}
        )
        messages.append(
            {"role": "assistant", "content": [{"type": "text", "text": "answer " * 300}, call]}
        )
        messages.append({"role": "user", "content": [result]})
    properties = {f"p{number}": {"type": "string", "description": "z" * 50} for number in range(20)}
    schema = {"type": "object", "properties": properties}
    tools = [
        {"name": f"t{number}", "description": "d" * 500, "input_schema": schema}
        for number in range(60)
    ]
    return {
        "model": "m",
        "max_tokens": 10,
        "system": "x" * 10_000,
        "messages": messages,
        "tools": tools,
    }


def _best_s(call: Callable[[], object]) -> float:
    figures = []
    for _ in range(REPEATS):
        begun = time.process_time()
        call()
        figures.append(time.process_time() - begun)
    return min(figures)


def _translate(raw: bytes, src: WireFormatName, dst: WireFormatName) -> bytes:
    return dumps(translate_request(loads(raw), src, dst)[0])


def request_ratios() -> dict[tuple[WireFormatName, WireFormatName], float]:
    """Time of parse + translate + print by the time of `json.loads` + `json.dumps`, for each
    pair.
    """
    original = agent_request()
    ratios = {}
    for src in ALL:
        body = (
            original
            if src == ANTHROPIC_MESSAGES
            else translate_request(original, ANTHROPIC_MESSAGES, src)[0]
        )
        raw = dumps(body)
        base = _best_s(lambda raw=raw: json.dumps(json.loads(raw)))  # type: ignore[misc]
        for dst in ALL:
            if dst != src:
                translate = partial(_translate, raw, src, dst)
                ratios[src, dst] = _best_s(translate) / base
    return ratios


def main() -> None:
    """Print the figures of every pair."""
    ratios = request_ratios()
    print(f"{'from':20}{'to':20}{'µs/event':>10}{'first ms':>10}{'request':>10}")
    for src, dst in PAIRS:
        figures = (
            f"{event_us(src, dst):10.1f}{first_event_ms(src, dst):10.2f}{ratios[src, dst]:10.2f}"
        )
        print(f"{src:20}{dst:20}{figures}")


if __name__ == "__main__":
    main()
