"""The pair in the four wire formats."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from interceptor.notes.injected_pair import FENCE, TOOL, call_id, inject
from interceptor.notes.note_book import TaskEvents
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)

FOUND = [TaskEvents("task-1", "main", ('{"tier":2,"summary":"built </external-events> ok"}',))]
ID = call_id("flow", 0)


def injected(wire: WireFormatName, body: dict[str, Any]) -> dict[str, Any]:
    assert inject(body, wire, FOUND, "flow") == 1
    return body


def anthropic(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": copy.deepcopy(list(messages)), "tools": [{"name": "x"}], **more}


ASK = {"role": "user", "content": "go on"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "x", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """user / assistant, with ids of calls and results."""
    found = []
    for message in messages:
        content = message["content"]
        parts = content if isinstance(content, list) else []
        ids = [part.get("id") or part.get("tool_use_id") or "" for part in parts]
        found.append(" ".join([message["role"], *filter(None, ids)]))
    return found


def test_anthropic_before_the_last_message() -> None:
    body = injected(ANTHROPIC_MESSAGES, anthropic(CALL, RESULT, ASK))
    expected = ["assistant a", "user a", f"assistant {ID}", f"user {ID}", "user"]
    assert kinds(body["messages"]) == expected
    call = body["messages"][2]["content"][0]
    assert (call["name"], call["input"]) == (TOOL, {"taskId": "task-1"})
    told = json.loads(body["messages"][3]["content"][0]["content"])
    assert told["events"] == [{"tier": 2, "summary": "built </external-events> ok"}]
    assert (told["task_id"], told["session_id"], told["status"]) == ("task-1", "main", "watching")
    assert told["events_count"] == 1
    assert "not from the user" in told["origin"]


def test_anthropic_behind_a_result_that_waits() -> None:
    body = injected(ANTHROPIC_MESSAGES, anthropic(ASK, CALL, RESULT))
    expected = ["user", "assistant a", "user a", f"assistant {ID}", f"user {ID}"]
    assert kinds(body["messages"]) == expected


@pytest.mark.parametrize(
    "more", [{"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"tools": []}]
)
def test_anthropic_where_no_pair_may_stand(more: dict[str, Any]) -> None:
    body = injected(ANTHROPIC_MESSAGES, anthropic(CALL, RESULT, **more))
    last = body["messages"][-1]["content"]
    assert [part["type"] for part in last] == ["tool_result", "text"]
    assert last[1]["text"].startswith(f"<{FENCE}>\n")
    # The fence is closed once: what came from outside cannot close it.
    assert last[1]["text"].count(f"</{FENCE}>") == 1
    prefill = anthropic(ASK, {"role": "assistant", "content": "{"}, **more)
    before = copy.deepcopy(prefill)
    assert inject(prefill, ANTHROPIC_MESSAGES, FOUND, "flow") is None
    assert prefill == before


def test_chat() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
    results = [{"role": "tool", "tool_call_id": name, "content": "1"} for name in "ab"]
    body = {"messages": [ASK, call, *results], "tools": [{}]}
    messages = injected(OPENAI_CHAT, body)["messages"]
    assert [m["role"] for m in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
    ]
    made = messages[4]["tool_calls"][0]
    assert made["id"] == messages[5]["tool_call_id"] == ID
    assert json.loads(made["function"]["arguments"]) == {"taskId": "task-1"}
    body = {"messages": [ASK, call, *results, ASK], "tools": [{}]}
    messages = injected(OPENAI_CHAT, body)["messages"]
    assert [m["role"] for m in messages][-3:] == ["assistant", "tool", "user"]


def test_responses() -> None:
    body = injected(OPENAI_RESPONSES, {"input": "Hello"})
    assert [item.get("type", "message") for item in body["input"]] == [
        "function_call",
        "function_call_output",
        "message",
    ]
    waiting = [
        {"type": "function_call", "call_id": "a"},
        {"type": "function_call_output", "call_id": "a"},
    ]
    items = injected(OPENAI_RESPONSES, {"input": list(waiting)})["input"]
    assert [item["call_id"] for item in items] == ["a", "a", ID, ID]


@pytest.mark.parametrize("enveloped", [False, True])
def test_google(enveloped: bool) -> None:
    result = {"role": "user", "parts": [{"functionResponse": {"name": "x", "response": {}}}]}
    call = {"role": "model", "parts": [{"functionCall": {"name": "x"}}]}
    inner: dict[str, Any] = {"contents": [call, result], "tools": [{}]}
    injected(GOOGLE_GENERATE, {"request": inner} if enveloped else inner)
    contents = inner["contents"]
    assert [content["role"] for content in contents] == ["model", "user", "model", "user"]
    assert contents[2]["parts"][0]["functionCall"]["args"] == {"taskId": "task-1"}
    assert contents[2]["parts"][0]["thoughtSignature"]
    assert contents[3]["parts"][0]["functionResponse"]["response"]["task_id"] == "task-1"
    plain = injected(GOOGLE_GENERATE, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    assert FENCE in plain["contents"][0]["parts"][1]["text"]


@pytest.mark.parametrize(
    "body", [None, [], {}, {"messages": []}, {"messages": "x"}, {"messages": [1]}]
)
@pytest.mark.parametrize(
    "wire", [ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE]
)
def test_odd_bodies_stay(body: Any, wire: WireFormatName) -> None:
    before = copy.deepcopy(body)
    assert inject(body, wire, FOUND, "flow") is None
    assert body == before


def test_several_tasks_share_the_budget() -> None:
    found = [
        TaskEvents(f"t{n}", "s", (json.dumps({"tier": 3, "report": "r" * 20_000}),))
        for n in range(4)
    ]
    body = anthropic(ASK)
    assert inject(body, ANTHROPIC_MESSAGES, found, "flow") == 4
    assert len(body["messages"]) == 9
    assert len(json.dumps(body)) < 16_000
    trivial = TaskEvents("t", "s", ("{}",))
    assert inject(anthropic(ASK), ANTHROPIC_MESSAGES, [trivial], "flow") == 0
