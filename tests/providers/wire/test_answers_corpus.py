"""Every recorded answer and stream in every other format, read by the official SDK of that
format.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.core.sse import SseParser
from providers.wire.translate import (
    AnswerContext,
    StreamTranslator,
    translate_error,
    translate_response,
    translate_response_to_stream,
)

from .cases import ALL, PAIRS, Case, buffered, errors, load, streamed
from .sdk_answers import Digest, read

pytestmark = pytest.mark.corpus

WITH_USAGE = AnswerContext(
    {"stream_options": {"include_usage": True}, "thinking": {"type": "enabled"}}
)
# Recordings that are more than one answer in a row (an agent's turns in one cassette): the first is
# translated.
SEVERAL_ANSWERS = {
    "anthropic-1c8ef9653c6b",
    "anthropic-e34ec634454f",
    "openai_responses-83761633e98b",
}
# The SDK of the source cannot read these itself.
UNREADABLE = {
    "gemini-e1baf0043b9a",  # numbers for names (an old server)
    "gemini-f43606c35bc1",
    "openai_chat-2318040757e9",  # an error in the stream; see below
}
# Arguments in pieces, which Google's SDK shows raw, and arguments that are no JSON.
ODD_CALLS = {"gemini-0f7cc781787d", "gemini-c48c368cc91d", "anthropic-a131e4d03336"}


@cache
def source(case_id: str, corpus: Path) -> Digest | None:
    case = next(case for case in load(corpus) if case.id == case_id)
    if case.id in UNREADABLE | SEVERAL_ANSWERS or isinstance(case.answer, list):
        return None
    raw = case.answer if case.kind == "sse" else json.dumps(case.answer).encode()
    return read(case.format, raw, stream=case.kind == "sse")


def check(case: Case, want: Digest, got: Digest, dst: str) -> None:
    text = want.text + want.refusal
    assert got.text + got.refusal == text, case.id
    assert got.reasoning == want.reasoning, case.id
    assert got.model == want.model, case.id
    if case.id not in ODD_CALLS:
        assert got.calls == want.calls, case.id
    stop = "filter" if want.refusal and dst in (ANTHROPIC_MESSAGES, GOOGLE_GENERATE) else want.stop
    assert got.stop == stop or want.stop == "other", (case.id, want.stop, got.stop)
    if dst != GOOGLE_GENERATE:
        assert all(got.ids) and len(set(got.ids)) == len(got.ids), case.id
    check_usage(case, want.usage, got.usage)


def check_usage(case: Case, want, got) -> None:
    if not want or (want["cached"] or 0) > want["in"]:  # unknown, or it contradicts itself
        return
    details = case.answer.get("usage", {}) if isinstance(case.answer, dict) else {}
    reasoning = (details.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if reasoning > want["out"] or case.id == "openai_chat-1ce05d9a04c5":  # xAI counts it apart
        return
    assert got == want, case.id


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_answers_read_the_same_in_the_other_sdk(corpus, src, dst):
    seen = 0
    for case in buffered(corpus):
        if case.format != src:
            continue
        body, _ = translate_response(case.answer, src, dst)
        got = read(dst, json.dumps(body).encode(), stream=False)
        seen += 1
        if (want := source(case.id, corpus)) is not None:
            check(case, want, got, dst)
    assert seen > 80


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_streams_read_the_same_in_the_other_sdk(corpus, src, dst):
    seen = 0
    for case in streamed(corpus):
        if case.format != src or case.id in UNREADABLE:
            continue
        stream = StreamTranslator(src, dst, context=WITH_USAGE)
        out = stream.feed(case.answer) + stream.flush()
        assert stream.failure is None, case.id
        got = read(dst, out, stream=True)
        seen += 1
        if (want := source(case.id, corpus)) is not None:
            check(case, want, got, dst)
    assert seen > 25


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_whole_answers_can_be_streamed(corpus, src, dst):
    for case in buffered(corpus):
        if case.format != src or (want := source(case.id, corpus)) is None:
            continue
        got = read(
            dst,
            translate_response_to_stream(case.answer, src, dst, context=WITH_USAGE),
            stream=True,
        )
        check(case, want, got, dst)


OBJECTS: dict[str, Any] = {
    ANTHROPIC_MESSAGES: TypeAdapter(Message),
    OPENAI_CHAT: TypeAdapter(ChatCompletion),
    OPENAI_RESPONSES: TypeAdapter(Response),
    GOOGLE_GENERATE: TypeAdapter(GenerateContentResponse),
}
EVENTS: dict[str, Any] = {
    ANTHROPIC_MESSAGES: TypeAdapter(RawMessageStreamEvent),
    OPENAI_CHAT: TypeAdapter(ChatCompletionChunk),
    OPENAI_RESPONSES: TypeAdapter(ResponseStreamEvent),
    GOOGLE_GENERATE: TypeAdapter(GenerateContentResponse),
}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_objects_and_events_have_every_required_field(corpus, src, dst):
    """Stricter than the SDKs, which build their objects from whatever comes."""
    for case in buffered(corpus):
        if case.format == src:
            OBJECTS[dst].validate_python(translate_response(case.answer, src, dst)[0])
    for case in streamed(corpus)[::3]:
        if case.format == src and case.id not in UNREADABLE:
            stream = StreamTranslator(src, dst, context=WITH_USAGE)
            for event in SseParser().feed(stream.feed(case.answer) + stream.flush()):
                if event.data != b"[DONE]" and b'"ping"' not in event.data:
                    EVENTS[dst].validate_python(json.loads(event.data))


def test_googles_array_is_read_like_its_stream(corpus):
    arrays = [case for case in buffered(corpus) if isinstance(case.answer, list)]
    assert arrays
    for case in arrays:
        sse = b"".join(
            b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in case.answer
        )
        want = read(GOOGLE_GENERATE, sse, stream=True)
        body, _ = translate_response(case.answer, GOOGLE_GENERATE, OPENAI_CHAT)
        check(case, want, read(OPENAI_CHAT, json.dumps(body).encode(), stream=False), OPENAI_CHAT)


@pytest.mark.parametrize("dst", ALL)
def test_an_error_in_a_recorded_stream_stays_one(corpus, dst):
    case = next(case for case in load(corpus) if "error_in_stream" in case.features)
    stream = StreamTranslator(case.format, dst)
    out = stream.feed(case.answer) + stream.flush()
    assert stream.failure is not None
    assert "did not call a tool" in stream.failure.message
    for end in (
        b"message_stop",
        b"[DONE]",
        b"response.completed",
        b"finishReason",
        b'"finish_reason":"',
    ):
        assert end not in out
    with pytest.raises(Exception, match="did not call a tool"):
        read(dst, out, stream=True)
        pytest.fail("the SDK saw no error")


@pytest.mark.parametrize("dst", ALL)
def test_recorded_errors_are_said_in_the_clients_shape(corpus, dst):
    seen = 0
    for case in errors(corpus):
        body = json.loads(
            translate_error(case.status, json.dumps(case.answer).encode(), case.format, dst)
        )
        error = body["error"]
        original = json.dumps(case.answer)
        assert (
            json.dumps(error["message"].removeprefix("prompt is too long: "))[1:-1] in original
        ), case.id
        if dst == ANTHROPIC_MESSAGES:
            assert body["type"] == "error"
            assert set(error) == {"type", "message"}
        elif dst == GOOGLE_GENERATE:
            assert error["code"] == case.status
            assert error["status"].isupper()
        else:
            assert set(error) == {"message", "type", "param", "code"}
        seen += 1
    assert seen > 25


def test_perplexitys_sources_are_citations(corpus):
    seen = 0
    for case in buffered(corpus):
        if case.id.startswith("perplexity") and isinstance(case.answer.get("citations"), list):
            body, _ = translate_response(case.answer, OPENAI_CHAT, OPENAI_RESPONSES)
            annotations = [
                a
                for item in body["output"]
                for part in item.get("content", [])
                for a in part["annotations"]
            ]
            assert [a["url"] for a in annotations] == case.answer["citations"]
            seen += 1
    assert seen > 2


def test_prompts_too_long_keep_the_words_agents_wait_for(corpus):
    anthropic = next(
        case for case in errors(corpus) if "prompt is too long" in json.dumps(case.answer)
    )
    body = json.loads(
        translate_error(
            400, json.dumps(anthropic.answer).encode(), ANTHROPIC_MESSAGES, OPENAI_RESPONSES
        )
    )
    assert body["error"]["code"] == "context_length_exceeded"
    openai = next(
        case for case in errors(corpus) if "context_length_exceeded" in json.dumps(case.answer)
    )
    body = json.loads(
        translate_error(
            400, json.dumps(openai.answer).encode(), OPENAI_RESPONSES, ANTHROPIC_MESSAGES
        )
    )
    assert body["error"]["message"].startswith("prompt is too long: ")
