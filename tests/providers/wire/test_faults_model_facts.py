"""Requests of other vendors' clients, brought to what current models accept."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from providers.base.errors import UnsupportedByTarget
from providers.wire.core.base import TargetInfo
from providers.wire.facts.table import FactTable, built_in, row_from
from providers.wire.translate import translate_request

from .asking import CHAT_TOOL, TOOL, A, C, G, R, go, reasons, user

OPUS, SONNET, HAIKU, FABLE = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def paths(losses: Any) -> list[str]:
    return [loss.path for loss in losses]


# -------------------------------------------------------------------------------------------------
# Anthropic


def test_amazon_refuses_to_switch_thinking_off_where_anthropic_takes_it() -> None:
    asked = {"messages": [user()], "reasoning_effort": "none"}
    host = "bedrock-runtime.eu-west-1.amazonaws.com"
    body, losses = go(asked, C, A, "us.anthropic.claude-opus-4-7-v1:0", host=host)
    assert "thinking" not in body
    assert "output_config" not in body
    assert "reasoning" not in paths(losses)
    body, _ = go(asked, C, A, "claude-opus-4-7", host="api.anthropic.com")
    assert body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        (OPUS, None, {"effort": "low"}),
        (FABLE, None, {"effort": "low"}),
        ("anthropic/claude-opus-5.5", None, {"effort": "low"}),
        (SONNET, {"type": "between_tools"}, None),
        (HAIKU, {"type": "disabled"}, None),
        ("claude-opus-4-8", {"type": "disabled"}, None),
    ],
)
@pytest.mark.parametrize("src", [C, R, G])
def test_thinking_is_forbidden_as_the_model_allows(model, thinking, config, src) -> None:
    by_format: dict[str, dict[str, Any]] = {
        C: {"messages": [user()], "reasoning_effort": "none"},
        R: {"input": "x", "reasoning": {"effort": "none"}},
        G: {
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}},
        },
    }
    body, losses = go(by_format[src], src, A, model)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config
    assert ("reasoning" in paths(losses)) is (thinking != {"type": "disabled"})


@pytest.mark.parametrize("model", [OPUS, SONNET, FABLE, "claude-fable-5-2", "claude-mythos-5-2"])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_tool_is_asked_for_that_cannot_be_forced(model, choice) -> None:
    asked = {"messages": [user()], "tools": [CHAT_TOOL], "tool_choice": choice}
    body, losses = go(asked, C, A, model)
    assert body["tool_choice"] == {"type": "auto"}
    assert "call of" in body["system"][-1]["text"]
    assert "tool_choice" in paths(losses)


def test_a_model_that_thinks_by_default_stops_for_a_forced_tool() -> None:
    asked = {"messages": [user()], "tools": [CHAT_TOOL], "tool_choice": "required"}
    body, losses = go(asked, C, A, "claude-opus-5")
    assert body["tool_choice"] == {"type": "any"}
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning" in paths(losses)


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-5", OPUS, SONNET, HAIKU])
def test_sampling_is_left_out(model) -> None:
    asked = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "generationConfig": {"temperature": 0.2, "topP": 0.9, "topK": 40},
    }
    body, losses = go(asked, G, A, model)
    assert not body.keys() & {"temperature", "top_p", "top_k"}
    assert {"temperature", "top_p", "top_k"} <= set(paths(losses))
    assert model in reasons(losses)
    older, _ = go(asked, G, A, "claude-sonnet-4-0")
    assert older["temperature"] == 0.2


def test_defaults_of_sampling_are_no_loss() -> None:
    body, losses = go({"messages": [user()], "temperature": 1, "top_p": 1}, C, A, OPUS)
    assert "temperature" not in body
    assert losses == []


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-opus-4-6", OPUS, HAIKU])
def test_the_last_message_is_the_users(model) -> None:
    asked = {"messages": [user(), {"role": "assistant", "content": "{"}]}
    body, losses = go(asked, C, A, model)
    assert body["messages"][-1] == user([{"type": "text", "text": "Continue."}])
    assert "messages" in paths(losses)
    older, _ = go(asked, C, A, "claude-sonnet-4-5")
    assert older["messages"][-1]["role"] == "assistant"


@pytest.mark.parametrize(
    ("model", "wanted", "sent"),
    [
        ("claude-sonnet-4-6", "xhigh", "high"),
        ("claude-sonnet-4-6", "max", "max"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
        (OPUS, "minimal", "low"),
    ],
)
def test_claude_gets_the_nearest_effort(model, wanted, sent) -> None:
    body, losses = go({"input": "x", "reasoning": {"effort": wanted}}, R, A, model)
    assert body["output_config"] == {"effort": sent}
    assert ("reasoning" in paths(losses)) is (sent != wanted and wanted != "minimal")


# -------------------------------------------------------------------------------------------------
# OpenAI


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.5", "gpt-5.6-terra", "gpt-6-luna"])
@pytest.mark.parametrize("thinking", [None, {"type": "adaptive"}])
def test_chat_takes_tools_without_reasoning(model, thinking) -> None:
    asked: dict[str, Any] = {"messages": [user()], "tools": [TOOL], "max_tokens": 100}
    if thinking:
        asked |= {"thinking": thinking, "output_config": {"effort": "high"}}
    body, losses = go(dict(asked), A, C, model)
    assert body["reasoning_effort"] == "none"
    assert "reasoning" in paths(losses)
    responses, _ = go(dict(asked), A, R, model)
    assert responses.get("reasoning", {}).get("effort") == ("high" if thinking else None)
    gateway, _ = go(dict(asked), A, C, f"openai/{model}", host="openrouter.ai")
    assert gateway.get("reasoning_effort") == ("high" if thinking else None)


@pytest.mark.parametrize("model", ["gpt-6-astra", "gpt-6.1-sol", "gpt-5.4-pro"])
def test_tools_of_responses_alone_are_refused_by_name(model) -> None:
    asked = {"messages": [user()], "tools": [TOOL], "max_tokens": 100}
    with pytest.raises(UnsupportedByTarget, match="openai_responses"):
        go(dict(asked), A, C, model)
    assert go(dict(asked), A, R, model)[0]["tools"]


USER_ID = '{"device_id": "' + "d" * 64 + '", "account_uuid": "0-0"}'


@pytest.mark.parametrize(("dst", "model"), [(C, "gpt-4o"), (R, "gpt-5.6-sol"), (C, "llama3.3")])
def test_another_vendors_user_id_leaves_as_a_digest(dst, model) -> None:
    asked = {"messages": [user()], "max_tokens": 9, "metadata": {"user_id": USER_ID}}
    body, losses = go(asked, A, dst, model)
    field = "user" if model == "llama3.3" else "safety_identifier"
    assert body[field] == hashlib.sha256(USER_ID.encode()).hexdigest()
    assert "dddd" not in str(body)
    assert len({"user", "safety_identifier"} & body.keys()) == 1
    assert "user" in paths(losses)


def test_openais_own_user_id_stays_between_its_formats() -> None:
    body, losses = go({"messages": [user()], "user": "u-1"}, C, R, "gpt-5.6-sol")
    assert body["safety_identifier"] == "u-1"
    assert losses == []


@pytest.mark.parametrize("model", ["gpt-5-mini", "o3", "o4-mini", "gpt-5.2"])
def test_reasoning_models_get_no_stop_and_no_penalties(model) -> None:
    asked = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "generationConfig": {
            "stopSequences": ["END"],
            "frequencyPenalty": 0.5,
            "presencePenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
            "thinkingConfig": {"thinkingBudget": 8192},
        },
    }
    body, losses = go(asked, G, C, model)
    refused = {"stop", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"}
    assert not body.keys() & refused
    assert refused <= set(paths(losses))
    plain, _ = go(asked, G, C, "gpt-4o")
    assert refused <= plain.keys()


def test_sampling_stays_without_reasoning() -> None:
    asked = {"input": "x", "temperature": 0.3, "reasoning": {"effort": "none"}}
    assert go(asked, R, C, "gpt-5.2")[0]["temperature"] == 0.3


@pytest.mark.parametrize(
    ("model", "wanted", "sent"),
    [
        ("gpt-5.4", "max", "xhigh"),
        ("gpt-5.1", "xhigh", "high"),
        ("gpt-5.6-sol", "max", "max"),
        ("gpt-5.3-codex", "none", "low"),
        ("gpt-5-pro", "low", "high"),
        ("gpt-6-astra", "none", "low"),
    ],
)
def test_gpt_gets_the_nearest_effort(model, wanted, sent) -> None:
    asked = {"messages": [user()], "reasoning_effort": wanted}
    body, losses = go(asked, C, R, model)
    assert body["reasoning"]["effort"] == sent
    assert ("reasoning" in paths(losses)) is (sent != wanted)


@pytest.mark.parametrize(
    ("dst", "model", "limit"),
    [(C, "gpt-4o", 16_384), (R, "gpt-4.1", 32_768), (G, "gemini-2.5-pro", 65_535)],
)
def test_the_output_limit_is_the_models(dst, model, limit) -> None:
    body, losses = go({"messages": [user()], "max_tokens": 128_000}, A, dst, model)
    assert str(limit) in str(body)
    assert "128000" not in str(body)
    assert "max_tokens" in paths(losses)


def test_tools_beyond_the_vendors_number_are_left_out() -> None:
    tools = [{**TOOL, "name": f"t{index}"} for index in range(130)]
    asked = {
        "messages": [user()],
        "max_tokens": 9,
        "tools": tools,
        "tool_choice": {"type": "tool", "name": "t129"},
    }
    body, losses = go(asked, A, C, "gpt-4o")
    names = [tool["function"]["name"] for tool in body["tools"]]
    assert len(names) == 128
    assert names[-1] == "t129"
    assert "tools" in paths(losses)


def test_media_that_the_model_does_not_read_are_left_out() -> None:
    part = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}
    asked = {"contents": [{"role": "user", "parts": [{"text": "x"}, part, part]}]}
    for dst, model in ((A, OPUS), (C, "gpt-5.2"), (R, "gpt-5.6-sol")):
        body, losses = go(dict(asked), G, dst, model)
        assert "AAAA" not in str(body)
        assert f"{model} takes no video" in reasons(losses)


def own_table(**facts: Any) -> FactTable:
    row = row_from({"models": ["gpt-4o"], "source": "own", "checked": "today", **facts})
    return built_in().with_rows([row])


def test_lengths_are_those_of_the_table() -> None:
    call = {"type": "tool_use", "id": "toolu_" + "x" * 60, "name": "f", "input": {}}
    asked = {
        "max_tokens": 9,
        "messages": [user(), {"role": "assistant", "content": [call]}, user()],
        "metadata": {"user_id": "me"},
    }
    for chars in (20, 40):
        table = own_table(call_id_chars=chars, user_chars=chars)
        body, _ = go(dict(asked), A, C, "gpt-4o", table=table)
        assert len(body["messages"][1]["tool_calls"][0]["id"]) <= chars
        assert len(body["safety_identifier"]) == chars


# -------------------------------------------------------------------------------------------------
# the table


def test_an_unknown_model_is_treated_like_its_family_and_the_flow_says_so() -> None:
    body, losses = go({"messages": [user()], "temperature": 0.5}, C, A, "claude-opus-9")
    assert "temperature" not in body
    assert "model" in paths(losses)


def test_a_model_of_no_family_keeps_everything() -> None:
    asked = {"messages": [user()], "max_tokens": 9, "temperature": 0.5, "stop_sequences": ["x"]}
    body, losses = go(asked, A, C, "llama3.3")
    assert (body["temperature"], body["stop"]) == (0.5, ["x"])
    assert losses == []


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("gpt-5-2025-08-07", "gpt-5"),
        ("openai/gpt-5.2-2025-12-11", "gpt-5.2"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-opus-4-5@20251101", "claude-opus-4.5"),
        ("models/gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
        ("Claude-Opus-5-5", "claude-opus-5.5"),
    ],
)
def test_names_with_prefixes_dates_and_versions(name, like) -> None:
    assert built_in().of(name) == built_in().of(like)
    assert built_in().of(name).known


@pytest.mark.parametrize(
    ("one", "other"),
    [("gpt-5", "gpt-5.1"), ("claude-opus-4", "claude-opus-4-5"), ("claude-opus-5", OPUS)],
)
def test_a_version_is_not_another(one, other) -> None:
    assert built_in().of(one) != built_in().of(other)


def test_own_rows_override_the_table_for_their_host() -> None:
    row = row_from(
        {
            "models": ["gpt-4o"],
            "hosts": ["*.example"],
            "max_output_tokens": 5,
            "source": "own",
            "checked": "today",
        }
    )
    table = built_in().with_rows([row])
    assert table.of("gpt-4o", "api.example").max_output_tokens == 5
    assert table.of("gpt-4o", "api.openai.com").max_output_tokens == 16_384
    target = TargetInfo(model="gpt-4o", host="api.example", table=table)
    body, _ = translate_request({"messages": [user()], "max_tokens": 9}, A, C, target=target)
    assert body["max_tokens"] == 5


@pytest.mark.parametrize(
    "wrong", [{"efforts": ["huge"]}, {"refuses": ["colour"]}, {"unknown_fact": True}]
)
def test_a_wrong_row_is_refused(wrong) -> None:
    with pytest.raises(ValueError):
        row_from({"models": ["x"], "source": "s", "checked": "d", **wrong})


def test_every_row_is_used_and_has_a_source() -> None:
    for row in built_in().rows:
        assert row.source.startswith("https://")
        assert row.facts
    assert FactTable([]).of("gpt-5") == FactTable([]).of("other")
