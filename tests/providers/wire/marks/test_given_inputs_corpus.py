"""Reported conversations and tools, as they were given, are what their vendors take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.core.base import AnswerContext, TargetInfo
from providers.wire.marks.native_request import may_have_marks, without_marks
from providers.wire.rules.replay import ID_MARKS, PACKED, SEAL, SKIP_SIGNATURE_CHECK
from providers.wire.translate import translate_request, translate_response
from tests.providers.wire.asking import A, C, G, R

pytestmark = pytest.mark.corpus

FORMATS: dict[str, WireFormatName] = {
    "anthropic": A,
    "openai_chat": C,
    "openai_responses": R,
    "gemini": G,
}


def given(corpus: Path, name: str) -> Any:
    (found,) = (corpus / "faults" / "translation").glob(f"{name}-*.json")
    return json.loads(found.read_text())


def test_no_mark_and_no_unsigned_thinking_arrives(corpus: Path) -> None:
    inputs = given(corpus, "P1")["smallest_inputs"]
    assert len(inputs) == 5
    for one in inputs:
        wire_format, body = FORMATS[one["client"]], one["body"]
        assert may_have_marks(json.dumps(body).encode(), wire_format)
        model = body.get("model") or "gemini-3-pro-preview"
        text = json.dumps(without_marks(body, wire_format, model)[0])
        assert not [mark for mark in (SEAL, PACKED, *ID_MARKS) if mark in text]
        assert '"signature": ""' not in text
        assert (SKIP_SIGNATURE_CHECK in text) is (wire_format == G)


def test_plain_reasoning_returns(corpus: Path) -> None:
    answer = given(corpus, "P2")["smallest_input"]["turn1_answer"]
    host = "api.deepseek.com"
    asked = {"model": "m", "max_tokens": 9, "thinking": {"type": "adaptive"}}
    asked["messages"] = [{"role": "user", "content": "go"}]
    context = AnswerContext(client_body=asked, host=host)
    content = translate_response(answer, C, A, context=context)[0]["content"]
    history = [*asked["messages"], {"role": "assistant", "content": content}]  # type: ignore[misc]
    body, _ = translate_request({**asked, "messages": history}, A, C, target=TargetInfo(host=host))
    said = next(message for message in body["messages"] if message["role"] == "assistant")
    assert said["reasoning_content"] == "my reasoning"
    assert said["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":"1"}'}
    # Another server refuses the field.
    other = TargetInfo(host="api.groq.com")
    body, _ = translate_request({**asked, "messages": history}, A, C, target=other)
    assert "my reasoning" not in json.dumps(body)


def test_codex_may_declare_its_search(corpus: Path) -> None:
    one = given(corpus, "C1")["smallest_input"]
    for dst in (A, C, G):
        body, losses = translate_request(one["body"], R, dst)
        assert "web_search" not in json.dumps(body)
        assert "tools.web_search" in [loss.path for loss in losses]


def test_details_of_requests(corpus: Path) -> None:
    body, _ = translate_request(given(corpus, "G1")["smallest_input"]["body"], G, C)
    called, result = body["messages"][1:]
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"d": 2, "n": 100}
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]
    (row,) = given(corpus, "S3")["rows"]
    body, losses = translate_request(row["request"], R, A)
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert "tool_choice" in [loss.path for loss in losses]
    (row,) = given(corpus, "S7")["rows"]
    body, _ = translate_request(row["request"], G, C)
    listed = body["response_format"]["json_schema"]["schema"]["properties"]["l"]
    assert (listed["minItems"], listed["items"]["maxLength"]) == (1, 20)
