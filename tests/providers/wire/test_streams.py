"""Stream grammars, chunking, errors in mid-stream, and what must not wait."""

from __future__ import annotations

import json
import random
import secrets
import time
from typing import Any

import pytest

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.core.sse import SseParser
from providers.wire.translate import AnswerContext, StreamTranslator

from .cases import PAIRS, streamed

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
WITH_USAGE = AnswerContext({"stream_options": {"include_usage": True}})


def sse(*bodies: Any) -> bytes:
    return b"".join(
        b"data: " + (b if isinstance(b, bytes) else json.dumps(b).encode()) + b"\n\n"
        for b in bodies
    )


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "chatcmpl-1", "created": 7, "model": "gpt", "choices": choices, **more}


USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
CHAT_STREAM = sse(
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "He"}),
    chunk({"content": "llo"}),
    chunk(
        {"tool_calls": [{"index": 0, "id": "call_a", "function": {"name": "f", "arguments": ""}}]}
    ),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
    chunk(
        {"tool_calls": [{"index": 1, "id": "call_b", "function": {"name": "g", "arguments": "{}"}}]}
    ),
    chunk({}, "tool_calls"),
    chunk(None, usage=USAGE),
    b"[DONE]",
)


def run(
    src, dst, raw: bytes, context: AnswerContext | None = None
) -> tuple[list[tuple[str, Any]], StreamTranslator]:
    stream = StreamTranslator(src, dst, context=context)
    out = stream.feed(raw) + stream.flush()
    events = SseParser().feed(out)
    return [
        (e.event, e.data if e.data == b"[DONE]" else json.loads(e.data)) for e in events
    ], stream


def test_anthropics_grammar():
    events, stream = run(C, A, CHAT_STREAM)
    assert all(name == body["type"] for name, body in events)
    assert [name for name, _ in events] == [
        "message_start",
        # The reasoning has a signature of ours, by which it is known when it returns.
        *(
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
        ),
        *(
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
        ),
        *(
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
        ),
        *("content_block_start", "content_block_delta", "content_block_stop"),
        "message_delta",
        "message_stop",
    ]
    assert [body["index"] for name, body in events if name == "content_block_start"] == [0, 1, 2, 3]
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2][1]["usage"]["input_tokens"] == 3
    assert events[-2][1]["usage"]["cache_read_input_tokens"] == 2
    assert (stream.usage and stream.usage.input_tokens, stream.finish and stream.finish.reason) == (
        5,
        "tool_calls",
    )


def test_responses_grammar_and_its_final_object():
    events, _ = run(
        C,
        R,
        CHAT_STREAM,
        AnswerContext({"tools": [{"type": "function", "name": "f"}], "temperature": 0.2}),
    )
    assert [body["sequence_number"] for _, body in events] == list(range(len(events)))
    assert all(name == body["type"] for name, body in events)
    names = [name for name, _ in events]
    assert names[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert names[-1] == "response.completed"
    final = events[-1][1]["response"]
    done = [body["item"] for name, body in events if name == "response.output_item.done"]
    assert final["output"] == done
    assert [item["type"] for item in done] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert done[1]["content"][0]["text"] == "Hello"
    assert done[2]["arguments"] == '{"a":1}'
    assert final["temperature"] == 0.2
    assert final["tools"] == [{"type": "function", "name": "f"}]
    assert final["usage"]["output_tokens"] == 3
    for name, body in events:
        if name.endswith(".delta"):
            item = done[body["output_index"]]
            assert body["item_id"] == item["id"]


def test_googles_chunks_hold_whole_calls():
    events, _ = run(C, G, CHAT_STREAM)
    parts = [part for _, body in events for part in body["candidates"][0]["content"]["parts"]]
    assert [part.get("thought", False) for part in parts][:3] == [True, False, False]
    assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [
        {"a": 1},
        {},
    ]
    assert events[-1][1]["candidates"][0]["finishReason"] == "STOP"
    # Google's SDK forgets a turn that has a chunk without parts.
    assert all(body["candidates"][0]["content"]["parts"] for _, body in events)
    assert events[-1][1]["usageMetadata"]["promptTokenCount"] == 5
    assert all("finishReason" not in body["candidates"][0] for _, body in events[:-1])


def test_googles_array_without_alt_sse():
    stream = StreamTranslator(C, G, context=AnswerContext(json_array=True))
    array = json.loads(stream.feed(CHAT_STREAM) + stream.flush())
    assert array[-1]["candidates"][0]["finishReason"] == "STOP"
    failed = StreamTranslator(C, G, context=AnswerContext(json_array=True))
    assert (
        json.loads(failed.feed(CHAT_STREAM[:300]) + failed.fail(503, "gone"))[-1]["error"]["status"]
        == "UNAVAILABLE"
    )


ANTHROPIC_STREAM = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude",
            "usage": {"input_tokens": 4, "output_tokens": 1},
        },
    },
    {"type": "ping"},
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "SIG"},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens"},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop"},
)


def test_chats_grammar_with_usage_only_when_asked():
    events, _ = run(A, C, ANTHROPIC_STREAM)
    assert events[-1][1] == b"[DONE]"
    bodies = [body for _, body in events[:-1]]
    assert bodies[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [b["choices"][0]["delta"] for b in bodies[1:3]] == [
        {"reasoning_content": "hm"},
        {"content": "Hi"},
    ]
    assert bodies[-1]["choices"][0]["finish_reason"] == "length"
    assert not any("usage" in body for body in bodies)
    assert {body["id"] for body in bodies} == {"msg_1"}
    events, _ = run(A, C, ANTHROPIC_STREAM, WITH_USAGE)
    last = events[-2][1]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 13)
    assert all(body["usage"] is None for _, body in events[:-2])


def test_the_first_event_goes_out_with_the_first_in():
    for src, dst in PAIRS:
        stream = StreamTranslator(src, dst)
        first = {
            A: ANTHROPIC_STREAM.split(b"\n\n")[0] + b"\n\n",
            C: sse(chunk({"content": "He"})),
            R: sse({"type": "response.created", "response": {"id": "r", "model": "m"}}),
            G: sse({"candidates": [{"content": {"parts": [{"text": "He"}]}}]}),
        }[src]
        out = stream.feed(first)
        assert out or dst == G, (src, dst)  # Google has nothing to say before the first part
        if dst == G and src in (C, G):
            assert b"He" in out


@pytest.mark.corpus
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_any_chunking_gives_the_same_bytes(corpus, src, dst, monkeypatch):
    """One byte at a time, and at random places; comments and CRLF between."""
    monkeypatch.setattr(secrets, "token_hex", lambda n: "0" * n)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    rng = random.Random(f"{src}{dst}")
    cases = [case for case in streamed(corpus) if case.format == src]
    for case in rng.sample(cases, 6):
        whole = StreamTranslator(src, dst, context=WITH_USAGE)
        want = whole.feed(case.answer) + whole.flush()
        hostile = b": keep-alive\r\n\r\n" + case.answer.replace(b"\r\n", b"\n").replace(
            b"\n", b"\r\n"
        )
        for raw in (case.answer, hostile) if len(hostile) < 60_000 else (case.answer,):
            stream = StreamTranslator(src, dst, context=WITH_USAGE)
            position, out = 0, []
            while position < len(raw):
                size = 1 if raw is hostile and len(raw) < 20_000 else rng.randint(1, 400)
                out.append(stream.feed(raw[position : position + size]))
                position += size
            out.append(stream.flush())
            assert b"".join(out) == want, case.id


def test_parallel_calls_in_pieces_become_one_after_the_other():
    def piece(index: int, text: str, **more: Any) -> dict[str, Any]:
        return chunk(
            {
                "tool_calls": [
                    {"index": index, **more, "function": {"arguments": text, **more.pop("fn", {})}}
                ]
            }
        )

    raw = sse(
        chunk(
            {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x'}}]}
        ),
        chunk(
            {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y'}}]}
        ),
        piece(0, '":1}'),
        piece(1, '":2}'),
        chunk({}, "tool_calls"),
        b"[DONE]",
    )
    events, _ = run(C, A, raw)
    texts: dict[int, str] = {}
    for name, body in events:
        if name == "content_block_delta":
            texts[body["index"]] = texts.get(body["index"], "") + body["delta"]["partial_json"]
    assert texts == {0: '{"x":1}', 1: '{"y":2}'}
    same_index = raw.replace(b'"index": 1, "id"', b'"index": 0, "id"').replace(
        b'"index": 1, "function"', b'"index": 9, "function"'
    )
    events, stream = run(C, A, same_index)
    assert stream.done


@pytest.mark.parametrize("dst", [A, C, R, G])
@pytest.mark.parametrize(
    ("src", "raw", "status"),
    [
        (A, sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}), 529),
        (C, sse({"error": {"message": "busy", "type": "rate_limit_error"}}), 429),
        (R, sse({"type": "error", "code": "server_error", "message": "busy"}), 500),
        (
            R,
            sse(
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "server_error", "message": "busy"}},
                }
            ),
            500,
        ),
        (G, sse({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}), 503),
    ],
)
def test_a_providers_error_in_mid_stream(src, raw, status, dst):
    begun = {
        A: ANTHROPIC_STREAM[:700].rpartition(b"\n\n")[0] + b"\n\n",
        C: sse(chunk({"content": "He"})),
        R: b"",
        G: b"",
    }[src]
    events, stream = run(src, dst, begun + raw)
    assert stream.failure is not None
    assert (stream.failure.status, stream.failure.message) == (status, "busy")
    assert stream.finish is None
    last = [body for _, body in events if "error" in json.dumps(body)]
    assert "busy" in json.dumps(last)
    if dst == A:
        assert events[-1][0] == "error"
        assert events[-1][1]["error"]["type"] in (
            "overloaded_error",
            "rate_limit_error",
            "api_error",
        )


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_broken_connection_is_an_error_event(src, dst):
    begun = {A: ANTHROPIC_STREAM[:700], C: sse(chunk({"content": "He"})), R: b"", G: b""}[src]
    for end in ("fail", "flush"):
        stream = StreamTranslator(src, dst)
        stream.feed(begun)
        out = stream.fail(502, "gone") if end == "fail" else stream.flush()
        assert b"error" in out
        assert stream.flush() == stream.feed(begun) == b""


def test_a_free_form_tool_gets_its_plain_text_back():
    context = AnswerContext({"tools": [{"type": "custom", "name": "apply_patch"}]})
    raw = sse(
        chunk(
            {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "a",
                        "function": {"name": "apply_patch", "arguments": '{"inp'},
                    }
                ]
            }
        ),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'ut":"*** Begin\\n"}'}}]}),
        chunk({}, "tool_calls"),
        b"[DONE]",
    )
    events, _ = run(C, R, raw, context)
    item = events[-1][1]["response"]["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin\n")
    assert "response.custom_tool_call_input.delta" in [name for name, _ in events]


def test_namespaced_tools_get_their_names_back():
    tools = [{"type": "namespace", "name": "fs", "tools": [{"type": "function", "name": "read"}]}]
    raw = CHAT_STREAM.replace(b'"name": "f"', b'"name": "fs__read"')
    events, _ = run(C, R, raw, AnswerContext({"tools": tools}))
    calls = [
        item for item in events[-1][1]["response"]["output"] if item["type"] == "function_call"
    ]
    assert (calls[0]["name"], calls[0]["namespace"]) == ("read", "fs")


def test_azures_empty_first_chunk_is_no_beginning():
    empty = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    events, _ = run(C, A, sse(empty, chunk({"content": "Hi"}), chunk({}, "stop"), b"[DONE]"))
    assert events[0][1]["message"]["model"] == "gpt"
    assert [name for name, _ in events].count("message_start") == 1


def test_a_stream_without_its_beginning_still_has_one():
    raw = sse(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    )
    events, _ = run(A, C, raw)
    assert events[0][1]["choices"][0]["delta"]["role"] == "assistant"
    assert all(body == b"[DONE]" or body["id"] for _, body in events)


def test_code_assists_envelope_is_taken_off_whatever_stands_beside_it():
    inner = {
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "modelVersion": "g",
    }
    events, _ = run(G, C, sse({"response": inner, "traceId": "t"}))
    assert events[1][1]["choices"][0]["delta"] == {"content": "Hi"}
