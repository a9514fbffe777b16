"""Details of requests: arguments in parts, lists of allowed tools, limits written as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.errors import MalformedBody
from tests.providers.wire.asking import A, C, G, R, go

PARTS = [
    {"jsonPath": "$.d", "numberValue": 2},
    {"jsonPath": "$.n[1]", "stringValue": "a"},
]


def divided(parts: Any) -> dict[str, Any]:
    call = {"functionCall": {"name": "div", "partialArgs": parts}}
    result = {"functionResponse": {"id": "id", "name": "div", "response": {"result": 50}}}
    turns = [("user", {"text": "x"}), ("model", call), ("user", result)]
    return {"contents": [{"role": role, "parts": [part]} for role, part in turns]}


def test_arguments_in_parts_are_joined_and_their_result_is_found_by_name() -> None:
    body, losses = go(divided(PARTS), G, C)
    call = body["messages"][1]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"d": 2, "n": [None, "a"]}
    assert body["messages"][2]["role"] == "tool"
    assert body["messages"][2]["tool_call_id"] == call["id"]
    assert len(body["messages"]) == 3
    assert losses == []


def test_parts_that_fit_nothing_are_the_clients_fault() -> None:
    with pytest.raises(MalformedBody, match="argument path"):
        go(divided([*PARTS, {"jsonPath": "$.d.x", "stringValue": "a"}, {"jsonPath": "$"}]), G, C)


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in "fgh"]
    listed = [{"type": "function", "name": name} for name in names]
    choice = {"type": "allowed_tools", "mode": mode, "tools": listed}
    return {"input": "x", "tools": tools, "tool_choice": choice}


@pytest.mark.parametrize(("mode", "word"), [("auto", "auto"), ("required", "any")])
def test_anthropic_is_offered_the_allowed_tools_alone(mode: str, word: str) -> None:
    body, losses = go(allowed(mode, "f", "h"), R, A)
    assert [tool["name"] for tool in body["tools"]] == ["f", "h"]
    assert body["tool_choice"] == {"type": word}
    assert [loss.path for loss in losses] == ["tool_choice"]
    assert [tool["name"] for tool in go(allowed("auto", "f"), R, A)[0]["tools"]] == ["f"]


def test_compatible_servers_too_and_openai_gets_the_list() -> None:
    body, losses = go(allowed("auto", "f"), R, C, host="api.deepseek.com")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == "auto"
    assert [loss.path for loss in losses] == ["tool_choice"]
    body, losses = go(allowed("auto", "f"), R, C, host="api.openai.com")
    assert len(body["tools"]) == 3
    assert body["tool_choice"]["allowed_tools"]["mode"] == "auto"
    assert losses == []
    body, _ = go(allowed("auto", "f"), R, G)
    calling = body["toolConfig"]["functionCallingConfig"]
    assert calling == {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}


@pytest.mark.parametrize("dst", [A, C, R])
def test_googles_limits_become_numbers(dst: Any) -> None:
    item = {"type": "STRING", "maxLength": "20", "description": "5"}
    schema = {"type": "OBJECT", "properties": {"l": {"type": "ARRAY", "items": item}}}
    schema["properties"]["l"]["minItems"] = "1"  # type: ignore[index]
    declared = {"functionDeclarations": [{"name": "f", "parameters": schema}]}
    body, _ = go({"contents": [{"parts": [{"text": "x"}]}], "tools": [declared]}, G, dst)
    text = json.dumps(body["tools"])
    assert '"maxLength": 20' in text
    assert '"minItems": 1' in text
    assert '"description": "5"' in text
