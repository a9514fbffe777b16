"""Failures inside of responses: at any position, in any spelling and chunking, in every pair."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
    WireFormatName,
)
from providers.wire.answer_form import failure_at_end, failure_in_answer
from providers.wire.failure_translation import decoded_error, translate_failure
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.response_reading import read_response
from providers.wire.rules.limits import retry_after_s
from providers.wire.translate import StreamTranslator, translate_response

FORMATS = list(WIRE_FORMATS)
PAIRS = [(src, dst) for src in FORMATS for dst in FORMATS if src != dst]
SUCCESS: dict[WireFormatName, tuple[bytes, ...]] = {
    ANTHROPIC_MESSAGES: (b"message_stop",),
    OPENAI_CHAT: (b"[DONE]", b'"finish_reason":"stop"'),
    OPENAI_RESPONSES: (b"response.completed",),
    GOOGLE_GENERATE: (b"finishReason",),
}
WORDS = "the gpu fell off"


def _sse(event: dict[str, Any]) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def _chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _google(text: str, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, **more}], "modelVersion": "m"}


_MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
_PART = {"output_index": 0, "content_index": 0}
STREAMS: dict[WireFormatName, list[bytes]] = {
    ANTHROPIC_MESSAGES: [
        _sse({"type": "message_start", "message": _MESSAGE}),
        _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        _sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hey"}}),
        _sse({"type": "content_block_stop", "index": 0}),
        _sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        _sse({"type": "message_stop"}),
    ],
    OPENAI_CHAT: [
        _sse(_chat({"role": "assistant", "content": ""})),
        _sse(_chat({"content": "hey"})),
        _sse(_chat({}, "stop")),
        b"data: [DONE]\n\n",
    ],
    OPENAI_RESPONSES: [
        _sse({"type": "response.created", "response": {"id": "r", "model": "m", "error": None}}),
        _sse({"type": "response.output_text.delta", **_PART, "delta": "hey"}),
        _sse(
            {
                "type": "response.completed",
                "response": {"id": "r", "status": "completed", "error": None, "output": []},
            }
        ),
    ],
    GOOGLE_GENERATE: [_sse(_google("hey")), _sse(_google("", finishReason="STOP"))],
}  # fmt: skip
ENDS = {ANTHROPIC_MESSAGES: 1, OPENAI_CHAT: 1, OPENAI_RESPONSES: 1, GOOGLE_GENERATE: 0}
"""How many events at a stream's end are behind its success; no failure can come after those."""

SPELLINGS: dict[str, bytes] = {
    "error field": f'error: {{"code":500,"message":"{WORDS}","type":"server_error"}}\n\n'.encode(),
    "error field of text": f"error: {WORDS}\n\n".encode(),
    "event, bare": f'event: error\ndata: {{"message":"{WORDS}"}}\n\n'.encode(),
    "event, typed": f'event: error\ndata: {{"type":"error","message":"{WORDS}"}}\n\n'.encode(),
    "event of text": f"event:error\ndata:{WORDS}\n\n".encode(),
    "event, CRLF": f'event: error\r\ndata: {{"message":"{WORDS}"}}\r\n\r\n'.encode(),
    "type error": f'data: {{"type":"error","message":"{WORDS}","code":"server_error"}}\n\n'.encode(),
    "anthropic": _sse({"type": "error", "error": {"type": "api_error", "message": WORDS}}),
    "object": _sse({"error": {"message": WORDS, "code": 500}}),
    "string": _sse({"error": WORDS}),
    "array": f'data: [{{"error":{{"code":500,"message":"{WORDS}","status":"INTERNAL"}}}}]\n\n'.encode(),
    "choice": _sse({"choices": [{"index": 0, "finish_reason": "error", "error": {"message": WORDS}}]}),
    "chunk and finish": _sse(_chat({}, "error") | {"error": {"code": 502, "message": WORDS}}),
    "response.failed": _sse(
        {"type": "response.failed", "response": {"status": "failed", "error": {"message": WORDS}}}
    ),
}  # fmt: skip


def _cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    offsets = draw.draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    edges = [0, *offsets, len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.data(), st.sampled_from(PAIRS), st.sampled_from(list(SPELLINGS)))
def test_a_failure_anywhere_is_the_clients_error_event(draw, pair, spelling):
    src, dst = pair
    events = STREAMS[src]
    position = draw.draw(st.integers(0, len(events) - 1 - ENDS[src]))
    body = b"".join([*events[:position], SPELLINGS[spelling], *events[position:]])
    translator = StreamTranslator(src, dst)
    out = b"".join(translator.feed(chunk) for chunk in _cut(body, draw)) + translator.flush()
    assert translator.failure is not None and translator.finish is None
    assert translator.failure.message == WORDS
    assert WORDS.encode() in out
    assert b'"error"' in out
    for mark in SUCCESS[dst]:
        assert mark not in out.replace(b'"type":"response.failed"', b"")


@given(st.data(), st.sampled_from(FORMATS), st.sampled_from(list(SPELLINGS)))
def test_a_failure_anywhere_is_seen_in_the_recorded_bytes(draw, src, spelling):
    events = STREAMS[src]
    position = draw.draw(st.integers(0, len(events)))
    body = b"".join([*events[:position], SPELLINGS[spelling], *events[position:]])
    failure = failure_in_answer(body, 200)
    assert failure is not None and failure.message == WORDS
    assert failure_at_end(body, 200) == failure


@pytest.mark.parametrize("src", FORMATS)
def test_a_good_stream_is_no_failure(src):
    body = b"".join(STREAMS[src])
    assert failure_in_answer(body, 200) is None and failure_at_end(body, 200) is None
    told = json.dumps('{"error": {"message": "as text"}}\nerror: also text')
    talk = body.replace(b'"hey"', told.encode())
    assert told.encode() in talk
    assert failure_in_answer(talk, 200) is None
    assert read_response(talk, src).blocks


def test_the_end_of_a_long_stream_is_looked_at_alone():
    delta = STREAMS[ANTHROPIC_MESSAGES][2]
    stream = delta * 3000 + SPELLINGS["anthropic"]
    failure = failure_at_end(stream, 200)
    assert failure is not None and failure.message == WORDS
    long_after = SPELLINGS["anthropic"] + delta * 3000
    assert failure_at_end(long_after, 200) is None
    assert failure_in_answer(long_after, 200) is not None


def test_a_choice_that_ends_with_an_error_needs_no_words():
    body = [
        STREAMS[OPENAI_CHAT][1],
        _sse(_chat({}, "error") | {"error": None}),
        b"data: [DONE]\n\n",
    ]
    translator = StreamTranslator(OPENAI_CHAT, ANTHROPIC_MESSAGES)
    out = translator.feed(b"".join(body)) + translator.flush()
    assert b"event: error" in out and b"end_turn" not in out
    assert translator.failure is not None and "without an explanation" in translator.failure.message


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_stream_answers_a_buffered_request(src, dst):
    answer, _ = translate_response(b"".join(STREAMS[src]), src, dst)
    assert "hey" in json.dumps(answer)


@given(st.data(), st.sampled_from(PAIRS), st.sampled_from([b"", b"\n ", b"\xef\xbb\xbf"]))
def test_json_becomes_a_stream(draw, pair, before):
    src, dst = pair
    body = before + json.dumps(_whole(src)).encode()
    translator = StreamTranslator(src, dst)
    out = b"".join(translator.feed(chunk) for chunk in _cut(body, draw)) + translator.flush()
    assert translator.failure is None, translator.failure
    assert b"hey" in out and SUCCESS[dst][0] in out


def _whole(src: WireFormatName) -> dict[str, Any]:
    if src == ANTHROPIC_MESSAGES:
        return _MESSAGE | {"content": [{"type": "text", "text": "hey"}], "stop_reason": "end_turn"}
    if src == OPENAI_CHAT:
        message = {"role": "assistant", "content": "hey"}
        return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    if src == OPENAI_RESPONSES:
        content = [{"type": "output_text", "text": "hey", "annotations": []}]
        item = {"type": "message", "role": "assistant", "content": content}
        return {"id": "r", "status": "completed", "error": None, "output": [item]}
    return _google("hey", finishReason="STOP")


BODIES = [
    ({"error": {"message": WORDS, "code": 429, "metadata": {"raw": "x"}}, "user_id": "u"}, 429),
    ({"error": {"message": WORDS, "code": "insufficient_quota"}}, 429),
    ({"error": {"code": 429, "message": WORDS, "status": "RESOURCE_EXHAUSTED"}}, 429),
    ([{"error": {"code": 403, "message": WORDS, "status": "PERMISSION_DENIED"}}], 403),
    ({"type": "error", "error": {"type": "overloaded_error", "message": WORDS}}, 529),
    ({"error": WORDS}, 500),
    ({"error": json.dumps({"error": {"message": WORDS, "code": 401}})}, 401),
    ({"message": WORDS, "code": 404}, 404),
    ({"detail": [{"loc": ["body"], "msg": WORDS}]}, 500),
    ({"success": False, "errors": [{"code": 7000, "message": WORDS}]}, 500),
    ({"object": "error", "message": WORDS, "type": "BadRequest", "code": 400}, 400),
    ({"status": "failed", "output": [], "error": {"code": "rate_limit_exceeded", "message": WORDS}}, 429),
]  # fmt: skip


@pytest.mark.parametrize("src", FORMATS)
@pytest.mark.parametrize(("body", "status"), BODIES)
def test_an_error_with_status_200_keeps_words_and_class(src, body, status):
    with pytest.raises(ReportedFailure) as caught:
        read_response(json.dumps(body).encode(), src)
    assert (caught.value.failure.message, caught.value.failure.status) == (WORDS, status)
    for dst in FORMATS:
        error = translate_failure(caught.value.failure, src, dst)
        assert error.status == status
        assert json.loads(error.body)["error"]["message"] == WORDS


@pytest.mark.parametrize("src", FORMATS)
@pytest.mark.parametrize(("body", "status"), BODIES)
def test_an_error_status_stays(src, body, status):
    failure = decoded_error(418, json.dumps(body).encode(), src)
    assert (failure.message, failure.status) == (WORDS, 418)


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name != "choice"])
def test_an_error_status_with_a_stream_is_read(spelling):
    failure = decoded_error(429, SPELLINGS[spelling], OPENAI_CHAT)
    assert (failure.message, failure.status) == (WORDS, 429)


TOO_LONG = [
    "prompt is too long: 208310 tokens > 200000 maximum",
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "the request exceeds the available context size",
    "the request exceeds the context",
    "Input is too long for requested model.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097",
    "Range of input length should be [1, 98304]",
    "Your request exceeded model token limit: 131072",
    "Prompt exceeds max length",
    "prompt token count of 150000 exceeds the limit of 128000",
    "The prompt is too long: 5000, model maximum context length: 4095",
    "input length exceeds maximum context length",
    "prompt too long; exceeded max context length by 5 tokens",
    "context window exceeds limit",
]
OTHER = [
    (400, "Invalid 'input[3].id': string too long. Expected a string with maximum length 64."),
    (400, "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens"),
    (429, "Too many tokens per minute: the request exceeds the context of your plan"),
    (413, "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 8000"),
    (400, "messages: text content blocks must be non-empty"),
    (400, "Request exceeded rate limit of 5 per second"),
]


@pytest.mark.parametrize("words", TOO_LONG)
@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_that_is_too_long_is_said_as_clients_know_it(words, status):
    failure = decoded_error(status, json.dumps({"error": {"message": words}}).encode(), OPENAI_CHAT)
    error = translate_failure(failure, OPENAI_CHAT, ANTHROPIC_MESSAGES)
    inner = json.loads(error.body)["error"]
    assert inner["message"].startswith("prompt is too long") and words in inner["message"]
    assert (error.status, inner["type"]) == (400, "invalid_request_error")
    openai = json.loads(translate_failure(failure, ANTHROPIC_MESSAGES, OPENAI_RESPONSES).body)
    assert openai["error"]["code"] == "context_length_exceeded"
    streamed = StreamTranslator(OPENAI_CHAT, ANTHROPIC_MESSAGES)
    out = streamed.feed(_sse({"error": {"message": words, "code": status}}))
    assert b'"message":"prompt is too long' in out and b"invalid_request_error" in out
    assert streamed.failure is not None and streamed.failure.message == words


@pytest.mark.parametrize(("status", "words"), OTHER)
def test_other_limits_are_not_taken_for_it(status, words):
    failure = decoded_error(status, json.dumps({"error": {"message": words}}).encode(), OPENAI_CHAT)
    error = translate_failure(failure, OPENAI_CHAT, ANTHROPIC_MESSAGES)
    assert json.loads(error.body)["error"]["message"] == words


def test_codex_reads_the_code_of_a_failed_stream():
    translator = StreamTranslator(OPENAI_CHAT, OPENAI_RESPONSES)
    out = translator.feed(
        STREAMS[OPENAI_CHAT][0] + _sse({"error": {"message": "Input is too long."}})
    )
    failed = json.loads(out.split(b"event: response.failed\ndata: ")[1])
    assert failed["response"]["error"]["code"] == "context_length_exceeded"


def test_retry_hints_of_every_spelling():
    def hint(error: dict[str, Any]) -> float | None:
        return retry_after_s(json.dumps({"error": error}).encode())

    assert hint({"message": "Please try again in 7m1.5s. Visit us"}) == 421.5
    assert hint({"message": "Rate limit. Please retry in 20s."}) == 20
    assert hint({"message": "Exhausted. Your quota will reset after 2h5m30s."}) == 7530
    assert hint({"metadata": {"headers": {"Retry-After": "3"}}}) == 3
    assert hint({"retry_after": 4}) == 4
    assert hint({"message": "try again in a while"}) is None
    info = {"@type": "x/google.rpc.RetryInfo", "retryDelay": "2s"}
    assert retry_after_s(b"data: " + json.dumps({"error": {"details": [info]}}).encode()) == 2


@given(st.binary(max_size=300), st.sampled_from(FORMATS))
def test_any_bytes_are_no_reason_to_break(data, src):
    for prefix in (b"", b"data: ", b"error:", b'{"error":', b"event: error\ndata:"):
        failure_in_answer(prefix + data, 200)
        failure_at_end(prefix + data, 500)
        retry_after_s(prefix + data)
        decoded_error(500, prefix + data, src)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "status", "choices", "response"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(FORMATS))
def test_any_error_object_is_read(value, src):
    raw = json.dumps(value).encode()
    failure_in_answer(raw, 200)
    failure_in_answer(b"data: " + raw + b"\n\n", 200)
    decoded_error(500, raw, src)


@pytest.mark.parametrize("pair", PAIRS)
@given(blanks=st.text("\n\r ", max_size=300), step=st.integers(1, 99))
@settings(max_examples=10)
def test_blank_lines_before_a_response_say_nothing(pair, blanks, step):
    src, dst = pair
    for body in (json.dumps(_whole(src)).encode(), b"".join(STREAMS[src])):
        data = blanks.encode() + body
        translator = StreamTranslator(src, dst)
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        out = b"".join(translator.feed(chunk) for chunk in chunks) + translator.flush()
        assert translator.failure is None, translator.failure
        assert b"hey" in out
