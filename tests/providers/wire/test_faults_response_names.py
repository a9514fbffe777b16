"""Ids and models of a type that no format knows, and ends that cannot be written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.errors import BadUpstreamAnswer
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.formats import client_codec
from providers.wire.translate import (
    AnswerContext,
    StreamTranslator,
    translate_response,
    translate_response_to_stream,
)

from .cases import PAIRS
from .sdk_answers import Digest, read

ODD: list[Any] = [None, 17, -1, 10**400, 1.5, True, "", [], {}, [{}], {"type": 3}]


def answer(src: WireFormatName, name: Any) -> dict[str, Any]:
    """Return a response whose id and model are this value."""
    if src == ANTHROPIC_MESSAGES:
        return {
            "id": name,
            "model": name,
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }
    if src == OPENAI_CHAT:
        message = {"role": "assistant", "content": "hi"}
        return {
            "id": name,
            "model": name,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    if src == OPENAI_RESPONSES:
        part = {"type": "output_text", "text": "hi"}
        item: dict[str, Any] = {"type": "message", "role": "assistant", "content": [part]}
        return {"id": name, "model": name, "status": "completed", "output": [item]}
    content = {"role": "model", "parts": [{"text": "hi"}]}
    candidate = {"content": content, "finishReason": "STOP"}
    return {"responseId": name, "modelVersion": name, "candidates": [candidate]}


def events(src: WireFormatName, name: Any) -> bytes:
    """Return the stream of the same response."""
    whole = answer(src, name)
    if src == ANTHROPIC_MESSAGES:
        text = {"type": "text_delta", "text": "hi"}
        parts = [
            {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {**text, "type": "text"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
            {"type": "message_stop"},
        ]
    elif src == OPENAI_CHAT:
        choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
        parts = [{**whole, "choices": [choice]}]
    elif src == OPENAI_RESPONSES:
        parts = [
            {"type": "response.created", "response": {**whole, "output": []}},
            {"type": "response.output_text.delta", "output_index": 0, "delta": "hi"},
            {"type": "response.completed", "response": whole},
        ]
    else:
        parts = [whole]
    end = b"data: [DONE]\n\n" if src == OPENAI_CHAT else b""
    return b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts) + end


def said(dst: WireFormatName, raw: bytes, *, stream: bool) -> Digest:
    digest = read(dst, raw, stream=stream)
    assert (digest.text, digest.stop) == ("hi", "stop")
    assert isinstance(digest.model, str)
    return digest


@pytest.mark.parametrize("name", ODD, ids=lambda name: repr(name)[:20])
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_response_arrives_whatever_its_id_and_model_are(
    src: WireFormatName, dst: WireFormatName, name: Any
) -> None:
    body, _ = translate_response(answer(src, name), src, dst)
    said(dst, json.dumps(body).encode(), stream=False)
    for raw in (events(src, name), json.dumps(answer(src, name)).encode()):
        stream = StreamTranslator(src, dst)
        out = stream.feed(raw) + stream.flush()
        assert stream.failure is None
        said(dst, out, stream=True)
        for value in every_name(out, dst):
            assert isinstance(value, str), value


def every_name(out: bytes, dst: WireFormatName) -> list[Any]:
    """Return all ids and models of the response in a stream."""
    keys = {"id", "model"} if dst != GOOGLE_GENERATE else {"responseId", "modelVersion"}
    found: list[Any] = []
    for line in out.splitlines():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            for part in (event, event.get("response", {}), event.get("message", {})):
                found += [part[key] for key in keys & part.keys()]
    return found


@pytest.mark.parametrize("form", ["events", "json"])
@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_an_end_that_cannot_be_written_is_no_end(
    src: WireFormatName, dst: WireFormatName, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = StreamTranslator(src, dst)
    encode = stream._encoder.feed
    broken: list[Any] = []

    def feed(parts: Any) -> bytes:
        if stream.finish is not None and not broken:
            broken.append(parts)
            raise TypeError("unforeseen")
        return encode(parts)

    monkeypatch.setattr(stream._encoder, "feed", feed, raising=False)
    raw = events(src, "r1") if form == "events" else json.dumps(answer(src, "r1")).encode()
    out = stream.feed(raw) + stream.flush()
    assert broken
    assert (stream.finish, stream.failure is None) == (None, False)
    assert b"error" in out.splitlines()[-2] or b"failed" in out


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_response_that_cannot_become_a_stream_is_refused(
    src: WireFormatName, dst: WireFormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(client_codec(dst).stream_encoder(AnswerContext()))

    def feed(*_: Any) -> bytes:
        raise TypeError("unforeseen")

    monkeypatch.setattr(kind, "feed", feed)
    with pytest.raises(BadUpstreamAnswer, match="cannot be translated"):
        translate_response_to_stream(answer(src, "r1"), src, dst)
