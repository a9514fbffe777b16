"""No input makes the translator raise anything but its declared errors, hang, or say that a broken
answer is whole.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.base.errors import (
    BadUpstreamAnswer,
    MalformedBody,
    TranslationError,
    UnsupportedByTarget,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.translate import (
    AnswerContext,
    StreamTranslator,
    translate_error,
    translate_request,
    translate_response,
)

from .cases import ALL, PAIRS, Case, buffered, streamed, with_request

TEXTS: list[Any] = [
    "",
    " ",
    "x",
    "\ud800",
    "é" * 10,
    "user",
    "tool",
    "data:",
    "data:x;base64,",
    "ccproxy1:x",
]
NUMBERS: list[Any] = [None, True, False, 0, -1, 1.5, 10**400]
SHAPES: list[Any] = [
    [],
    {},
    [[]],
    [None],
    [{}],
    {"type": "text"},
    {"type": 3},
    {"text": 3},
    {"type": "tool_use"},
]
PARTS: list[Any] = [
    {"role": "user"},
    [{"type": "tool_result"}],
    {"function": {}},
    [{"functionCall": {"name": 1}}],
]
ODD = TEXTS + NUMBERS + SHAPES + PARTS
END_MARKS = (b"message_stop", b"[DONE]", b"response.completed", b"finishReason")


def places(value: Any, limit: int = 400) -> list[tuple[Any, Any]]:
    """Containers and keys, breadth first."""
    found: list[tuple[Any, Any]] = []
    queue: list[Any] = [value]
    while queue and len(found) < limit:
        current = queue.pop(0)
        keys: Any = current.keys() if isinstance(current, dict) else range(len(current))
        for key in keys:
            found.append((current, key))
            if isinstance(current[key], dict | list):
                queue.append(current[key])
    return found


def mutated(value: Any, rng: random.Random) -> Any:
    result = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        spots = places(result)
        if not spots:
            return rng.choice(ODD)
        container, key = rng.choice(spots)
        if rng.random() < 0.3 and isinstance(container, dict):
            del container[key]
        else:
            container[key] = copy.deepcopy(rng.choice(ODD))
    return result


@pytest.mark.corpus
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_mutated_requests_are_translated_or_refused(corpus, src, dst):
    rng = random.Random(f"{src}{dst}")
    for case in with_request(corpus):
        if case.format == src:
            for _ in range(4):
                try:
                    body, _losses = translate_request(mutated(case.body, rng), src, dst, model="m")
                except (MalformedBody, UnsupportedByTarget) as refusal:
                    assert 5 < len(str(refusal)) < 400
                else:
                    assert isinstance(json.loads(dumps(body)), dict)


@pytest.mark.corpus
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_mutated_answers_are_translated_or_refused(corpus, src, dst):
    rng = random.Random(f"{dst}{src}")
    for case in buffered(corpus):
        if case.format == src:
            for _ in range(3):
                try:
                    translate_response(mutated(case.answer, rng), src, dst)
                except BadUpstreamAnswer as refusal:
                    assert len(str(refusal)) > 5


@pytest.mark.corpus
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_mutated_streams_end_once(corpus, src, dst):
    """A stream whose events are changed, lost, doubled or cut ends with one end: an error or a
    success, not both.
    """
    rng = random.Random(f"s{src}{dst}")
    for case in streamed(corpus):
        if case.format == src:
            stream = StreamTranslator(src, dst)
            out = (
                b"".join(stream.feed(event) for event in broken_events(case, rng)) + stream.flush()
            )
            assert stream.done
            assert (stream.failure is None) is (stream.finish is not None)
            marks = sum(mark in out for mark in END_MARKS)
            if stream.failure is not None:
                assert b"message_stop" not in out
                assert b"[DONE]" not in out
                assert b"event: response.completed" not in out
            assert marks <= 1
            assert stream.feed(case.answer) == stream.flush() == stream.fail(500, "x") == b""


def broken_events(case: Case, rng: random.Random) -> list[bytes]:
    events = case.answer.replace(b"\r\n", b"\n").split(b"\n\n")
    position = rng.randrange(len(events))
    what = rng.choice(["mutate", "lose", "double", "cut", "garbage", "utf8"])
    if what == "mutate":
        head, _, data = events[position].partition(b"data: ")
        try:
            data = json.dumps(mutated(json.loads(data), rng)).encode()
        except ValueError:
            data = b"{"
        events[position] = head + b"data: " + data
    elif what == "lose":
        del events[position]
    elif what == "double":
        events.insert(position, events[position])
    elif what == "cut":
        events = events[: position + 1]
        events[-1] = events[-1][: rng.randrange(len(events[-1]) + 1)]
    else:
        events[position] = b"data: {]" if what == "garbage" else b'data: {"a":"\xff"}'
    return [event + b"\n\n" for event in events]


@pytest.mark.corpus
def test_every_cut_stream_is_an_error_or_whole(corpus):
    """Cut anywhere before its last words, a stream never ends in success."""
    for case in streamed(corpus):
        dst = ALL[(ALL.index(case.format) + 1) % 4]
        for part in (0, 10, len(case.answer) // 3, len(case.answer) // 2):
            stream = StreamTranslator(case.format, dst)
            out = stream.feed(case.answer[:part]) + stream.flush()
            if stream.finish is None:
                assert stream.failure is not None
                assert not any(mark in out for mark in END_MARKS)
                assert b"error" in out
            else:
                assert part > 10, case.id  # a cassette of several answers


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "parts",
                    "text",
                    "messages",
                    "input",
                    "contents",
                    "name",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(json_values, st.sampled_from(PAIRS))
def test_arbitrary_json_is_refused_cleanly(value, pair):
    src, dst = pair
    for call in (translate_request, translate_response):
        with contextlib.suppress(TranslationError):
            call(value, src, dst)
    translate_error(500, json.dumps(value).encode(), src, dst)
    stream = StreamTranslator(src, dst)
    stream.feed(b"data: " + json.dumps(value).encode() + b"\n\n")
    stream.flush()
    assert stream.done


@given(st.binary(max_size=200), st.sampled_from(PAIRS))
def test_arbitrary_bytes_are_an_error(raw, pair):
    stream = StreamTranslator(*pair)
    out = stream.feed(raw) + stream.flush()
    assert stream.failure is not None or (pair[0] == "openai_chat" and b"[DONE]" in raw)
    assert b"error" in out
    json.loads(translate_error(502, raw, *pair))


@pytest.mark.parametrize("dst", ALL)
@pytest.mark.parametrize("src", ALL)
def test_absurd_bodies_take_bounded_time(src, dst):
    deep: Any = "x"
    for _ in range(900):
        deep = (
            {"type": "object", "properties": {"a": deep}}
            if isinstance(deep, dict) or deep == "x"
            else deep
        )
    key = {"google_generate": "contents", "openai_responses": "input"}.get(src, "messages")
    tool = {
        "name": "t",
        "input_schema": deep,
        "parameters": deep,
        "type": "function",
        "function": {"name": "t", "parameters": deep},
    }
    bodies: list[Any] = [
        {key: [{"role": "user", "content": "x" * 2_000_000, "parts": [{"text": "x"}]}]},
        {
            key: [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": " "}] * 20_000,
                    "parts": [{"text": " "}] * 20_000,
                }
            ]
        },
        {key: [], "tools": [tool, {"functionDeclarations": [tool]}]},
        {key: [{"role": "nobody"}] * 10},
        {key: "x"},
        [],
        None,
    ]
    started = time.process_time()
    for body in bodies:
        with contextlib.suppress(TranslationError):
            translate_request(body, src, dst, model="m")
    assert time.process_time() - started < 10  # a hang, not a figure


def test_html_and_plain_errors_become_readable():
    html = (
        b"<!DOCTYPE html><html><head><style>x{}</style></head><body><h1>502 Bad"
        b" Gateway</h1><p>nginx</p></body></html>"
    )
    error = json.loads(translate_error(502, html, "openai_chat", "anthropic_messages"))
    assert error == {
        "type": "error",
        "error": {"type": "api_error", "message": "502 Bad Gateway nginx"},
    }
    assert (
        json.loads(translate_error(503, b"", "openai_chat", "google_generate"))["error"]["status"]
        == "UNAVAILABLE"
    )
    with pytest.raises(BadUpstreamAnswer, match="no JSON object"):
        translate_response("<html>", "openai_chat", "anthropic_messages")


def test_odd_json_passes_through():
    assert loads(b'"\\ud800"') == "\ud800"
    assert loads(dumps({"a": 2**80})) == {"a": 2**80}
    with pytest.raises((ValueError, RecursionError)):
        loads(b"[" * 100_000)
    for refused in (b"1" * 5000, b"NaN", b"[Infinity]", b'["\\ud800", 1e999]'):
        with pytest.raises(ValueError, match=r"."):
            loads(refused)
    body, _ = translate_request(
        {"messages": [{"role": "user", "content": "half \ud83d"}], "max_tokens": 1},
        "anthropic_messages",
        "openai_chat",
    )
    assert loads(dumps(body))["messages"][0]["content"] == "half \ud83d"
    stream = StreamTranslator("openai_chat", "anthropic_messages", context=AnswerContext())
    chunk = {
        "id": "c",
        "choices": [{"index": 0, "delta": {"content": "\ud83d"}, "finish_reason": "stop"}],
    }
    out = stream.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n") + stream.flush()
    assert b"ud83d" in out
    assert stream.failure is None
