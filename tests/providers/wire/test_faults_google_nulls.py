"""Fields of Google's parts that are null: proto JSON reads them as not set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.translate import StreamTranslator, translate_response

from .asking import IMAGE, A, C, G, R, go
from .sdk_answers import read

FIELDS = (
    *("text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall"),
    *("functionResponse", "executableCode", "codeExecutionResult", "inline_data", "function_call"),
)
NULLS: dict[str, Any] = dict.fromkeys(FIELDS)
CALL = {"id": "c1", "name": "f", "args": {"a": None}}
RESULT = {"id": "c1", "name": "f", "response": {"output": None}}


def request(nulls: dict[str, Any]) -> dict[str, Any]:
    return {
        "systemInstruction": {"parts": [{**nulls, "text": "rules"}, nulls]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {**nulls, "text": "see"},
                    {**nulls, "inlineData": {"mimeType": "image/png", "data": IMAGE}},
                ],
            },
            {"role": "model", "parts": [{**nulls, "functionCall": CALL}]},
            {"role": "user", "parts": [{**nulls, "functionResponse": RESULT}]},
        ],
    }


@pytest.mark.parametrize("dst", [A, C, R])
def test_a_request_is_the_same_without_them(dst: WireFormatName) -> None:
    got, losses = go(request(NULLS), G, dst)
    wanted, _ = go(request({}), G, dst)
    assert got == wanted
    assert "see" in json.dumps(got) and IMAGE in json.dumps(got)
    assert not losses


@pytest.mark.parametrize("dst", [A, C, R])
def test_tools_and_schemas_are_the_same_without_them(dst: WireFormatName) -> None:
    """SDKs that write each of a tool's kinds write null for all but one."""

    def asked(nulls: dict[str, Any], unset: dict[str, Any]) -> dict[str, Any]:
        text = {**unset, "type": "STRING", "default": None}
        schema = {**unset, "type": "OBJECT", "properties": {"a": text}}
        tool = {**unset, "name": "f", "parameters": schema}
        config = {"responseMimeType": "application/json", "responseSchema": schema}
        return {
            "contents": [{"parts": [{"text": "hi"}]}],
            "tools": [{**nulls, "functionDeclarations": [tool]}],
            "generationConfig": config,
        }

    kinds = ("googleSearch", "codeExecution", "urlContext", "google_search_retrieval")
    unset = dict.fromkeys(("title", "description", "enum", "required", "nullable"))
    got, losses = go(asked(dict.fromkeys(kinds), unset), G, dst)
    wanted, others = go(asked({}, {}), G, dst)
    assert got == wanted
    assert list(losses) == list(others)
    assert "null" in json.dumps(got), "a default may be null"


@pytest.mark.parametrize("dst", [A, C, R])
def test_a_response_is_the_same_without_them(dst: WireFormatName) -> None:
    parts = [{**NULLS, "text": "hi"}, {**NULLS, "functionCall": CALL}, NULLS]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    body = {"responseId": "r", "candidates": [candidate]}
    whole, _ = translate_response(body, G, dst)
    stream = StreamTranslator(G, dst)
    out = stream.feed(b"data: " + json.dumps(body).encode() + b"\n\n") + stream.flush()
    for digest in (
        read(dst, json.dumps(whole).encode(), stream=False),
        read(dst, out, stream=True),
    ):
        assert (digest.text, digest.calls) == ("hi", [("f", {"a": None})])
