"""Parallel calls whose parts come in any order reach every client complete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.translate import AnswerContext, StreamTranslator, translate_response

from .cases import ALL
from .interleaved import NAMES, STREAMS, Scene, chat, responses, scenes, sse, wanted_calls
from .sdk_answers import Digest, read

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
QUICK = settings(max_examples=25, deadline=None)


def delivered(src: Any, dst: Any, raw: bytes) -> tuple[Digest, StreamTranslator]:
    stream = StreamTranslator(src, dst)
    out = stream.feed(raw) + stream.flush()
    assert stream.failure is None, stream.failure
    return read(dst, out, stream=True), stream


def check(src: Any, dst: Any, raw: bytes, scene: Scene, *, ids: bool = True) -> None:
    got, stream = delivered(src, dst, raw)
    # Google has no order between a call in parts and others: a call is there when it is complete.
    wanted = wanted_calls(src, scene)
    key = json.dumps
    assert sorted(map(key, got.calls)) == sorted(map(key, wanted))
    if src != G:
        assert json.dumps(got.calls) == json.dumps([list(call) for call in wanted])
        if ids:
            # The client's id may have a random end, after the server's own.
            own = [call_id.partition("__n_")[0] for call_id in got.ids]
            assert own == [call.id for call in scene.calls]
            assert len(set(got.ids)) == len(got.ids)
    assert got.text == scene.said("text")
    assert got.reasoning == "".join(scene.said("thinking").split())
    assert got.stop == "tools"
    assert not stream.losses


@pytest.mark.parametrize("dst", ALL)
@pytest.mark.parametrize("src", ALL)
@given(scene=scenes())
@QUICK
def test_any_interleaving_gives_the_calls(src: Any, dst: Any, scene: Scene) -> None:
    check(src, dst, STREAMS[src](scene), scene)


@pytest.mark.parametrize("style", list(NAMES))
@given(scene=scenes(), dst=st.sampled_from(ALL))
@QUICK
def test_chat_servers_name_calls_in_their_own_ways(style: str, dst: Any, scene: Scene) -> None:
    check(C, dst, chat(scene, style), scene)


@pytest.mark.parametrize(("ids", "indices"), [(True, False), (False, True)])
@given(scene=scenes(), dst=st.sampled_from(ALL))
@QUICK
def test_responses_servers_leave_out_ids_or_indices(
    ids: bool, indices: bool, dst: Any, scene: Scene
) -> None:
    check(R, dst, responses(scene, ids=ids, indices=indices), scene)


def chunk(*calls: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    delta = {"tool_calls": list(calls)} if calls else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice]}


def call(index: int | None, name: str = "", text: str = "", **more: Any) -> dict[str, Any]:
    numbered = {} if index is None else {"index": index}
    named = {"name": name} if name else {}
    return {**numbered, **more, "function": {**named, "arguments": text}}


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("dst", ALL)
def test_a_call_without_arguments_so_far_is_not_closed(dst: Any) -> None:
    raw = sse(
        [
            chunk(call(0, "a", id="c0"), call(1, "b", id="c1")),
            chunk(call(1, text='{"y":')),
            chunk(call(0, text='{"x":')),
            chunk(call(0, text="1}"), call(1, text="2}")),
            chunk(finish="tool_calls"),
        ],
        DONE,
    )
    got, _ = delivered(C, dst, raw)
    assert got.calls == [("a", {"x": 1}), ("b", {"y": 2})]


@pytest.mark.parametrize("index", [None, 0])
def test_complete_calls_without_numbers_and_ids_are_calls_of_their_own(index: int | None) -> None:
    raw = sse(
        [
            chunk(call(index, "f", '{"x":1}')),
            chunk(call(index, "f", '{"x":2}')),
            chunk(call(index, "g", "{}")),
        ],
        DONE,
    )
    got, _ = delivered(C, A, raw)
    assert got.calls == [("f", {"x": 1}), ("f", {"x": 2}), ("g", {})]
    assert len(set(got.ids)) == 3


def test_an_id_used_twice_is_given_once() -> None:
    raw = sse([chunk(call(0, "f", "{}", id="x"), call(1, "g", "{}", id="x"))], DONE)
    got, _ = delivered(C, A, raw)
    assert [name for name, _ in got.calls] == ["f", "g"]
    assert len(set(got.ids)) == 2


def test_what_belongs_to_no_call_is_a_loss() -> None:
    nameless = sse([chunk(call(0, text='{"x":1}')), chunk(finish="stop")], DONE)
    got, stream = delivered(C, A, nameless)
    assert got.calls == []
    assert [loss.path for loss in stream.losses] == ["tool_calls"]
    late = sse(
        [
            chunk(call(0, "f", '{"x":1}', id="a")),
            chunk(call(1, "g", "", id="b")),
            chunk(call(0, text=',"y"')),
        ],
        DONE,
    )
    got, stream = delivered(C, A, late)
    assert got.calls == [("f", {"x": 1}), ("g", {})]
    assert "after a call's complete arguments" in stream.losses[0].reason


def test_other_choices_are_a_loss_and_not_the_answer() -> None:
    other = {"index": 1, "delta": {"content": "no"}}
    raw = sse([{"id": "c", "choices": [other, {"index": 0, "delta": {"content": "yes"}}]}], DONE)
    got, stream = delivered(C, R, raw)
    assert got.text == "yes"
    assert [loss.path for loss in stream.losses] == ["choices"]


def test_a_second_complete_call_streams_before_the_end() -> None:
    stream = StreamTranslator(C, A)
    stream.feed(sse([chunk(call(0, "f", '{"x":1}', id="a"))]))
    assert b'"g"' in stream.feed(sse([chunk(call(1, "g", id="b"))]))
    assert b"12" in stream.feed(sse([chunk(call(1, text='{"y":12'))]))


def test_the_deprecated_call_of_a_stream_arrives() -> None:
    bodies = [
        {"id": "c", "choices": [{"index": 0, "delta": {"function_call": {"name": "f"}}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"function_call": {"arguments": "{}"}}}]},
    ]
    got, _ = delivered(C, A, sse(bodies, DONE))
    assert got.calls == [("f", {})]


@pytest.mark.parametrize("index", [None, 0])
def test_anthropic_blocks_under_one_index(index: int | None) -> None:
    numbered = {} if index is None else {"index": index}
    bodies: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "m"}}]
    for name, text in (("f", '{"x":1}'), ("g", '{"y":2}')):
        block = {"type": "tool_use", "id": name, "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": text}
        bodies.append({"type": "content_block_start", **numbered, "content_block": block})
        bodies.append({"type": "content_block_delta", **numbered, "delta": delta})
    late = {"type": "text_delta", "text": "after"}
    bodies.append({"type": "content_block_delta", **numbered, "delta": late})
    bodies.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}})
    got, stream = delivered(A, C, sse([*bodies, {"type": "message_stop"}]))
    assert got.calls == [("f", {"x": 1}), ("g", {"y": 2})]
    assert got.text == "after"
    assert not stream.losses


def test_free_form_calls_keep_their_kind_for_chat_clients() -> None:
    tools = [{"type": "custom", "custom": {"name": "patch"}}]
    block = {"type": "tool_use", "id": "x", "name": "patch", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": '{"input":"*** a\\n"}'}
    bodies = [
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    ]
    stream = StreamTranslator(A, C, context=AnswerContext({"tools": tools}))
    out = stream.feed(sse(bodies)) + stream.flush()
    lines = [json.loads(line[6:]) for line in out.split(b"\n\n") if line.startswith(b"data: {")]
    calls = [c for body in lines for c in body["choices"][0]["delta"].get("tool_calls", [])]
    assert calls[0]["type"] == "custom"
    assert calls[0]["custom"]["name"] == "patch"
    assert "".join(c["custom"]["input"] for c in calls) == "*** a\n"


@pytest.mark.parametrize("arguments", ["", " ", "null", None, "{}"])
@pytest.mark.parametrize("dst", [A, R, G])
def test_buffered_calls_without_arguments_are_empty_objects(dst: Any, arguments: Any) -> None:
    message = {"tool_calls": [call(None, "f", arguments, id="x")]}
    body = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    answer, _ = translate_response(body, C, dst)
    got = read(dst, json.dumps(answer).encode(), stream=False)
    assert got.calls == [("f", {})]
    assert got.stop == "tools"
    assert dst != R or answer["output"][0]["arguments"] == "{}"
