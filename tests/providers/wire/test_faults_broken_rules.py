"""Requests in the provider's own format: the flow says what the model will refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from providers.wire.facts.table import built_in
from providers.wire.fitting.broken_rules import broken_rules

from .asking import TOOL, A, C, G, R, user


def paths(body: dict[str, Any], wire_format: Any, model: str) -> list[str]:
    before = copy.deepcopy(body)
    found = broken_rules(body, wire_format, built_in().of(model), model)
    assert body == before
    assert all(model in sentence and "not changed" in sentence for _, sentence in found)
    return [path for path, _ in found]


ANTHROPIC = {
    "temperature": 0.5,
    "max_tokens": 500_000,
    "thinking": {"type": "disabled"},
    "tool_choice": {"type": "any"},
    "output_config": {"effort": "none"},
    "messages": [user(), {"role": "assistant", "content": "x"}],
}
CHAT = {"stop": ["x"], "reasoning_effort": "max", "tools": [TOOL], "messages": [user()]}
GOOGLE = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}, "temperature": 0.1}}


@pytest.mark.parametrize(
    ("body", "wire_format", "model", "want"),
    [
        (
            ANTHROPIC,
            A,
            "claude-opus-5-5",
            [
                "temperature",
                "max_tokens",
                "thinking.type",
                "tool_choice",
                "output_config.effort",
                "messages",
            ],
        ),
        (CHAT, C, "gpt-5.4", ["stop", "reasoning_effort", "tools"]),
        (CHAT, C, "gpt-6-astra", ["stop", "tools"]),
        ({"reasoning": {"effort": "max"}}, R, "gpt-5.1", ["reasoning.effort"]),
        (
            GOOGLE,
            G,
            "gemini-4-argon",
            ["generationConfig.temperature", "generationConfig.thinkingConfig.thinkingLevel"],
        ),
    ],
)
def test_each_broken_rule_is_named(body, wire_format, model, want) -> None:
    assert paths(dict(body), wire_format, model) == want


@pytest.mark.parametrize("model", ["llama3.3", "claude-opus-9"])
def test_nothing_is_said_of_a_model_without_a_row(model) -> None:
    assert paths(dict(ANTHROPIC), A, model) == []


@pytest.mark.parametrize("body", [None, [], "x", {"thinking": 1, "messages": {}, "tools": 3}])
def test_any_body_is_looked_at(body) -> None:
    facts = built_in().of("claude-opus-5-5")
    for wire_format in (A, C, R, G):
        found = broken_rules(body, wire_format, facts, "claude-opus-5-5")
        assert all(path and sentence for path, sentence in found)


def test_defaults_break_no_rule() -> None:
    assert paths({"temperature": 1, "messages": [user()]}, A, "claude-opus-5-5") == []
