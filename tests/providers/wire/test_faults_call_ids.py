"""Histories with duplicate, missing and odd ids of tool calls, in both directions."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.core.ir import ToolCall
from providers.wire.rules.call_ids import own_id
from providers.wire.translate import StreamTranslator, translate_request, translate_response

from .asking import A, C, G, R

IDS = st.sampled_from(["", "c1", "list_dir:0", "list.dir:0", "x" * 70, "y" * 46, "c1_2", "é"])
# Rounds of calls; every call of a round is answered in the next turn.
ROUNDS = st.lists(st.lists(IDS, min_size=1, max_size=3), min_size=1, max_size=4)
ALLOWED = {A: r"[A-Za-z0-9_-]{1,64}", R: r"[A-Za-z0-9_-]{1,64}", C: r"[A-Za-z0-9_-]{1,40}"}
PAIRS = [(src, dst) for src in (A, C, R, G) for dst in (A, C, R, G) if src != dst]


def chat(rounds: list[list[str]]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
    for n, ids in enumerate(rounds):
        calls = []
        for i, call_id in enumerate(ids):
            function = {"name": "f", "arguments": json.dumps({"is": f"{n}.{i}"})}
            calls.append({"type": "function", "function": function, **with_id("id", call_id)})
        messages.append({"role": "assistant", "tool_calls": calls})
        for i, call_id in enumerate(ids):
            messages.append(
                {"role": "tool", "content": f"{n}.{i}", **with_id("tool_call_id", call_id)}
            )
    return {"model": "m", "messages": messages}


def anthropic(rounds: list[list[str]]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
    for n, ids in enumerate(rounds):
        calls, results = [], []
        for i, call_id in enumerate(ids):
            call = {"type": "tool_use", "name": "f", "input": {"is": f"{n}.{i}"}}
            calls.append({**call, **with_id("id", call_id)})
            result = {"type": "tool_result", "content": f"{n}.{i}"}
            results.append({**result, **with_id("tool_use_id", call_id)})
        messages += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    return {"model": "m", "max_tokens": 9, "messages": messages}


def responses(rounds: list[list[str]]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
    for n, ids in enumerate(rounds):
        for i, call_id in enumerate(ids):
            call = {"type": "function_call", "name": "f", "arguments": f'{{"is":"{n}.{i}"}}'}
            items.append({**call, **with_id("call_id", call_id)})
        for i, call_id in enumerate(ids):
            output = {"type": "function_call_output", "output": f"{n}.{i}"}
            items.append({**output, **with_id("call_id", call_id)})
    return {"model": "m", "input": items}


def google(rounds: list[list[str]]) -> dict[str, Any]:
    contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "q"}]}]
    for n, ids in enumerate(rounds):
        calls, results = [], []
        for i, call_id in enumerate(ids):
            call = {"name": "f", "args": {"is": f"{n}.{i}"}, **with_id("id", call_id)}
            calls.append({"functionCall": call})
            result = {"name": "f", "response": {"output": f"{n}.{i}"}, **with_id("id", call_id)}
            results.append({"functionResponse": result})
        contents += [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    return {"contents": contents}


def with_id(key: str, call_id: str) -> dict[str, str]:
    return {key: call_id} if call_id else {}


BODIES = {A: anthropic, C: chat, R: responses, G: google}


def facts(body: dict[str, Any], wire: str) -> list[tuple[str, str, str]]:
    """(kind, id, what it is) of every call and result, in order."""
    found: list[tuple[str, str, str]] = []
    for message in body.get("messages", []):
        if wire == A:
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block["type"] == "tool_use":
                    found.append(("call", block["id"], block["input"]["is"]))
                elif block["type"] == "tool_result":
                    found.append(("result", block["tool_use_id"], block["content"]))
        else:
            for call in message.get("tool_calls", []):
                is_ = json.loads(call["function"]["arguments"])["is"]
                found.append(("call", call["id"], is_))
            if message["role"] == "tool":
                found.append(("result", message["tool_call_id"], message["content"]))
    for item in body.get("input", []):
        if item.get("type") == "function_call":
            found.append(("call", item["call_id"], json.loads(item["arguments"])["is"]))
        elif item.get("type") == "function_call_output":
            found.append(("result", item["call_id"], item["output"]))
    for content in body.get("contents", []):
        for part in content["parts"]:
            if call := part.get("functionCall"):
                found.append(("call", call["id"], call["args"]["is"]))
            elif result := part.get("functionResponse"):
                # A made-up id is left out; Google then pairs by order.
                found.append(("result", result.get("id", ""), result["response"]["output"]))
    return found


@pytest.mark.parametrize(("src", "dst"), PAIRS)
@given(rounds=ROUNDS)
def test_ids_are_unique_and_results_stand_at_their_calls(
    src: Any, dst: Any, rounds: list[list[str]]
) -> None:
    body = BODIES[src](rounds)
    translated, losses = translate_request(deepcopy(body), src, dst)
    found = facts(translated, dst)
    calls = [(call_id, what) for kind, call_id, what in found if kind == "call"]
    results = [(call_id, what) for kind, call_id, what in found if kind == "result"]
    assert sorted(calls) == sorted(results)
    assert len({call_id for call_id, _ in calls}) == len(calls) == sum(map(len, rounds))
    for call_id, _ in calls:
        assert call_id
        assert dst == G or re.fullmatch(ALLOWED[dst], call_id)
    assert not [loss for loss in losses if loss.path.startswith("tool")]
    # Each round's results follow its calls at once.
    kinds = [kind for kind, _, _ in found]
    expected = [kind for ids in rounds for kind in ["call"] * len(ids) + ["result"] * len(ids)]
    assert kinds == expected


@pytest.mark.parametrize(("src", "dst"), PAIRS)
@given(rounds=ROUNDS)
def test_ids_stay_when_the_conversation_grows(src: Any, dst: Any, rounds: list[list[str]]) -> None:
    once, _ = translate_request(BODIES[src](rounds), src, dst)
    again, _ = translate_request(BODIES[src](rounds), src, dst)
    assert once == again
    longer, _ = translate_request(BODIES[src]([*rounds, ["c1", "", "c1"]]), src, dst)
    assert facts(longer, dst)[: len(facts(once, dst))] == facts(once, dst)


def test_a_result_of_an_interrupted_turn_goes_to_no_later_call() -> None:
    body = chat([["c1"], ["c1"]])
    body["messages"][2] = {"role": "user", "content": "stop"}
    translated, losses = translate_request(body, C, A)
    found = facts(translated, A)
    assert found[0][1] == found[1][1] != found[2][1] == found[3][1]
    assert "No result" in found[1][2]
    assert found[3][2] == "1.0"
    assert [loss.path for loss in losses] == ["tool calls"]


def test_results_out_of_order_keep_their_calls() -> None:
    body = anthropic([["a", "b"]])
    body["messages"][2]["content"].reverse()
    assert facts(translate_request(body, A, C)[0], C)[2:] == [
        ("result", "a", "0.0"),
        ("result", "b", "0.1"),
    ]


def test_a_google_result_with_a_foreign_id_is_matched_by_its_name() -> None:
    body = google([[""]])
    body["contents"][2]["parts"][0]["functionResponse"]["id"] = "id"
    found = facts(translate_request(body, G, A)[0], A)
    assert found == [("call", found[0][1], "0.0"), ("result", found[0][1], "0.0")]


def answer(call_id: str) -> dict[str, Any]:
    function = {"name": "list_dir", "arguments": "{}"}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def streamed_ids(call_id: str) -> list[str]:
    message = answer(call_id)["choices"][0]["message"]
    message["tool_calls"][0]["index"] = 0
    choice = {"index": 0, "delta": message, "finish_reason": "tool_calls"}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}
    translator = StreamTranslator(C, A)
    out = translator.feed(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
    return re.findall(r'"type":"tool_use","id":"([^"]*)"', (out + translator.flush()).decode())


@pytest.mark.parametrize("call_id", ["list_dir:0", "call_0", "functions.list_dir:12", "0", ""])
@pytest.mark.parametrize("dst", [A, R, G])
def test_two_answers_give_the_client_two_ids(dst: Any, call_id: str) -> None:
    def one() -> str:
        encoded = json.dumps(translate_response(answer(call_id), C, dst)[0])
        ids: list[str] = re.findall(r'"(?:call_id|id)": "((?!fc_|msg_|resp_)[^"]*)"', encoded)
        return ids[-1]

    assert one() != one()
    assert len({*streamed_ids(call_id), *streamed_ids(call_id)}) == 2


@pytest.mark.parametrize("call_id", ["toolu_01A09q90qw90lq917835lq9", "call_x9Ab3kLm", "D681PevKs"])
def test_random_ids_reach_the_client_as_they_are(call_id: str) -> None:
    assert own_id(ToolCall(call_id, "f"), set()) == call_id


def test_one_answer_never_gives_an_id_twice() -> None:
    seen: set[str] = set()
    calls = [ToolCall("call_x9Ab3kLm", "f"), ToolCall("call_x9Ab3kLm", "f")]
    assert len({own_id(call, seen) for call in calls}) == 2
