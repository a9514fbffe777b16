"""The setting of providers and rules for tools that run at the client's vendor."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interceptor.config.snapshot.schema import RuleConf
from interceptor.transform.decision import Decision
from interceptor.transform.translation import begin
from providers.base.errors import UnsupportedByTarget
from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_RESPONSES
from providers.provider_conf import ProviderConf

PROVIDER = ProviderConf("an", "anthropic", "a.test", path="/v1/messages")
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
BODY = {"model": "claude-opus-4-6", "input": "x", "tools": [FUNCTION, {"type": "web_search"}]}


def tools_sent(provider: str, rule: str | None) -> list[str]:
    conf = replace(PROVIDER, server_tools=provider)
    ruled = None if rule is None else RuleConf(1, "r", "transform", server_tools=rule)
    decision = Decision(
        "transform", "", ruled, conf, host="a.test", provider_format=ANTHROPIC_MESSAGES
    )
    _, sent = begin(decision, OPENAI_RESPONSES, "/v1/responses", BODY)
    body: dict[str, Any] = json.loads(sent)
    return [tool["name"] for tool in body["tools"]]


@pytest.mark.parametrize(
    ("provider", "rule", "names"),
    [
        ("", None, ["f"]),
        ("drop", None, ["f"]),
        ("map", None, ["f", "web_search"]),
        ("map", "", ["f", "web_search"]),
        ("map", "drop", ["f"]),
        ("refuse", "map", ["f", "web_search"]),
    ],
)
def test_the_rules_word_stands_above_the_providers(
    provider: str, rule: str | None, names: list[str]
) -> None:
    assert tools_sent(provider, rule) == names


def test_a_request_may_be_refused() -> None:
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        tools_sent("refuse", None)
