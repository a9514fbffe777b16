"""Fields that no decoder reads: each arrives, or is a loss with its path, at every level."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from providers.base.names import WireFormatName

from .asking import A, C, G, R, go, user

MARK = "unheardof"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
PNG = "iVBORw0KGgo="

ANTHROPIC: dict[str, Any] = {
    "max_tokens": 100,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "r"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
}
CHAT: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {
                    "type": "file",
                    "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,eA=="},
                },
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
}
RESPONSES: dict[str, Any] = {
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "r"}],
        },
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA},
        {"type": "custom", "name": "g"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
}
GOOGLE: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {"thinkingConfig": {"thinkingBudget": 1024}},
}
SAMPLES: dict[WireFormatName, dict[str, Any]] = {A: ANTHROPIC, C: CHAT, R: RESPONSES, G: GOOGLE}
MODELS: dict[WireFormatName, str] = {
    A: "claude-sonnet-4-5",
    C: "gpt-4o",
    R: "gpt-5.6-sol",
    G: "gemini-3.6-flash",
}
# A client's own data, whose keys nobody names beforehand.
OPAQUE = {"input_schema", "parameters", "parametersJsonSchema", "schema", "args", "response"}


def levels(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every object in a body, but those that hold the client's own data."""
    if isinstance(value, dict):
        yield path
        is_call = value.get("type") == "tool_use"
        for key, inner in value.items():
            if key not in OPAQUE and not (is_call and key == "input"):
                yield from levels(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from levels(inner, (*path, index))


def marked(body: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    place: Any = changed
    for step in path:
        place = place[step]
    place[MARK] = 1
    return changed


@pytest.mark.parametrize("src", [A, C, R, G])
@pytest.mark.parametrize("dst", [A, C, R, G])
def test_an_unknown_field_is_never_lost_in_silence(src, dst) -> None:
    if src == dst:
        return
    for path in levels(SAMPLES[src]):
        body, losses = go(marked(SAMPLES[src], path), src, dst, MODELS[dst])
        listed = [loss.path for loss in losses if loss.path.endswith(MARK)]
        assert listed or MARK in json.dumps(body), path
        names = [str(step) for step in path if isinstance(step, str)]
        assert all(name in listed[0] for name in names), (path, listed)


@pytest.mark.parametrize("src", [A, C, R, G])
def test_a_body_of_known_fields_has_no_such_loss(src) -> None:
    dst = C if src == A else A
    _, losses = go(copy.deepcopy(SAMPLES[src]), src, dst, MODELS[dst])
    assert not [loss for loss in losses if "counterpart" in loss.reason]


def test_a_field_of_every_message_is_one_loss() -> None:
    messages = [{"role": "user", "content": "x", MARK: index} for index in range(300)]
    _, losses = go({"messages": messages, "max_tokens": 1}, A, C)
    assert [loss.path for loss in losses] == [f"messages[].{MARK}"]


@pytest.mark.parametrize("key", ["cached_content", "cachedContent"])
def test_a_conversation_that_is_elsewhere_is_refused(key) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], key: "cachedContents/a"}
    for dst in (A, C, R):
        with pytest.raises(Exception, match="cachedContent"):
            go(dict(body), G, dst)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "compaction", "id": "c", "encrypted_content": "x"},
    ],
)
def test_items_that_only_openai_can_read_are_refused(item) -> None:
    for dst in (A, C, G):
        with pytest.raises(Exception, match=item["type"]):
            go({"input": [item, user()]}, R, dst)


def test_stored_files_are_refused_by_name() -> None:
    part = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    with pytest.raises(Exception, match="file_1"):
        go({"messages": [user([part])], "max_tokens": 1}, A, C)


def test_the_text_of_a_compaction_is_kept() -> None:
    block = {"type": "compaction", "content": "SUMMARY"}
    asked = {"messages": [{"role": "assistant", "content": [block]}, user()], "max_tokens": 1}
    body, losses = go(asked, A, C)
    assert body["messages"][0] == {"role": "assistant", "content": "SUMMARY"}
    assert [loss.path for loss in losses] == ["messages.compaction"]


# -------------------------------------------------------------------------------------------------
# fields that are known and have no place


@pytest.mark.parametrize("dst", [C, R, G])
@pytest.mark.parametrize("where", ["system", "tools", "result"])
def test_marks_for_the_cache_are_listed_wherever_they_stand(dst, where) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body = copy.deepcopy(ANTHROPIC)
    body.pop("output_config")
    place = {
        "system": body["system"][0],
        "tools": body["tools"][0],
        "result": body["messages"][2]["content"][0]["content"][0],
    }[where]
    place.update(mark)
    _, losses = go(body, A, dst, MODELS[dst])
    assert "cache_control" in [loss.path for loss in losses]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"text": {"verbosity": "low"}}, "verbosity"),
        ({"store": True}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"reasoning": {"effort": "high", "mode": "pro"}}, "reasoning.mode"),
    ],
)
def test_parameters_without_a_place_are_listed(more, path) -> None:
    _, losses = go({"input": "x", **more}, R, A, MODELS[A])
    assert path in [loss.path for loss in losses]


def test_the_detail_of_an_image_is_listed() -> None:
    url = {"url": f"data:image/png;base64,{PNG}", "detail": "low"}
    asked = {"messages": [user([{"type": "image_url", "image_url": url}])]}
    for dst in (A, G):
        _, losses = go(copy.deepcopy(asked), C, dst, MODELS[dst])
        assert "messages.detail" in [loss.path for loss in losses]


def test_citations_in_a_history_are_listed() -> None:
    cited = {"type": "char_location", "cited_text": "q", "document_index": 0}
    block = {"type": "text", "text": "a", "citations": [cited]}
    asked = {
        "messages": [user(), {"role": "assistant", "content": [block]}, user()],
        "max_tokens": 9,
    }
    for dst in (C, R, G):
        _, losses = go(copy.deepcopy(asked), A, dst, MODELS[dst])
        assert "messages.citations" in [loss.path for loss in losses]


# -------------------------------------------------------------------------------------------------
# strict schemas, free-form tools

OPTIONAL = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
CLOSED = {**OPTIONAL, "required": ["a", "b"]}


@pytest.mark.parametrize(("schema", "is_closed"), [(OPTIONAL, False), (CLOSED, True)])
@pytest.mark.parametrize("dst", [C, R])
def test_a_schema_is_strict_in_openais_own_dialect_alone(schema, is_closed, dst) -> None:
    asked = {
        "messages": [user()],
        "max_tokens": 9,
        "tools": [{"name": "f", "input_schema": schema, "strict": True}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    body, losses = go(asked, A, dst, "gpt-4o")
    tool = body["tools"][0].get("function") or body["tools"][0]
    output = body.get("text", {}).get("format") or body["response_format"]["json_schema"]
    # A tool's schema is brought there; the text of an output is never changed on its way back.
    assert (tool["strict"], output["strict"]) == (True, is_closed)
    assert tool["parameters"]["required"] == ["a", "b"]
    paths = {loss.path for loss in losses} & {"tools.f.strict", "response_format.strict"}
    assert paths == (set() if is_closed else {"tools.f.strict", "response_format.strict"})


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "X" /.+/'}


def test_a_grammar_stays_known_to_the_model() -> None:
    tool = {"type": "custom", "name": "patch", "description": "d", "format": GRAMMAR}
    body, losses = go({"input": "x", "tools": [tool]}, R, A, MODELS[A])
    assert GRAMMAR["definition"] in body["tools"][0]["description"]
    assert "grammar" in losses[0].reason


def test_chat_keeps_free_form_tools_where_the_model_has_them() -> None:
    tool = {"type": "custom", "name": "patch", "description": "d", "format": GRAMMAR}
    items = [
        user(),
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "X1"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
    ]
    asked = {"input": items, "tools": [tool]}
    body, losses = go(copy.deepcopy(asked), R, C, "gpt-5.2")
    inner = {"syntax": "lark", "definition": GRAMMAR["definition"]}
    assert body["tools"][0]["custom"]["format"] == {"type": "grammar", "grammar": inner}
    assert body["messages"][1]["tool_calls"][0]["custom"] == {"name": "patch", "input": "X1"}
    assert not [loss for loss in losses if loss.path.startswith("tools")]
    older, _ = go(copy.deepcopy(asked), R, C, "gpt-4o")
    assert older["tools"][0]["type"] == "function"
