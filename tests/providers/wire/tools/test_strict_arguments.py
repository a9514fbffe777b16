"""Strict tools with optional properties: OpenAI's dialect on the way there, and none of its nulls back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.core.base import AnswerContext
from providers.wire.fitting.strict_schema import is_openai_strict
from providers.wire.tools.strict_arguments import closed_schema, without_added_nulls
from providers.wire.translate import StreamTranslator, translate_response
from tests.providers.wire.asking import A, C, R, go, user

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "limit": {"type": "integer"},
        "mode": {"type": "string", "enum": ["r", "w"]},
        "note": {"type": ["string", "null"]},
        "range": {"$ref": "#/$defs/range"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/range"}},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {
        "range": {
            "type": "object",
            "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}},
            "required": ["from"],
            "additionalProperties": False,
        }
    },
}
ASKED: dict[str, Any] = {
    "messages": [user()],
    "max_tokens": 9,
    "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
}
ARGUMENTS = {
    "path": "p",
    "limit": None,
    "mode": None,
    "note": None,
    "range": {"from": 1, "to": None},
    "items": [{"from": 2, "to": 3}, {"from": 4, "to": None}],
}
WANTED = {
    "path": "p",
    "note": None,
    "range": {"from": 1},
    "items": [{"from": 2, "to": 3}, {"from": 4}],
}


@pytest.mark.parametrize("dst", [C, R])
def test_the_vendor_gets_its_own_dialect(dst) -> None:
    body, losses = go(copy.deepcopy(ASKED), A, dst, "gpt-5.6-sol" if dst == R else "gpt-4o")
    tool = body["tools"][0].get("function") or body["tools"][0]
    assert tool["strict"] is True
    assert is_openai_strict(tool["parameters"])
    properties = tool["parameters"]["properties"]
    assert properties["limit"] == {"type": ["integer", "null"]}
    assert properties["mode"]["anyOf"][1] == {"type": "null"}
    assert properties["path"] == {"type": "string"}
    assert [loss.path for loss in losses if "nulls" in loss.reason] == ["tools.f.strict"]


def chat_answer(arguments: str) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"id": "c", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}


def test_the_client_gets_its_own_schemas_arguments() -> None:
    context = AnswerContext(client_body=ASKED)
    answer, _ = translate_response(chat_answer(json.dumps(ARGUMENTS)), C, A, context=context)
    assert answer["content"][0]["input"] == WANTED


def test_a_stream_too() -> None:
    text = json.dumps(ARGUMENTS)
    translator = StreamTranslator(C, A, context=AnswerContext(client_body=ASKED))
    out = b""
    for index, piece in enumerate([text[:20], text[20:50], text[50:]]):
        function = {"arguments": piece} | ({"name": "f"} if not index else {})
        call = {"index": 0, "function": function} | ({"id": "c1"} if not index else {})
        choice = {"index": 0, "delta": {"tool_calls": [call]}}
        out += translator.feed(
            b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"
        )
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    out += translator.feed(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n")
    pieces = [
        json.loads(line[6:])["delta"].get("partial_json", "")
        for line in out.decode().splitlines()
        if line.startswith("data: ") and "input_json_delta" in line
    ]
    assert json.loads("".join(pieces)) == WANTED


def test_a_tool_that_was_not_strict_keeps_its_nulls() -> None:
    asked = copy.deepcopy(ASKED)
    asked["tools"][0].pop("strict")
    context = AnswerContext(client_body=asked)
    answer, _ = translate_response(chat_answer(json.dumps(ARGUMENTS)), C, A, context=context)
    assert answer["content"][0]["input"] == ARGUMENTS


@pytest.mark.parametrize(
    "more",
    [
        {"additionalProperties": True},
        {"properties": {"a": {"type": "object", "patternProperties": {"x": {}}}}},
        {"properties": {"a": {"oneOf": [{"type": "string"}]}}},
    ],
)
def test_what_the_dialect_lacks_is_sent_unstrict(more) -> None:
    asked = copy.deepcopy(ASKED)
    asked["tools"][0]["input_schema"] = {"type": "object", "properties": {}, **more}
    body, losses = go(asked, A, C, "gpt-4o")
    assert body["tools"][0]["function"]["strict"] is False
    assert [loss.path for loss in losses if "without strictness" in loss.reason]


LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a", "b"]}, {"type": "boolean"}]
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sets(st.sampled_from("abc"))
    properties = st.dictionaries(st.sampled_from("abc"), inner, min_size=1)
    made = st.tuples(properties, names).map(
        lambda pair: {
            "type": "object",
            "properties": pair[0],
            "required": sorted(pair[1] & pair[0].keys()),
            "additionalProperties": False,
        }
    )
    return made | made.map(lambda one: {"type": "array", "items": one})


SCHEMAS = objects(st.recursive(LEAVES, objects, max_leaves=6)).filter(
    lambda one: one["type"] == "object"
)


def filled(schema: dict[str, Any], *, nulls: bool) -> Any:
    """A value with every property; without `nulls`, optional ones that take no null are left out."""
    if schema.get("type") == "array":
        return [filled(schema["items"], nulls=nulls)]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") != "object":
        return "x"
    value = {}
    for name, sub in schema["properties"].items():
        takes_null = isinstance(sub.get("type"), list)
        if name in schema["required"]:
            value[name] = filled(sub, nulls=nulls)
        elif nulls or takes_null:
            value[name] = None
    return value


@given(SCHEMAS)
def test_every_schema_of_its_own_dialect_is_brought_there_and_back(schema) -> None:
    closed = closed_schema(schema)
    assert closed is not None
    assert is_openai_strict(closed)
    assert without_added_nulls(filled(schema, nulls=True), schema) == filled(schema, nulls=False)
