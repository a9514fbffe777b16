"""Texts, calls and usage that come only at an end, and ends that say the wrong thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reading.token_usage import usage_of_body
from providers.base.errors import BadUpstreamAnswer
from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.core.shape import count
from providers.wire.translate import AnswerContext, StreamTranslator, translate_response

from .cases import ALL
from .interleaved import sse
from .sdk_answers import Digest, read

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
WITH_USAGE = AnswerContext(
    {"stream_options": {"include_usage": True}, "thinking": {"type": "enabled"}}
)
DONE = b"data: [DONE]\n\n"


def delivered(src: Any, dst: Any, raw: bytes) -> tuple[Digest, StreamTranslator]:
    stream = StreamTranslator(src, dst, context=WITH_USAGE)
    out = stream.feed(raw) + stream.flush()
    assert stream.failure is None, stream.failure
    return read(dst, out, stream=True), stream


# --- Responses: every subset of the events that repeat a text gives it once

TEXT = "only once"
AT = {"item_id": "m1", "output_index": 0}
PART = {"type": "output_text", "text": TEXT, "annotations": []}
MESSAGE = {"type": "message", "id": "m1", "role": "assistant", "content": [PART]}
CALL = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": '{"x":1}'}
CALL_AT = {"item_id": "f1", "output_index": 1}
REASON = {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "hm"}]}
REASON_AT = {"item_id": "r1", "output_index": 2}
REPEATS: dict[str, list[dict[str, Any]]] = {
    "added": [
        {"type": "response.output_item.added", **AT, "item": {**MESSAGE, "content": []}},
        {"type": "response.output_item.added", **CALL_AT, "item": {**CALL, "arguments": ""}},
        {"type": "response.output_item.added", **REASON_AT, "item": {**REASON, "summary": []}},
    ],
    "deltas": [
        {"type": "response.output_text.delta", **AT, "content_index": 0, "delta": "only"},
        {"type": "response.output_text.delta", **AT, "content_index": 0, "delta": " once"},
        {"type": "response.function_call_arguments.delta", **CALL_AT, "delta": '{"x":'},
        {"type": "response.function_call_arguments.delta", **CALL_AT, "delta": "1}"},
        {
            "type": "response.reasoning_summary_text.delta",
            **REASON_AT,
            "summary_index": 0,
            "delta": "hm",
        },
    ],
    "texts": [
        {"type": "response.output_text.done", **AT, "content_index": 0, "text": TEXT},
        {
            "type": "response.function_call_arguments.done",
            **CALL_AT,
            "arguments": '{"x":1}',
            "name": "f",
        },
        {
            "type": "response.reasoning_summary_text.done",
            **REASON_AT,
            "summary_index": 0,
            "text": "hm",
        },
    ],
    "parts": [{"type": "response.content_part.done", **AT, "content_index": 0, "part": PART}],
    "items": [
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        {"type": "response.output_item.done", "output_index": 1, "item": CALL},
        {"type": "response.output_item.done", "output_index": 2, "item": REASON},
    ],
}


@pytest.mark.parametrize("dst", ALL)
@given(
    told=st.sets(st.sampled_from(list(REPEATS))),
    at_end=st.booleans(),
    without=st.sampled_from([None, "output_index", "item_id"]),
)
def test_a_text_arrives_once_wherever_it_comes(
    dst: Any, told: set[str], at_end: bool, without: str | None
) -> None:
    complete = at_end or "items" in told
    final: dict[str, Any] = {"id": "r", "status": "completed", "output": []}
    if at_end:
        final["output"] = [MESSAGE, CALL, REASON]
    bodies: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r"}}]
    for kind in REPEATS:
        if kind in told:
            bodies += [{k: v for k, v in b.items() if k != without} for b in REPEATS[kind]]
    bodies.append({"type": "response.completed", "response": final})
    got, _ = delivered(R, dst, sse(bodies))
    if complete or told & {"deltas", "texts", "parts"}:
        assert got.text == TEXT
    if complete or ("added" in told and told & {"deltas", "texts"}):
        assert got.calls == [("f", {"x": 1})]
        assert got.stop == "tools"
    if complete or told & {"deltas", "texts"}:
        assert got.reasoning == "hm"


def test_only_the_rest_of_a_text_is_added() -> None:
    bodies = [
        {"type": "response.output_text.delta", **AT, "content_index": 0, "delta": "only"},
        {"type": "response.completed", "response": {"output": [MESSAGE]}},
    ]
    got, stream = delivered(R, A, sse(bodies))
    assert got.text == TEXT
    assert not stream.losses


def test_an_end_that_says_something_else_is_a_loss() -> None:
    bodies = [
        {"type": "response.output_text.delta", **AT, "content_index": 0, "delta": "other"},
        {"type": "response.completed", "response": {"output": [MESSAGE]}},
    ]
    got, stream = delivered(R, A, sse(bodies))
    assert got.text == "other"
    assert [loss.path for loss in stream.losses] == ["output"]


def test_a_chat_message_that_comes_only_in_the_last_chunk() -> None:
    message = {"role": "assistant", "content": "late"}
    raw = sse([{"id": "c", "choices": [{"index": 0, "message": message}]}], DONE)
    assert delivered(C, A, raw)[0].text == "late"
    first = {"id": "c", "choices": [{"index": 0, "delta": {"content": "late"}}]}
    assert delivered(C, A, sse([first]) + raw)[0].text == "late"


# --- calls without arguments, and the stop reason after calls


def no_arguments(src: Any, arguments: str | None) -> bytes:
    """A stream with one call whose arguments are `arguments`; None for no part of them at all."""
    if src == A:
        block = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": arguments}
        middle = [{"type": "content_block_delta", "index": 0, "delta": delta}]
        return sse(
            [
                {"type": "message_start", "message": {"id": "m"}},
                {"type": "content_block_start", "index": 0, "content_block": block},
                *(middle if arguments is not None else []),
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ]
        )
    if src == C:
        entry = {"index": 0, "id": "t", "function": {"name": "now", "arguments": arguments}}
        choice = {"index": 0, "delta": {"tool_calls": [entry]}, "finish_reason": "stop"}
        return sse([{"id": "c", "choices": [choice]}], DONE)
    if src == R:
        item = {**CALL, "name": "now", "arguments": arguments}
        return sse(
            [
                {"type": "response.output_item.added", "output_index": 0, "item": item},
                {"type": "response.output_item.done", "output_index": 0, "item": item},
                {"type": "response.completed", "response": {"status": "completed"}},
            ]
        )
    part = {"functionCall": {"name": "now", **({"args": None} if arguments is None else {})}}
    candidate = {"content": {"parts": [part]}, "finishReason": "STOP"}
    return sse([{"candidates": [candidate]}])


@pytest.mark.parametrize("arguments", [None, "", " ", "null", "{}"])
@pytest.mark.parametrize("dst", ALL)
@pytest.mark.parametrize("src", ALL)
def test_no_arguments_are_an_empty_object(src: Any, dst: Any, arguments: str | None) -> None:
    stream = StreamTranslator(src, dst)
    out = stream.feed(no_arguments(src, arguments)) + stream.flush()
    got = read(dst, out, stream=True)
    assert got.calls == [("now", {})]
    assert got.stop == "tools"
    events = [line[6:] for line in out.split(b"\n") if line.startswith(b"data: {")]
    bodies = [json.loads(event) for event in events]
    if dst == C:
        deltas = [body["choices"][0] for body in bodies]
        calls = [call for choice in deltas for call in choice["delta"].get("tool_calls", [])]
        assert "".join(call["function"]["arguments"] for call in calls) == "{}"
        assert deltas[-1]["finish_reason"] == "tool_calls"
    if dst == R:
        kind = "response.function_call_arguments.delta"
        assert "".join(body["delta"] for body in bodies if body["type"] == kind) == "{}"


def test_calls_after_the_finish_reason_count() -> None:
    entry = {"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}
    raw = sse(
        [
            {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [entry]}}]},
        ],
        DONE,
    )
    assert delivered(C, A, raw)[0].stop == "tools"


def test_a_buffered_message_with_calls_ends_with_them() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    body = {"type": "message", "content": [block], "stop_reason": "end_turn"}
    answer, _ = translate_response(body, A, C)
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


# --- usage wherever it is


USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}


@pytest.mark.parametrize("dst", ALL)
@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "usage": USAGE},
        {"usage": USAGE},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE},
        {"choices": [{"index": 0, "delta": {}, "usage": USAGE}]},
        {"choices": [], "x_server": {"id": "q", "usage": USAGE}},
        {"choices": [], "x_server": {"metrics": {"usage": USAGE}}, "usage": None},
        {"choices": [], "usage": {}, "x_server": {"usage": USAGE}},
    ],
)
def test_usage_of_chat_wherever_it_is(dst: Any, last: dict[str, Any]) -> None:
    first = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    got, stream = delivered(C, dst, sse([{"id": "c", "choices": [first]}, last], DONE))
    assert stream.usage is not None
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (11, 2)
    assert (got.usage["in"], got.usage["out"]) == (11, 2)
    body = {**last, "choices": [{"index": 0, "message": {"content": "a"}}]}
    if last.get("choices"):
        body["choices"] = [{**last["choices"][0], "message": {"content": "a"}}]
    answer, _ = translate_response({"id": "c", **body}, C, dst)
    if dst != C:
        buffered = read(dst, json.dumps(answer).encode(), stream=False)
        assert (buffered.usage["in"], buffered.usage["out"]) == (11, 2)


WRITTEN_DIFFERENTLY: list[Callable[[int], Any]] = [float, str, lambda tokens: f"00{tokens}"]
BODY_WITH_USAGE: dict[Any, dict[str, Any]] = {
    A: {
        "type": "message",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 2},
    },
    C: {
        "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": USAGE,
    },
    R: {
        "status": "completed",
        "output": [],
        "usage": {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13},
    },
    G: {
        "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 2},
    },
}


@pytest.mark.parametrize("write", WRITTEN_DIFFERENTLY)
@pytest.mark.parametrize("dst", ALL)
@pytest.mark.parametrize("src", ALL)
def test_counts_may_be_written_as_floats_or_text(
    src: Any, dst: Any, write: Callable[[int], Any]
) -> None:
    body = json.loads(json.dumps(BODY_WITH_USAGE[src]))
    key = "usageMetadata" if src == G else "usage"
    body[key] = {name: write(tokens) for name, tokens in body[key].items()}
    if src != dst:
        answer, _ = translate_response(body, src, dst)
        got = read(dst, json.dumps(answer).encode(), stream=False)
        assert (got.usage["in"], got.usage["out"]) == (11, 2)
    recorded = usage_of_body(json.dumps(body).encode())
    assert recorded is not None
    assert (recorded.usage.input_tokens, recorded.usage.output_tokens) == (11, 2)


@pytest.mark.parametrize("value", [True, None, "", "1.5", "-3", "٣", "9" * 30, [1], {"a": 1}])
def test_what_is_no_count(value: Any) -> None:
    assert count(value) is None
    assert count(float("nan")) is None
    assert count(float("inf")) is None


def test_what_the_model_wrote_about_usage_is_no_usage() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {"usage": {"input_tokens": 99}}}
    bodies = [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": tool},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
    ]
    _, stream = delivered(A, C, sse(bodies))
    assert stream.usage is None or stream.usage.input_tokens != 99


# --- calls that Google's model wrote wrongly


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
@pytest.mark.parametrize("dst", ALL)
def test_a_malformed_call_is_an_error(dst: Any, reason: str) -> None:
    candidate = {"content": {}, "finishReason": reason, "finishMessage": "Malformed: print(x)"}
    stream = StreamTranslator(G, dst)
    out = stream.feed(sse([{"candidates": [candidate]}])) + stream.flush()
    assert stream.failure is not None
    assert b"Malformed: print(x)" in out
    assert stream.finish is None
    with pytest.raises(BadUpstreamAnswer, match=reason):
        translate_response({"candidates": [candidate]}, G, dst)


# --- losses and empty texts


def test_a_signed_empty_text_is_no_block() -> None:
    parts = [{"functionCall": {"name": "f", "args": {}}}]
    last = {"content": {"parts": [{"text": "", "thoughtSignature": "AA"}]}, "finishReason": "STOP"}
    raw = sse([{"candidates": [{"content": {"parts": parts}}]}, {"candidates": [last]}])
    stream = StreamTranslator(G, A)
    out = stream.feed(raw) + stream.flush()
    assert b'"type":"text"' not in out
    assert out.count(b"event: content_block_start") == 1


@pytest.mark.parametrize("dst", [C, R, G])
def test_a_pause_is_a_loss(dst: Any) -> None:
    content = [{"type": "text", "text": "a"}]
    body = {"type": "message", "content": content, "stop_reason": "pause_turn"}
    _, losses = translate_response(body, A, dst)
    assert [loss.path for loss in losses] == ["stop_reason"]
    assert "pause_turn" in losses[0].reason


def test_a_source_that_chat_cannot_cite_is_a_loss() -> None:
    cited = {"type": "char_location", "cited_text": "a", "document_title": "d"}
    content = [{"type": "text", "text": "a", "citations": [cited]}]
    body = {"type": "message", "content": content, "stop_reason": "end_turn"}
    _, losses = translate_response(body, A, C)
    assert [loss.path for loss in losses] == ["citations"]


def test_annotations_of_a_chat_stream_are_numbered() -> None:
    cited = {"type": "web_search_result_location", "url": "https://e.invalid/", "title": "t"}
    delta = {"type": "citations_delta", "citation": cited}
    bodies = [
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]
    stream = StreamTranslator(A, C)
    out = stream.feed(sse(bodies)) + stream.flush()
    lines = [json.loads(line[6:]) for line in out.split(b"\n\n") if line.startswith(b"data: {")]
    deltas = [line["choices"][0]["delta"] for line in lines]
    found = [entry["index"] for delta in deltas for entry in delta.get("annotations", [])]
    assert found == [0, 1]
