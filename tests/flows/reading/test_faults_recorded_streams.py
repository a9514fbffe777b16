"""Recorded streams of imperfect servers: their text and their usage are found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.reading.answer_text import AnswerReader, joined
from flows.reading.body_view import body_view
from flows.reading.decoded import read_answer
from flows.reading.event_pieces import Piece
from flows.reading.search_text import answer
from flows.reading.token_usage import usage_of_body


def events(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def read(data: bytes) -> list[Piece]:
    reader = AnswerReader()
    return joined([*reader.feed(data), *reader.finish()])


def test_broken_utf8_costs_one_character() -> None:
    raw = events({"choices": [{"delta": {"content": "bad here"}}]})
    raw = raw.replace(b"bad here", b"bad\xffhere")
    assert "".join(piece.text for piece in read(raw)) == "bad\ufffdhere"


PART = {"type": "output_text", "text": "late"}
MESSAGE = {"type": "message", "id": "m", "content": [PART]}
CALL = {"type": "function_call", "id": "f", "name": "ls", "arguments": "{}"}
ADDED = {"type": "response.output_item.added", "output_index": 1, "item": CALL}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": "late"}
TEXT = {"type": "response.output_text.done", "output_index": 0, "item_id": "m", "text": "late"}
ITEM = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
CALLED = {"type": "response.output_item.done", "output_index": 1, "item": CALL}
COMPLETED = {"type": "response.completed", "response": {"output": [MESSAGE, CALL]}}


@pytest.mark.parametrize(
    "stream",
    [
        [DELTA, TEXT, ITEM, ADDED, CALLED, COMPLETED],
        [TEXT, ITEM, CALLED, COMPLETED],
        [ITEM, CALLED, COMPLETED],
        [ITEM, ADDED, CALLED],
        [COMPLETED],
    ],
)
def test_a_text_that_comes_at_an_end_is_read_once(stream: list[Any]) -> None:
    wanted = [("text", "late"), ("tool", "ls"), ("arguments", "{}")]
    assert read(events(*stream)) == wanted
    unnumbered = [{k: v for k, v in event.items() if k != "output_index"} for event in stream]
    if DELTA not in stream:
        assert read(events(*unnumbered)) == wanted


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "x_server": {"usage": {"prompt_tokens": 11, "completion_tokens": 2}}},
        {"choices": [{"delta": {}, "usage": {"prompt_tokens": 11, "completion_tokens": 2}}]},
        {"usage": {"prompt_tokens": 11, "completion_tokens": 2}},
    ],
)
def test_usage_is_recorded_wherever_it_is(last: dict[str, Any]) -> None:
    first = {"model": "m", "choices": [{"delta": {"content": "\u00fc"}}]}
    for body in (events(first, last), json.dumps(last).encode()):
        metered = usage_of_body(body)
        assert metered is not None
        assert (metered.usage.input_tokens, metered.usage.output_tokens) == (11, 2)


def test_usage_in_a_body_with_broken_utf8_is_recorded() -> None:
    body = b'{"text": "\xff", "usage": {"prompt_tokens": 11, "completion_tokens": 2}}'
    metered = usage_of_body(body)
    assert metered is not None
    assert metered.usage.input_tokens == 11


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("broken", [b"", b"event: content_block_delta\ndata: {\n\n"])
def test_the_text_of_a_stream_that_breaks_off_is_kept(started: bool, broken: bytes) -> None:
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("Half ", "a sentence")
    ]
    start = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    events = [*([start] if started else []), *deltas]
    raw = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    half = read_answer("anthropic_messages", raw.encode() + broken, 200)
    assert [getattr(block, "text", "") for block in half.blocks] == ["Half a sentence"]
    assert not half.complete


def test_a_stream_that_only_fails_shows_the_failure_and_no_text() -> None:
    failed = read_answer("openai_chat", events({"error": {"message": "gpu lost"}}), 200)
    assert (failed.blocks, failed.failure, failed.complete) == ([], "gpu lost", False)


def test_google_sends_a_stream_as_one_array() -> None:
    chunks = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("Hi", " you")]
    body = json.dumps(chunks).encode()
    assert body_view("upstream", body, "application/json").answer() == [("text", "Hi you")]
    assert answer(body).text == "Hi you"


def test_an_input_of_a_vendors_own_tool_is_kept_when_the_stream_is_cut() -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": '{"query": "moo'}
    stream = [
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
    ]
    pieces = read(events(*stream))
    assert [piece.kind for piece in pieces] == ["tool", "arguments"]
    assert pieces[0].text == "web_search"
    assert "moo" in pieces[1].text


def test_deltas_without_their_type_are_read_by_their_field() -> None:
    deltas = [{"text": "a"}, {"thinking": "b"}, {"signature": "c"}]
    stream = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    assert read(events({"type": "message_start", "message": {}}, *stream)) == [
        ("text", "a"),
        ("thinking", "b"),
    ]
