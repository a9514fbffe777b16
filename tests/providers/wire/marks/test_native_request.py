"""What another vendor's response left in the history does not reach the client's own vendor."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.marks.marked_ids import plain_id
from providers.wire.marks.native_request import may_have_marks, without_marks
from providers.wire.rules.replay import SKIP_SIGNATURE_CHECK, carry_in_id, pack_thoughts, seal
from tests.providers.wire.asking import A, C, G, R, user

Json = dict[str, Any]
SIGNED = carry_in_id("fc1", "QUJD" * 300)
CALL = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "r"}


def cleaned(body: Json, wire_format: WireFormatName, model: str = "claude-opus-5-5") -> Json:
    assert may_have_marks(json.dumps(body).encode(), wire_format)
    before = copy.deepcopy(body)
    after, _ = without_marks(body, wire_format, model)
    assert body == before, "the parsed body belongs to others as well"
    assert after is not body
    return after


def messages(*blocks: Json, **more: Any) -> Json:
    said = {"role": "assistant", "content": list(blocks)}
    return {"messages": [user("hi"), said, {"role": "user", "content": [RESULT]}], **more}


THOUGHTS = {
    "sealed": {"type": "thinking", "thinking": "t", "signature": seal(R, "ENC", "rs_1")},
    "redacted": {"type": "redacted_thinking", "data": seal(R, "E", redacted=True)},
    "unsigned": {"type": "thinking", "thinking": "t", "signature": ""},
}


@pytest.mark.parametrize("thought", THOUGHTS.values(), ids=THOUGHTS)
def test_anthropic_gets_no_thinking_of_others(thought: Json) -> None:
    own = {"type": "thinking", "thinking": "o", "signature": "EqMB"}
    body = cleaned(messages(own, thought, CALL), A)
    assert body["messages"][1]["content"] == [own, CALL]
    # A message of nothing but such thinking would be empty.
    body = cleaned(messages(thought), A)
    assert [message["role"] for message in body["messages"]] == ["user", "user"]


def test_servers_of_other_models_keep_their_unsigned_thinking() -> None:
    body = messages(THOUGHTS["unsigned"], CALL)
    assert without_marks(body, A, "glm-4.6")[0] is body


@pytest.mark.parametrize("kind", ["enabled", "adaptive"])
def test_thinking_is_off_where_the_tool_loop_lost_its_own(kind: str) -> None:
    asked = messages(THOUGHTS["sealed"], CALL, thinking={"type": kind, "budget_tokens": 2000})
    body, losses = without_marks(asked, A, "claude-sonnet-4-5")
    assert ("thinking" in body) is (kind == "adaptive")
    assert {loss.path for loss in losses} >= {"messages.thinking"}


def test_openai_gets_no_reasoning_of_others() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    other = {**own, "encrypted_content": seal(A, "SIG")}
    plain = {**own, "encrypted_content": seal(C, "", "reasoning_content@h")}
    body = cleaned({"input": [user("hi"), own, other, plain, user("hi")]}, R, "gpt-5.6")
    assert body["input"] == [user("hi"), own, user("hi")]


@pytest.mark.parametrize("wire_format", [A, C, R, G])
def test_ids_come_within_the_limit_and_stay_paired(wire_format: WireFormatName) -> None:
    marked = [SIGNED, "f:0__n_0123456789ab", "f:0__n_ba9876543210", "toolu_own"]
    if wire_format == A:
        calls = [{**CALL, "id": one} for one in marked]
        asked = messages(*calls)
        asked["messages"][2]["content"] = [{**RESULT, "tool_use_id": one} for one in marked]
    elif wire_format == C:
        said: Json = {
            "role": "assistant",
            "tool_calls": [{"id": one, "function": {}} for one in marked],
        }
        results = [{"role": "tool", "tool_call_id": one} for one in marked]
        asked = {"messages": [user("hi"), said, *results]}
    elif wire_format == R:
        asked = {"input": [{"type": "function_call", "call_id": one} for one in marked]}
        asked["input"] += [{"type": "function_call_output", "call_id": one} for one in marked]
    else:
        calls = [{"functionCall": {"id": one, "name": "f"}} for one in marked]
        answers = [{"functionResponse": {"id": one, "name": "f"}} for one in marked]
        asked = {"contents": [{"role": "model", "parts": calls}]}
        asked["contents"].append({"role": "user", "parts": answers})
    text = json.dumps(cleaned(asked, wire_format))
    wanted = [*(plain_id(one) for one in marked[:3]), "toolu_own"]
    assert len(set(wanted)) == 4
    assert all(len(one) <= 40 and text.count(f'"{one}"') == 2 for one in wanted)


def google(*parts: Json, then: str = "functionResponse") -> Json:
    after = {"text": "next"} if then == "text" else {"functionResponse": {"name": "f"}}
    contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [*parts]}]
    return {"contents": [*contents, {"role": "user", "parts": [after]}]}


GOOGLE_CALL: Json = {"functionCall": {"id": "toolu_01A", "name": "f", "args": {"x": "1"}}}
PACKED_CALL: Json = {**GOOGLE_CALL, "thoughtSignature": pack_thoughts([])}
OWN_CALL: Json = {**GOOGLE_CALL, "thoughtSignature": "R29vZ2xl"}


def test_gemini_3_gets_its_stand_in_for_calls_of_others() -> None:
    for first in (GOOGLE_CALL, PACKED_CALL):
        body = cleaned(google(first, GOOGLE_CALL), G, "gemini-3-pro-preview")
        one, other = body["contents"][1]["parts"]
        assert one == {**GOOGLE_CALL, "thoughtSignature": SKIP_SIGNATURE_CHECK}
        assert other == GOOGLE_CALL
    inside = {"request": google(PACKED_CALL), "model": "gemini-3-pro-preview"}
    body = cleaned(inside, G, "gemini-3-pro-preview")
    assert SKIP_SIGNATURE_CHECK in json.dumps(body["request"])


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        (google(OWN_CALL, GOOGLE_CALL), "gemini-3-pro-preview"),
        (google(GOOGLE_CALL), "gemini-2.5-flash"),
        # Google checks the current turn alone.
        (google(GOOGLE_CALL, then="text"), "gemini-3-pro-preview"),
    ],
    ids=["signed", "older", "earlier turn"],
)
def test_google_histories_that_are_right_stay(asked: Json, model: str) -> None:
    assert without_marks(asked, G, model)[0] is asked


def test_texts_that_speak_of_marks_stay() -> None:
    text = "ccproxy1:x __sig_ __n_ Y2Nwcm94eTE6"
    said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    for wire_format in (A, C):
        body = {"messages": [user(text), said]}
        assert may_have_marks(json.dumps(body).encode(), wire_format)
        assert without_marks(body, wire_format, "claude-opus-5-5")[0] is body
    body = {"input": [user(text), {"type": "function_call", "call_id": "a", "arguments": text}]}
    assert without_marks(body, R, "gpt-5.6")[0] is body


@pytest.mark.parametrize("wire_format", [A, C, R, G])
@pytest.mark.parametrize("odd", [None, 3, "x", [], [3, None, "x", {}], [{"role": 3}], {"a": 1}])
def test_odd_bodies_are_left_alone(wire_format: WireFormatName, odd: Any) -> None:
    for field in ("messages", "input", "contents", "request"):
        body = {field: odd}
        assert without_marks(body, wire_format, "gemini-3-pro")[0] is body
        inner = {field: [{"role": "model", "content": odd, "parts": odd, "tool_calls": odd}]}
        assert without_marks(inner, wire_format, "gemini-3-pro")[0] is inner
