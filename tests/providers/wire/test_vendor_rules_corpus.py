"""Recorded requests of real clients, translated to current models: no vendor refuses one.

Each target is asked by a part of the requests; `CCPROXY_TEST_DEEP=1` takes all of them.
"""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from providers.base.errors import UnsupportedByTarget
from providers.base.names import WireFormatName
from providers.wire.core.base import TargetInfo
from providers.wire.detect import client_format, is_stream, model_of
from providers.wire.translate import translate_request
from tests.fakes.vendor_rules import refusals, rules, values_at

from .asking import CHAT_TOOL, A, C, G, R, user

TARGETS: dict[str, WireFormatName] = {
    "claude-opus-5-5": A,
    "claude-sonnet-5-5": A,
    "claude-haiku-5-5": A,
    "claude-fable-5-2": A,
    "claude-opus-4-7": A,
    "claude-sonnet-4-6": A,
    "gpt-5.6-sol": C,
    "gpt-5.4": C,
    "gpt-6-luna": C,
    "gpt-4o": C,
    "o3": C,
    "gpt-6-astra": R,
    "gpt-5.1": R,
    "gemini-4-argon": G,
    "gemini-3.8-flash": G,
    "gemini-3-pro-preview": G,
    "gemini-2.5-pro": G,
}
DEEP = os.environ.get("CCPROXY_TEST_DEEP") == "1"
SAMPLE = 1 if DEEP else 5


class Asked(NamedTuple):
    """A recorded request."""

    name: str
    format: WireFormatName
    path: str
    body: dict[str, Any]


@cache
def recorded(corpus: Path) -> tuple[Asked, ...]:
    found: list[Asked] = []
    for file in sorted((corpus / "clients").glob("*.json")):
        for request in json.loads(file.read_text(encoding="utf-8")):
            src = client_format(request["path"])
            if src is not None and isinstance(request["body"], dict):
                found.append(Asked(file.stem, src, request["path"], request["body"]))
    return tuple(found)


def refused(asked: Asked, model: str) -> list[str]:
    dst = TARGETS[model]
    target = TargetInfo(model=model, stream=is_stream(asked.format, asked.path, asked.body))
    body, _ = translate_request(
        copy.deepcopy(asked.body),
        asked.format,
        dst,
        target=target,
        model=model_of(asked.path, asked.body),
    )
    return refusals(dst, model, body)


@pytest.mark.corpus
@pytest.mark.parametrize("model", TARGETS)
def test_no_vendor_refuses_a_recorded_request(corpus, model) -> None:
    every = [asked for asked in recorded(corpus) if asked.format != TARGETS[model]]
    offset = list(TARGETS).index(model)
    chosen = every[offset % SAMPLE :: SAMPLE]
    assert chosen
    for asked in chosen:
        assert refused(asked, model) == [], asked.name


def hard_request(src: WireFormatName) -> Asked:
    """Return a request with everything that current models refuse."""
    tool = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    bodies: dict[WireFormatName, dict[str, Any]] = {
        A: {
            "max_tokens": 900_000,
            "temperature": 0.2,
            "top_p": 0.5,
            "top_k": 3,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "d" * 200},
            "messages": [user(), {"role": "assistant", "content": "Sure"}],
            "thinking": {"type": "enabled", "budget_tokens": 60_000},
            "tools": [{"name": "f", "input_schema": tool["parameters"]}],
        },
        C: {
            "messages": [user(), {"role": "assistant", "content": "Sure"}],
            "temperature": 0.2,
            "reasoning_effort": "xhigh",
            "tools": [CHAT_TOOL],
            "tool_choice": "required",
            "max_completion_tokens": 900_000,
            "user": "u" * 300,
        },
        R: {
            "input": [user(), {"role": "assistant", "content": "Sure"}],
            "temperature": 0.2,
            "top_p": 0.5,
            "reasoning": {"effort": "none"},
            "tools": [{"type": "function", **tool}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 900_000,
        },
        G: {
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "tools": [{"functionDeclarations": [tool]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {
                "temperature": 1.5,
                "topP": 0.2,
                "topK": 7,
                "stopSequences": ["END"],
                "presencePenalty": 1.0,
                "frequencyPenalty": 1.0,
                "responseLogprobs": True,
                "logprobs": 2,
                "maxOutputTokens": 900_000,
                "thinkingConfig": {"thinkingBudget": 0},
            },
        },
    }
    return Asked(src, src, "/v1beta/models/m:generateContent" if src == G else "/", bodies[src])


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("src", [A, C, R, G])
def test_no_vendor_refuses_what_older_models_took(src, model) -> None:
    if src != TARGETS[model]:
        assert refused(hard_request(src), model) == []


def test_a_model_that_takes_tools_on_responses_alone_is_refused_by_name() -> None:
    target = TargetInfo(model="gpt-6-astra")
    with pytest.raises(UnsupportedByTarget, match="openai_responses"):
        translate_request(hard_request(A).body, A, C, target=target)


def test_the_vendor_refuses_what_it_documents() -> None:
    body = {
        "temperature": 0.5,
        "tool_choice": {"type": "any"},
        "messages": [{"role": "assistant", "content": "x"}],
        "tools": [{"name": "bad name"}],
    }
    found = " ".join(refusals(A, "claude-opus-5-5", body))
    for field in ("temperature", "tool_choice.type", "messages[-1].role", "tools[].name"):
        assert field in found
    assert list(values_at({"a": [{"b": 1}, {"b": 2}]}, "a[-1].b")) == [2]
    assert all(rule["source"].startswith("https://") for rule in rules())
