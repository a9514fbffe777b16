"""Fields of a response that no decoder reads: each arrives, or is a loss with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.translate import StreamTranslator, translate_response

from .asking import A, C, G, R
from .test_faults_unknown_fields import MARK, levels, marked

ANSWERS: dict[WireFormatName, dict[str, Any]] = {
    A: {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {
                "type": "text",
                "text": "hi",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://a.example",
                        "title": "t",
                        "cited_text": "c",
                        "encrypted_index": "e",
                    }
                ],
            },
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "cache_creation": {"ephemeral_1h_input_tokens": 0},
            "output_tokens_details": {"thinking_tokens": 1},
        },
    },
    C: {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "x",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "logprobs": {"content": []},
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "reasoning_content": "t",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://a.example",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 2,
                            },
                        }
                    ],
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
    R: {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "x",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "t"}]},
            {
                "type": "message",
                "id": "msg",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "hi",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://a.example",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 2,
                            }
                        ],
                    }
                ],
            },
            {"type": "function_call", "id": "f", "call_id": "c1", "name": "f", "arguments": "{}"},
        ],
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "total_tokens": 7,
            "input_tokens_details": {"cached_tokens": 1},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
    },
    G: {
        "candidates": [
            {
                "index": 0,
                "finishReason": "STOP",
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "t", "thought": True},
                        {"text": "hi"},
                        {"functionCall": {"name": "f", "args": {}}},
                    ],
                },
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 4,
            "totalTokenCount": 7,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
        },
        "modelVersion": "x",
        "responseId": "g",
    },
}
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
EVENTS: dict[WireFormatName, list[dict[str, Any]]] = {
    A: [
        {"type": "message_start", "message": {**ANSWERS[A], "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ],
    C: [
        {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"role": "assistant"}}]},
        {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"content": "b"}}]},
        {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]},
        {
            "id": "c",
            "model": "x",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}],
        },
        {"id": "c", "choices": [], "usage": ANSWERS[C]["usage"]},
    ],
    R: [
        {"type": "response.created", "response": {"id": "r", "model": "x", "output": []}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "msg", "role": "assistant", "content": []},
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg",
            "output_index": 0,
            "content_index": 0,
            "delta": "a",
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg",
            "output_index": 0,
            "content_index": 0,
            "delta": "b",
        },
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {
                "type": "message",
                "id": "msg",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "ab", "annotations": []}],
            },
        },
        {"type": "response.completed", "response": {**ANSWERS[R], "output": []}},
    ],
    G: [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "b"}]}}]},
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "c"}]}, "finishReason": "STOP"}
            ],
            "usageMetadata": ANSWERS[G]["usageMetadata"],
        },
    ],
}
PAIRS = [(src, dst) for src in ANSWERS for dst in ANSWERS if src != dst]


def streamed(events: list[dict[str, Any]], src: WireFormatName, dst: WireFormatName):
    translator = StreamTranslator(src, dst)
    out = b""
    for event in events:
        name = f"event: {event['type']}\n" if src in (A, R) else ""
        out += translator.feed(f"{name}data: {json.dumps(event)}\n\n".encode())
    return out + translator.flush(), translator


def names_in(path: tuple[str | int, ...]) -> list[str]:
    return [step for step in path if isinstance(step, str)]


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_an_unknown_field_of_a_response_is_never_lost_in_silence(src, dst) -> None:
    for path in levels(ANSWERS[src]):
        body, losses = translate_response(marked(ANSWERS[src], path), src, dst)
        listed = [loss.path for loss in losses if loss.path.endswith(MARK)]
        assert listed or MARK in json.dumps(body), path
        assert all(name in listed[0] for name in names_in(path)), (path, listed)


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_an_unknown_field_of_a_stream_is_never_lost_in_silence(src, dst) -> None:
    for index, event in enumerate(EVENTS[src]):
        for path in levels(event):
            events = [*EVENTS[src]]
            events[index] = marked(event, path)
            out, translator = streamed(events, src, dst)
            assert translator.failure is None
            listed = [loss.path for loss in translator.losses if loss.path.endswith(MARK)]
            assert listed or MARK.encode() in out, (index, path)
            # Some holders of the path are joined: the names of its fields stay.
            assert all(name in listed[0] for name in names_in(path)), (path, listed)


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_known_fields_are_no_losses(src, dst) -> None:
    _, losses = translate_response(ANSWERS[src], src, dst)
    _, translator = streamed(EVENTS[src], src, dst)
    for loss in [*losses, *translator.losses]:
        assert "counterpart" not in loss.reason, loss


@pytest.mark.parametrize("src", [A, R])
def test_an_event_of_an_unknown_type_is_listed(src) -> None:
    events = [*EVENTS[src][:-1], {"type": MARK}, EVENTS[src][-1]]
    _, translator = streamed(events, src, C)
    assert MARK in [loss.path for loss in translator.losses]


@pytest.mark.parametrize("src", ANSWERS)
def test_a_field_of_every_event_is_one_loss(src) -> None:
    dst = C if src == A else A
    events = [event | {MARK: 1} for event in EVENTS[src]]
    _, translator = streamed(events, src, dst)
    assert 1 <= len([loss for loss in translator.losses if loss.path == MARK]) <= 2


@pytest.mark.parametrize("src", [C, G])
def test_an_unknown_field_is_listed_after_an_equal_event_without_it(src) -> None:
    call = {"index": 0, "function": {"arguments": "1"}}
    counts = {"totalTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]}
    repeated: dict[str, Any] = {
        C: {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
        G: {**EVENTS[G][0], "usageMetadata": counts},
    }[src]
    for path in levels(repeated):
        events = [*EVENTS[src][:-1], repeated, repeated, marked(repeated, path), EVENTS[src][-1]]
        _, translator = streamed(events, src, A)
        assert [loss for loss in translator.losses if loss.path.endswith(MARK)], path
