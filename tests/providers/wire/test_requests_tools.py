"""What must survive of tools: definitions, choices, calls, results, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base.errors import UnsupportedByTarget

from .asking import CHAT_TOOL, IMAGE, TOOL, A, C, G, R, call, go, reasons, user


@pytest.mark.parametrize(
    ("choice", "chat", "responses", "google"),
    [
        ({"type": "auto"}, "auto", "auto", {"mode": "AUTO"}),
        ({"type": "any"}, "required", "required", {"mode": "ANY"}),
        ({"type": "none"}, "none", "none", {"mode": "NONE"}),
        (
            {"type": "tool", "name": "f"},
            {"type": "function", "function": {"name": "f"}},
            {"type": "function", "name": "f"},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choice_in_all_forms(choice, chat, responses, google):
    body = {"messages": [user()], "max_tokens": 9, "tools": [TOOL], "tool_choice": choice}
    there = {C: chat, R: responses}
    for dst, want in there.items():
        assert go(dict(body), A, dst)[0]["tool_choice"] == want
    assert go(dict(body), A, G)[0]["toolConfig"] == {"functionCallingConfig": google}
    # and back
    back = {"messages": [user()], "tools": [CHAT_TOOL], "tool_choice": chat}
    assert go(back, C, A)[0]["tool_choice"] == choice
    contents = [{"role": "user", "parts": [{"text": "x"}]}]
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    calling = {
        "contents": contents,
        "tools": tools,
        "toolConfig": {"functionCallingConfig": google},
    }
    assert go(calling, G, A)[0]["tool_choice"] == choice


def test_allowed_tools_become_the_only_tools():
    other = {"type": "function", "function": {"name": "g"}}
    third = {"type": "function", "function": {"name": "h"}}
    allowed = {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": n}} for n in "fg"],
    }
    body = {
        "messages": [user()],
        "tools": [CHAT_TOOL, other, third],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
    }
    translated, losses = go(dict(body), C, A)
    assert [tool["name"] for tool in translated["tools"]] == ["f", "g"]
    assert translated["tool_choice"] == {"type": "any"}
    assert "left out" in reasons(losses)
    names = go(dict(body), C, G)[0]["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"]
    assert names == ["f", "g"]


@pytest.mark.parametrize("value", [True, False])
def test_parallel_calls_on_and_off(value):
    body, _ = go({"messages": [user()], "tools": [CHAT_TOOL], "parallel_tool_calls": value}, C, A)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": not value}
    choice = {"type": "any", "disable_parallel_tool_use": value}
    body, _ = go(
        {"messages": [user()], "max_tokens": 1, "tools": [TOOL], "tool_choice": choice}, A, R
    )
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", not value)
    assert (
        "parallel_tool_calls"
        not in go({"messages": [user()], "parallel_tool_calls": value}, C, R)[0]
    )


def history(results: list[dict[str, Any]]) -> dict[str, Any]:
    calls = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": "f", "input": {"a": n}} for n in range(2)
    ]
    messages = [
        user("go"),
        {"role": "assistant", "content": [{"type": "text", "text": "I call"}, *calls]},
    ]
    return {
        "messages": [*messages, {"role": "user", "content": results}],
        "max_tokens": 9,
        "tools": [TOOL],
    }


def test_results_are_paired_with_calls_across_vendors_without_ids():
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
        {"type": "tool_result", "tool_use_id": "toolu_0", "content": '{"k": 1}', "is_error": False},
    ]
    google, _ = go(history(results), A, G, provider_type="vertex_ai")
    model, answers = google["contents"][1]["parts"], google["contents"][2]["parts"]
    assert [part.get("functionCall", {}).get("args") for part in model] == [
        None,
        {"a": 0},
        {"a": 1},
    ]
    assert [part["functionResponse"]["response"] for part in answers] == [
        {"k": 1},
        {"output": "one"},
    ]
    assert "id" not in answers[0]["functionResponse"]
    back, _ = go(google, G, C)
    assert [m["role"] for m in back["messages"]] == ["user", "assistant", "tool", "tool"]
    ids = [call["id"] for call in back["messages"][1]["tool_calls"]]
    assert [m["tool_call_id"] for m in back["messages"][2:]] == ids
    assert len(set(ids)) == 2
    assert back["messages"][3]["content"] == "one"


def test_failed_tools_and_their_images():
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": IMAGE},
    }
    results: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_0",
            "content": [{"type": "text", "text": "see"}, image],
        },
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "boom", "is_error": True},
        {"type": "text", "text": "and now?"},
    ]
    chat, losses = go(history(results), A, C)
    assert [m["role"] for m in chat["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert [part["type"] for part in chat["messages"][-1]["content"]] == [
        "text",
        "image_url",
        "text",
    ]
    assert "no mark for a failed tool" in reasons(losses)
    responses, _ = go(history(results), A, R)
    outputs = [item for item in responses["input"] if item.get("type") == "function_call_output"]
    assert [part["type"] for part in outputs[0]["output"]] == ["input_text", "input_image"]
    new, _ = go(history(results), A, G, "gemini-3-pro")
    first, second = (part["functionResponse"] for part in new["contents"][2]["parts"][:2])
    assert first["parts"][0]["inlineData"]["data"] == IMAGE
    assert second["response"] == {"error": "boom"}
    old, _ = go(history(results), A, G, "gemini-2.5-flash")
    assert "inlineData" in old["contents"][2]["parts"][1]


def test_broken_histories_are_repaired_and_said():
    messages = [
        user("go"),
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        user("stop"),
        {"role": "tool", "tool_call_id": "zzz", "content": "orphan"},
    ]
    body, losses = go({"messages": messages, "tools": [CHAT_TOOL]}, C, A)
    answer = body["messages"][-1]["content"]
    assert [part["type"] for part in answer[:2]] == ["tool_result", "tool_result"]
    assert [part["tool_use_id"] for part in answer[:2]] == ["a", "b"]
    assert answer[0]["is_error"] is True
    assert [part["text"] for part in answer[2:]] == ["stop", "Result of tool call zzz:", "orphan"]
    assert "never answered" in reasons(losses)
    assert "no call before it" in reasons(losses)


def test_server_tools_are_refused_by_name():
    for src, tools in (
        (A, [{"type": "web_search_20250305", "name": "web_search"}]),
        (R, [{"type": "web_search"}]),
    ):
        key = "messages" if src == A else "input"
        with pytest.raises(UnsupportedByTarget, match="web_search"):
            go({key: [user()], "max_tokens": 1, "tools": tools}, src, G)
    with pytest.raises(UnsupportedByTarget, match="googleSearch"):
        go({"contents": [{"parts": [{"text": "x"}]}], "tools": [{"google_search": {}}]}, G, A)


def test_server_tools_are_left_out_beside_others():
    tools = [{"type": "web_search"}, {"type": "function", "name": "f", "parameters": {}}]
    choice = {"type": "web_search"}
    body, losses = go({"input": "x", "tools": tools}, R, A)
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert [loss.path for loss in losses] == ["tools.web_search"]
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        go({"input": "x", "tools": tools, "tool_choice": choice}, R, A)
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        go({"input": "x", "tools": tools}, R, A, server_tools="refuse")


def test_state_kept_at_openai_is_refused_with_the_way_out():
    for field in ("previous_response_id", "conversation"):
        with pytest.raises(UnsupportedByTarget, match="complete conversation"):
            go({"input": "x", field: "id"}, R, A)
    with pytest.raises(UnsupportedByTarget, match="background"):
        go({"input": "x", "background": True}, R, C)
    assert go({"input": "x", "previous_response_id": None, "background": False}, R, C)[0][
        "messages"
    ] == [user("x")]


def test_free_form_tools_and_namespaces_become_functions():
    tools = [
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "p",
            "format": {"type": "grammar"},
        },
        {
            "type": "namespace",
            "name": "fs",
            "tools": [{"type": "function", "name": "read", "parameters": {}}],
        },
    ]
    items = [
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {
            "type": "function_call",
            "call_id": "c2",
            "name": "read",
            "namespace": "fs",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "c2", "output": "file"},
    ]
    choice = {"type": "function", "name": "read"}
    body, losses = go({"input": [user(), *items], "tools": tools, "tool_choice": choice}, R, A)
    assert [tool["name"] for tool in body["tools"]] == ["apply_patch", "fs__read"]
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["tool_choice"] == {"type": "tool", "name": "fs__read"}
    uses = [p for m in body["messages"] for p in m["content"] if p["type"] == "tool_use"]
    assert [(use["name"], use["input"]) for use in uses] == [
        ("apply_patch", {"input": "*** Begin"}),
        ("fs__read", {}),
    ]
    assert "free-form" in reasons(losses)


def test_schemas_are_changed_only_where_refused():
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"type": "string", "minLength": 2, "if": {}}},
    }
    body, losses = go(
        {"messages": [user()], "max_tokens": 1, "tools": [{"name": "f", "input_schema": schema}]},
        A,
        G,
    )
    parameters = body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert parameters["properties"] == {"a": {"enum": [1]}, "b": {"type": "string", "minLength": 2}}
    assert "tools.f.if" in reasons(losses)
    chat, _ = go({"messages": [user()], "max_tokens": 1, "tools": [TOOL]}, A, C)
    assert chat["tools"][0]["function"]["parameters"] is TOOL["input_schema"]
    own = {"type": "OBJECT", "properties": {"n": {"type": "STRING", "nullable": True}}}
    google = {
        "contents": [{"parts": [{"text": "x"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": own}]}],
    }
    assert go(google, G, A)[0]["tools"][0]["input_schema"]["properties"] == {
        "n": {"type": ["string", "null"]}
    }
