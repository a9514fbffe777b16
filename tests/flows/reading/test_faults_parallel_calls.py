"""Recorded streams with parallel calls in any order of their parts: each call is read as itself."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reading.answer_text import AnswerReader, joined
from flows.reading.body_view import body_view
from flows.reading.decoded import read_answer
from flows.reading.event_pieces import Piece
from providers.base.names import GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES, WireFormatName
from providers.wire.core.ir import Block, Text, Thinking, ToolCall
from tests.providers.wire.interleaved import (
    NAMES,
    STREAMS,
    Scene,
    chat,
    responses,
    scenes,
    sse,
    wanted_calls,
)

FORMATS = list(STREAMS)


def read(data: bytes, edges: list[int]) -> list[Piece]:
    """Read a stream that arrives in chunks."""
    places = sorted({place % (len(data) + 1) for place in edges} | {0, len(data)})
    reader = AnswerReader()
    pieces: list[Piece] = []
    for start, end in pairwise(places):
        pieces += reader.feed(data[start:end])
    return joined([*pieces, *reader.finish()])


def calls_in(pieces: list[Piece]) -> list[tuple[str, Any]]:
    """Return the calls that a page shows: a name, and the arguments below it."""
    calls: list[tuple[str, Any]] = []
    following = [*pieces[1:], Piece("text", "")]
    for piece, after in zip(pieces, following, strict=False):
        if piece.kind == "tool":
            text = after.text if after.kind == "arguments" else "{}"
            calls.append((piece.text, json.loads(text)))
    return calls


def text_of(pieces: list[Piece], kind: str) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == kind)


def calls_of(blocks: list[Block]) -> list[tuple[str, Any]]:
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    return [(call.name, _object(call.arguments)) for call in calls]


def _object(arguments: Any) -> Any:
    return json.loads(arguments or "{}") if isinstance(arguments, str) else arguments


def check(src: WireFormatName, scene: Scene, data: bytes, edges: list[int]) -> None:
    pieces = read(data, edges)
    assert calls_in(pieces) == wanted_calls(src, scene)
    shown = body_view("upstream", data, "text/event-stream").answer()
    assert shown == pieces
    answer = read_answer(src, data, 200)
    assert calls_of(answer.blocks) == wanted_calls(src, scene)
    assert (answer.complete, answer.failure) == (True, "")
    for kind, block_type in (("text", Text), ("thinking", Thinking)):
        assert text_of(pieces, kind) == scene.said(kind)
        said = [block.text for block in answer.blocks if isinstance(block, block_type)]
        assert "".join(said) == scene.said(kind)


EDGES = st.lists(st.integers(0, 5000), max_size=5)


@pytest.mark.parametrize("src", FORMATS)
@given(scene=scenes(), edges=EDGES)
def test_any_interleaving_gives_the_calls(
    src: WireFormatName, scene: Scene, edges: list[int]
) -> None:
    check(src, scene, STREAMS[src](scene), edges)


@pytest.mark.parametrize("style", NAMES)
@given(scene=scenes(), edges=EDGES)
def test_however_a_chat_server_names_them(style: str, scene: Scene, edges: list[int]) -> None:
    check(OPENAI_CHAT, scene, chat(scene, style), edges)


@given(scene=scenes(), indices=st.booleans(), edges=EDGES)
def test_items_without_an_id_or_an_index(scene: Scene, indices: bool, edges: list[int]) -> None:
    data = responses(scene, ids=not indices, indices=indices)
    check(OPENAI_RESPONSES, scene, data, edges)


@pytest.mark.parametrize("src", FORMATS)
@given(scene=scenes(), place=st.integers(0, 60), failed=st.booleans())
def test_what_came_before_a_cut_or_a_failure_is_shown(
    src: WireFormatName, scene: Scene, place: int, failed: bool
) -> None:
    whole = STREAMS[src](scene)
    events = whole.split(b"\n\n")
    count = place % (len(events) - 2)
    data = b"\n\n".join(events[:count]) + b"\n\n"
    if failed:
        data += sse([{"type": "error", "error": {"message": "gpu lost"}}])
    pieces = read(data, [])
    answer = read_answer(src, data, 200)
    shown = [text_of(pieces, kind) for kind in ("text", "thinking")]
    said = [_said(answer.blocks, Text), _said(answer.blocks, Thinking)]
    assert shown == said == [_sent(data, src, kind) for kind in ("text", "thinking")]
    if src != GOOGLE_GENERATE:
        arguments = [str(call.arguments) for call in answer.blocks if isinstance(call, ToolCall)]
        sent = _sent(data, src, "arguments")
        assert sorted("".join(arguments)) == sorted(sent) == sorted(text_of(pieces, "arguments"))
    names = [piece.text for piece in pieces if piece.kind == "tool"]
    assert names == [block.name for block in answer.blocks if isinstance(block, ToolCall)]
    assert text_of(pieces, "error") == ("gpu lost" if failed else "")
    assert answer.failure == ("gpu lost" if failed else "")
    assert not answer.complete


def _said(blocks: list[Block], kind: type[Text | Thinking]) -> str:
    return "".join(block.text for block in blocks if isinstance(block, kind))


_KEYS = {
    "text": ("text", "content", "response.output_text.delta"),
    "thinking": ("thinking", "reasoning_content", "response.reasoning_summary_text.delta"),
    "arguments": ("partial_json", "arguments", "response.function_call_arguments.delta"),
}


def _sent(data: bytes, src: str, kind: str) -> str:
    """Return everything of a kind that the events' deltas hold, in their order."""
    bodies = [json.loads(line[6:]) for line in data.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(_delta(body, src, kind) for body in bodies)


def _delta(body: dict[str, Any], src: str, kind: str) -> str:
    anthropic, chat_key, responses_type = _KEYS[kind]
    if src == OPENAI_RESPONSES:
        return body["delta"] if body.get("type") == responses_type else ""
    if src == OPENAI_CHAT:
        delta = body["choices"][0]["delta"] if "choices" in body else {}
        if kind != "arguments":
            return str(delta.get(chat_key, ""))
        return "".join(call["function"]["arguments"] for call in delta.get("tool_calls", []))
    if src == GOOGLE_GENERATE:
        content = body["candidates"][0].get("content", {}) if "candidates" in body else {}
        parts = [part for part in content.get("parts", []) if "text" in part]
        return "".join(part["text"] for part in parts if _is_thought(part) == (kind == "thinking"))
    return str((body.get("delta") or {}).get(anthropic, ""))


def _is_thought(part: dict[str, Any]) -> bool:
    return bool(part.get("thought"))
