"""Tools of a vendor's own type that the client runs: functions elsewhere, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.wire.core.base import AnswerContext
from providers.wire.core.sse import SseParser
from providers.wire.translate import StreamTranslator, translate_response
from tests.providers.wire.asking import A, C, G, R, go, user

ANTHROPIC_TOOLS: list[dict[str, Any]] = [
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 9},
    {"type": "text_editor_20241022", "name": "str_replace_editor"},
    {"type": "memory_20250818", "name": "memory"},
    {"type": "computer_20250124", "name": "computer", "display_width_px": 800}
    | {"display_height_px": 600},
]
NAMES = [tool["name"] for tool in ANTHROPIC_TOOLS]
FOREIGN = {A: "anthropic", C: "chat", R: "responses", G: "google"}


def functions(body: dict[str, Any], dst: str) -> dict[str, dict[str, Any]]:
    """Name and schema of each function the provider is offered."""
    if dst == G:
        declared = body["tools"][0]["functionDeclarations"]
        return {one["name"]: one["parametersJsonSchema"] for one in declared}
    if dst == A:
        return {one["name"]: one["input_schema"] for one in body["tools"]}
    inner = [one.get("function", one) for one in body["tools"]]
    return {one["name"]: one["parameters"] for one in inner}


@pytest.mark.parametrize("dst", [C, R, G])
def test_anthropics_tools_become_functions_with_their_parameters(dst: Any) -> None:
    body, losses = go({"messages": [user()], "max_tokens": 9, "tools": ANTHROPIC_TOOLS}, A, dst)
    offered = functions(body, dst)
    assert list(offered) == NAMES
    assert "command" in offered["bash"]["properties"]
    assert offered["str_replace_based_edit_tool"]["required"] == ["command", "path"]
    assert "undo_edit" not in json.dumps(offered["str_replace_based_edit_tool"])
    assert "undo_edit" in json.dumps(offered["str_replace_editor"])
    assert "old_path" in offered["memory"]["properties"]
    assert "coordinate" in offered["computer"]["properties"]
    assert "800 × 600" in json.dumps(body, ensure_ascii=False)
    # Each is told, under the name the client gave it.
    assert {loss.path for loss in losses} >= {f"tools.{name}" for name in NAMES}


@pytest.mark.parametrize("dst", [C, R, G])
def test_one_of_them_can_be_forced(dst: Any) -> None:
    choice = {"type": "tool", "name": "bash"}
    asked = {"messages": [user()], "max_tokens": 9, "tools": ANTHROPIC_TOOLS[:1]}
    body, _ = go({**asked, "tool_choice": choice}, A, dst)
    assert "bash" in json.dumps(body.get("tool_choice") or body["toolConfig"])


RESPONSES_CALLS = [
    (
        "local_shell",
        {"command": ["ls", "-l"], "timeout_ms": 5},
        {"action": {"type": "exec", "command": ["ls", "-l"], "env": {}, "timeout_ms": 5}},
    ),
    (
        "shell",
        {"commands": ["ls", "pwd"]},
        {"action": {"commands": ["ls", "pwd"], "timeout_ms": None, "max_output_length": None}},
    ),
    (
        "apply_patch",
        {"type": "update_file", "path": "a", "diff": "@@\n-x\n+y"},
        {"operation": {"type": "update_file", "path": "a", "diff": "@@\n-x\n+y"}},
    ),
    (
        "computer",
        {"actions": [{"type": "click", "x": 1, "y": 2, "button": "left"}]},
        {"actions": [{"type": "click", "x": 1, "y": 2, "button": "left"}]},
    ),
    ("computer_use_preview", {"type": "screenshot"}, {"action": {"type": "screenshot"}}),
]


def asked_with(kind: str, *more: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "input": [user()], "tools": [{"type": kind}, *more]}


def called(provider: str, name: str, arguments: Any) -> dict[str, Any]:
    """A provider's response that calls a function."""
    if provider == G:
        part = {"functionCall": {"name": name, "args": arguments}}
        return {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    if provider == A:
        block = {"type": "tool_use", "id": "toolu_abcdefgh", "name": name, "input": arguments}
        return {"type": "message", "id": "m", "content": [block], "stop_reason": "tool_use"}
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "call_abcdefgh", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"id": "c", "choices": [{"message": message, "finish_reason": "tool_calls"}]}


def final_items(stream: bytes) -> list[dict[str, Any]]:
    events = [json.loads(event.data) for event in SseParser().feed(stream)]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert events[-1]["response"]["output"] == done
    return done


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", [A, C, G])
@pytest.mark.parametrize(("kind", "arguments", "fields"), RESPONSES_CALLS)
def test_openais_tools_are_called_as_functions_and_answered_as_items(
    kind: str, arguments: Any, fields: Any, provider: Any, streamed: bool
) -> None:
    asked = asked_with(kind)
    body, _ = go(asked, R, provider)
    (name,) = functions(body, provider)
    context = AnswerContext(client_body=asked)
    answer = called(provider, name, arguments)
    if streamed:
        stream = StreamTranslator(provider, R, context=context)
        # A provider that answers with JSON to a request for a stream.
        items = final_items(stream.feed(json.dumps(answer).encode()) + stream.flush())
    else:
        items = translate_response(answer, provider, R, context=context)[0]["output"]
    (item,) = items
    assert {key: item[key] for key in fields} == fields
    assert item["status"] == "completed"
    # Turn two: the item and its output come back as a call with its result.
    output = {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "done"}
    again, _ = go({**asked, "input": [user(), item, output, user("next")]}, R, provider)
    text = json.dumps(again)
    assert text.count('"done"') == 1
    assert "no call before it" not in text
    # Chat has arguments as text inside the JSON.
    plain = text.replace("\\\\", "\\").replace('\\"', '"').replace(" ", "")
    for value in arguments.values():
        assert json.dumps(value).replace(" ", "") in plain


def test_outputs_of_every_kind_are_results() -> None:
    items = [
        {"type": "local_shell_call", "id": "l", "call_id": "c1", "action": {"command": ["a"]}},
        {"type": "local_shell_call_output", "id": "c1", "output": '{"output":"one"}'},
        {"type": "shell_call", "call_id": "c2", "action": {"commands": ["b"]}},
        {
            "type": "shell_call_output",
            "call_id": "c2",
            "output": [
                {"stdout": "two", "stderr": "", "outcome": {"type": "exit", "exit_code": 3}}
            ],
        },
        {
            "type": "apply_patch_call",
            "call_id": "c3",
            "operation": {"type": "delete_file", "path": "p"},
        },
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed"}
        | {"output": "three"},
        {"type": "computer_call", "call_id": "c4", "action": {"type": "screenshot"}},
        {
            "type": "computer_call_output",
            "call_id": "c4",
            "output": {
                "type": "computer_screenshot",
                "image_url": "data:image/png;base64,iVBORw0KGgo=",
            },
        },
    ]
    body, losses = go({"input": [user(), *items]}, R, A)
    results = [
        block
        for message in body["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    assert [result["tool_use_id"] for result in results] == ["c1", "c2", "c3", "c4"]
    assert results[0]["content"] == '{"output":"one"}'
    assert json.loads(results[1]["content"])[0]["outcome"]["exit_code"] == 3
    assert results[2]["is_error"] is True
    assert results[3]["content"][0]["source"]["media_type"] == "image/png"
    assert [loss.path for loss in losses] == []


def test_a_function_of_the_same_name_keeps_it() -> None:
    function = {"type": "function", "name": "shell", "parameters": {"type": "object"}}
    asked = asked_with("shell", function)
    body, _ = go(asked, R, A)
    assert list(functions(body, A)) == ["client_shell", "shell"]
    context = AnswerContext(client_body=asked)
    answer = called(A, "client_shell", {"commands": ["a"]})
    (item,) = translate_response(answer, A, R, context=context)[0]["output"]
    assert item["type"] == "shell_call"
    (item,) = translate_response(called(A, "shell", {}), A, R, context=context)[0]["output"]
    assert item["type"] == "function_call"


def test_a_line_of_shell_gets_a_shell_and_broken_arguments_an_empty_call() -> None:
    context = AnswerContext(client_body=asked_with("local_shell"))
    answer = called(A, "local_shell", {"command": "ls | wc"})
    (item,) = translate_response(answer, A, R, context=context)[0]["output"]
    assert item["action"]["command"] == ["bash", "-lc", "ls | wc"]
    broken = called(C, "local_shell", {})
    broken["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '{"command": ['
    (item,) = translate_response(broken, C, R, context=context)[0]["output"]
    assert item["action"]["command"] == []


def test_a_shell_in_a_container_runs_at_openai() -> None:
    hosted = {"type": "shell", "environment": {"type": "container_auto"}}
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    body, losses = go({"input": "x", "tools": [hosted, function]}, R, A)
    assert list(functions(body, A)) == ["f"]
    assert [loss.path for loss in losses] == ["tools.shell"]


def test_the_own_vendor_gets_them_as_they_are() -> None:
    body, losses = go({"messages": [user()], "max_tokens": 9, "tools": ANTHROPIC_TOOLS}, A, A)
    assert body["tools"] == ANTHROPIC_TOOLS
    assert losses == []
