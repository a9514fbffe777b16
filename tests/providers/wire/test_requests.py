"""What must survive in a request, topic by topic, where the recordings do not reach; tools have a
file of their own.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from providers.base.errors import MalformedBody, UnsupportedByTarget
from providers.wire.translate import translate_request

from .asking import CHAT_TOOL, IMAGE, A, C, G, R, call, go, reasons, user

# ------------------------------------------------------------------------------------------------
# system and turns


def test_leading_system_messages_are_the_system_prompt_and_later_ones_stay():
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        user("hi"),
        {"role": "assistant", "content": "yes"},
        user("go"),
        {"role": "system", "content": "late"},
    ]
    body, losses = go({"messages": messages}, C, A, "claude-opus-4-8")
    assert [block["text"] for block in body["system"]] == ["one", "two"]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user", "system"]
    assert losses == []
    body, losses = go({"messages": messages}, C, A, "claude-sonnet-4-5")
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][-1]["content"][-1]["text"] == "late"
    assert "mid-conversation" in reasons(losses)
    body, _ = go({"messages": messages}, C, R)
    assert body["instructions"] == "one\n\ntwo"
    assert body["input"][-1] == {"role": "developer", "content": "late"}
    body, losses = go({"messages": messages}, C, G)
    assert [p["text"] for p in body["systemInstruction"]["parts"]] == ["one", "two"]
    assert body["contents"][-1]["parts"][-1] == {"text": "late"}
    assert "only at the start" in reasons(losses)


def test_roles_are_merged_where_the_vendor_demands_it():
    messages = [
        user("a"),
        user("b"),
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    body, _ = go({"messages": messages}, C, A)
    assert [(m["role"], [p["text"] for p in m["content"]]) for m in body["messages"]] == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
    ]
    body, _ = go({"messages": messages}, C, G)
    assert [content["role"] for content in body["contents"]] == ["user", "model"]


def test_empty_and_white_text_never_reaches_a_vendor_that_refuses_it():
    messages = [
        user(""),
        {"role": "assistant", "content": " "},
        user(" \n"),
        {"role": "assistant", "content": "x "},
    ]
    body, losses = go({"messages": messages}, C, A)
    texts = [part["text"] for m in body["messages"] for part in m["content"]]
    assert all(text.strip() for text in texts)
    assert texts[-1] == "x"
    assert "full stop" in reasons(losses)
    body, _ = go({"messages": [{"role": "assistant", "content": "hello"}]}, C, A)
    assert [m["role"] for m in body["messages"]] == ["user", "assistant"]


def test_max_tokens_has_a_default_only_where_demanded():
    assert go({"messages": [user()]}, C, A)[0]["max_tokens"] == 8192
    assert go({"messages": [user()]}, C, A, max_tokens_default=4000)[0]["max_tokens"] == 4000
    assert "max_completion_tokens" not in go({"contents": [{"parts": [{"text": "x"}]}]}, G, C)[0]
    limited = {"messages": [user()], "max_tokens": 7}
    thinking = go({"messages": [user()], "reasoning_effort": "medium"}, C, A, "claude-sonnet-4-5")[
        0
    ]
    assert thinking["max_tokens"] == 64_000 > thinking["thinking"]["budget_tokens"]
    assert go(dict(limited), A, C)[0]["max_completion_tokens"] == 7
    assert go(dict(limited), A, C, host="api.mistral.ai")[0]["max_tokens"] == 7
    body, losses = go(dict(limited), A, R)
    assert body["max_output_tokens"] == 16
    assert "16 tokens at least" in reasons(losses)


# -------------------------------------------------------------------------------------------------
# media


def test_images_documents_and_sound():
    parts: list[dict[str, Any]] = [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{IMAGE}", "detail": "low"},
        },
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    with pytest.raises(UnsupportedByTarget, match="file-1"):
        go({"messages": [user(list(parts))]}, C, A)
    del parts[-1]
    body, losses = go({"messages": [user(parts)]}, C, A)
    sources = [part["source"] for part in body["messages"][0]["content"]]
    assert [source["type"] for source in sources] == ["base64", "url", "base64"]
    assert "takes no audio" in reasons(losses)
    body, _ = go({"messages": [user(parts)]}, C, G)
    google = body["contents"][0]["parts"]
    assert google[1] == {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}}
    assert google[2]["inlineData"]["mimeType"] == "audio/mpeg"
    back, _ = go(body, G, C)
    assert [part["type"] for part in back["messages"][0]["content"]] == [
        "image_url",
        "image_url",
        "input_audio",
        "file",
    ]
    body, _ = go({"messages": [user(parts[:2])]}, C, R)
    assert body["input"][0]["content"][0] == {
        "type": "input_image",
        "detail": "low",
        "image_url": f"data:image/png;base64,{IMAGE}",
    }


# -------------------------------------------------------------------------------------------------
# reasoning


@pytest.mark.parametrize(
    ("effort", "model", "thinking", "config"),
    [
        (
            "low",
            "claude-sonnet-4-5",
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
            None,
        ),
        (
            "high",
            "claude-opus-4-7",
            {"type": "adaptive", "display": "summarized"},
            {"effort": "high"},
        ),
        (
            "minimal",
            "claude-opus-4-7",
            {"type": "adaptive", "display": "summarized"},
            {"effort": "low"},
        ),
        ("none", "claude-opus-4-7", {"type": "disabled"}, None),
    ],
)
def test_effort_becomes_thinking(effort, model, thinking, config):
    body, _ = go(
        {"messages": [user()], "reasoning_effort": effort, "max_tokens": 9000}, C, A, model
    )
    assert body["thinking"] == thinking
    assert body.get("output_config") == config


@pytest.mark.parametrize(
    ("budget", "effort", "level"),
    [(1024, "low", "low"), (10000, "medium", "medium"), (31999, "high", "high")],
)
def test_budgets_become_efforts_and_levels(budget, effort, level):
    body = {
        "messages": [user()],
        "max_tokens": 40000,
        "thinking": {"type": "enabled", "budget_tokens": budget},
    }
    assert go(dict(body), A, C, "gpt-5.1")[0]["reasoning_effort"] == effort
    responses, _ = go(dict(body), A, R, "gpt-5.1")
    assert responses["reasoning"]["effort"] == effort
    assert responses["include"] == ["reasoning.encrypted_content"]
    assert responses["store"] is False
    config = go(dict(body), A, G, "gemini-2.5-pro")[0]["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingBudget": budget}
    config = go(dict(body), A, G, "gemini-2.5-flash")[0]["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingBudget": min(budget, 24576)}
    config = go(dict(body), A, G, "gemini-3.1-pro")[0]["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingLevel": level}
    assert "reasoning_effort" not in go(dict(body), A, C, "gpt-4o")[0]


@pytest.mark.parametrize(
    ("effort", "model", "want"),
    [
        ("none", "o3", "low"),
        ("max", "o4-mini", "high"),
        ("none", "gpt-5", "minimal"),
        ("xhigh", "gpt-5-mini", "high"),
        ("minimal", "gpt-5.2", "low"),
        ("none", "gpt-5.2", "none"),
        ("xhigh", "gpt-5.2", "xhigh"),
        ("high", "grok-4.5", "high"),
        ("max", "grok-4.5", "high"),
    ],
)
def test_efforts_are_those_the_model_knows(effort, model, want):
    body, losses = go({"input": "x", "reasoning": {"effort": effort}}, R, C, model)
    assert body["reasoning_effort"] == want
    assert bool(losses) is (want != effort)


@pytest.mark.parametrize(
    ("model", "want"),
    [
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinkingBudget": 128}),
        ("gemini-3-pro", {"thinkingLevel": "low"}),
        ("gemini-3-flash", {"thinkingLevel": "minimal"}),
    ],
)
def test_as_little_thinking_as_google_allows(model, want):
    body, _ = go(
        {"messages": [user()], "max_tokens": 9, "thinking": {"type": "disabled"}}, A, G, model
    )
    assert body["generationConfig"]["thinkingConfig"] == want


def test_thinking_is_off_where_anthropic_would_refuse_it():
    forced = {
        "messages": [user()],
        "reasoning_effort": "high",
        "tools": [CHAT_TOOL],
        "tool_choice": "required",
    }
    body, losses = go(forced, C, A, "claude-sonnet-4-5")
    assert "thinking" not in body
    assert "forced" in reasons(losses)
    messages = [
        user(),
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    body, losses = go({"messages": messages, "reasoning_effort": "high"}, C, A, "claude-sonnet-4-5")
    assert "thinking" not in body
    assert "without its thinking block" in reasons(losses)
    body, _ = go({"messages": messages, "reasoning_effort": "high"}, C, A, "claude-opus-4-7")
    assert body["thinking"]["type"] == "adaptive"


# ------------------------------------------------------------------------------- structured output,
# sampling, the rest


def test_structured_output_in_all_four_forms():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}},
        "required": ["a"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    body, losses = go({"messages": [user()], "response_format": wanted}, C, A)
    made = body["output_config"]["format"]
    assert made["schema"]["additionalProperties"] is False
    assert "minimum" not in json.dumps(made)
    assert "minimum" in reasons(losses)
    body, _ = go({"messages": [user()], "response_format": wanted}, C, R)
    assert body["text"]["format"] == {
        "type": "json_schema",
        "name": "n",
        "schema": schema,
        "strict": True,
    }
    body, _ = go({"messages": [user()], "response_format": wanted}, C, G)
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    back, _ = go(
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": body["generationConfig"]},
        G,
        C,
    )
    assert back["response_format"]["json_schema"]["schema"] == schema
    body, losses = go({"messages": [user()], "response_format": {"type": "json_object"}}, C, A)
    assert "JSON object" in body["system"][-1]["text"]
    assert "JSON mode" in reasons(losses)


def test_sampling_with_the_vendors_ranges():
    sampling = {
        "temperature": 1.7,
        "top_p": 0.9,
        "stop": ["a", " "],
        "seed": 1,
        "presence_penalty": 1,
        "n": 3,
    }
    body, losses = go({"messages": [user()], **sampling}, C, A, "claude-sonnet-4-0")
    assert (body["temperature"], body["top_p"], body["stop_sequences"]) == (1, 0.9, ["a"])
    assert {"temperature", "stop", "seed", "presence_penalty", "n"} <= {
        loss.path for loss in losses
    }
    body, losses = go({"messages": [user()], **sampling}, C, A, "claude-sonnet-4-5")
    assert "top_p" not in body
    body, losses = go({"messages": [user()], **sampling}, C, G)
    config = body["generationConfig"]
    assert (config["temperature"], config["topP"], config["seed"], config["stopSequences"]) == (
        1.7,
        0.9,
        1,
        ["a", " "],
    )
    assert {loss.path for loss in losses} == {"n"}
    body, losses = go(
        {"messages": [user()], "max_tokens": 1, "top_k": 5, "stop_sequences": list("abcde")}, A, C
    )
    assert body["stop"] == list("abcd")
    assert {"top_k", "stop"} <= {loss.path for loss in losses}
    body, losses = go({"messages": [user()], "temperature": 0.5}, C, R, "gpt-5")
    assert "temperature" not in body
    assert "takes no temperature" in reasons(losses)


def test_foreign_fields_never_travel():
    body, losses = go(
        {"messages": [user()], "stream": True, "stream_options": {"include_usage": True}, "x": 1},
        C,
        A,
    )
    assert set(body) == {"model", "max_tokens", "messages", "stream"}
    assert [loss.path for loss in losses] == ["x"]
    anthropic = {
        "messages": [user()],
        "max_tokens": 1,
        "context_management": {},
        "metadata": {"user_id": "u"},
    }
    body, losses = go(anthropic, A, C)
    assert body["user"] == hashlib.sha256(b"u").hexdigest()
    assert "context_management" in {loss.path for loss in losses}
    marked = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    body, losses = go({"messages": [user(marked)], "max_tokens": 1}, A, C)
    assert "cache_control" not in json.dumps(body)
    assert "cache_control" in {loss.path for loss in losses}
    body, _ = go({"messages": [user(marked)]}, C, A)
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


def test_streams_are_asked_for_with_usage():
    body, _ = go({"messages": [user()], "max_tokens": 1, "stream": True}, A, C)
    assert body["stream_options"] == {"include_usage": True}
    body, _ = go({"contents": [{"parts": [{"text": "x"}]}]}, G, R, stream=True)
    assert body["stream"] is True
    body, _ = go({"messages": [user()], "stream": True}, C, G)
    assert "stream" not in body


def test_code_assists_envelope_on_both_sides():
    body, _ = go(
        {"messages": [user("hi")]}, C, G, provider_type="gemini", project="p", session_id="s"
    )
    assert body["model"] == "m"
    assert body["project"] == "p"
    assert body["request"]["session_id"] == "s"
    assert body["request"]["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    back, losses = go(body, G, A)
    assert back["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert losses == []


@pytest.mark.parametrize(
    ("body", "src", "match"),
    [
        ({"messages": "x"}, A, "messages must be an array"),
        ({"messages": [{"role": "robot", "content": "x"}]}, A, r"messages\[0\].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 3}]}]},
            A,
            "text must be a string",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": []}]}, C, "tool_call_id must be a string"),
        ({"messages": [user()], "max_tokens": "9"}, C, "max_tokens must be a number"),
        ({"messages": [user()], "temperature": True}, C, "temperature must be a number"),
        ({"input": [{"type": "function_call", "call_id": {}}]}, R, "call_id must be a string"),
        ({"contents": [{"parts": [{"text": 1}]}]}, G, "text must be a string"),
        ({"contents": 7}, G, "contents must be an array"),
    ],
)
def test_faults_of_the_client_name_the_place(body, src, match):
    dst = A if src != A else C
    with pytest.raises(MalformedBody, match=match):
        translate_request(body, src, dst)
