"""The headline of a flow: translation and losses, the credential, and how a response failed."""

from __future__ import annotations

from typing import Any

import pytest

from flows.models import Flow
from flows.reading.sentence import sentence, translated
from flows.sides import HookTrace
from flows.templatetags.flows import worth_a_badge


def headline(traces: tuple[HookTrace, ...] = (), **fields: Any) -> str:
    flow = Flow(method="POST", path="/v1/chat/completions", state="done", status_code=200, **fields)
    return " · ".join(part.text for part in sentence(flow, traces))


TRANSLATED: dict[str, Any] = {
    "action": "transform",
    "client_format": "openai_chat",
    "provider_format": "anthropic_messages",
}


def test_a_translation_and_its_losses_are_named() -> None:
    losses = [["seed", "no such field"], ["logprobs", ""], ["n", ""]]
    assert "translated OpenAI Chat → Anthropic, 3 losses ·" in headline(**TRANSLATED, losses=losses)
    assert "Anthropic, 1 loss ·" in headline(**TRANSLATED, losses=losses[:1])
    assert "translated OpenAI Chat → Anthropic ·" in headline(**TRANSLATED)
    assert translated(Flow(**TRANSLATED | {"action": "passthrough"})) == ""
    assert translated(Flow(**TRANSLATED | {"provider_format": "openai_chat"})) == ""


def test_a_credential_alone_is_no_change() -> None:
    flow = Flow(hooks_changed=["inject_auth"])
    assert worth_a_badge(flow) == []
    trace = HookTrace(0, "outbound", "inject_auth", "ran", changed=["header:x-api-key"])
    assert "hooks set only the credential" in headline((trace,), hooks_changed=["inject_auth"])
    assert "hooks set only the credential" in headline(hooks_changed=["inject_auth"])
    both = Flow(hooks_changed=["inject_auth", "add_system"])
    assert worth_a_badge(both) == ["inject_auth", "add_system"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("The client closed the connection.", "200 cut off"),
        ("provider x (h:443) closed the connection in the middle of its response", "200 cut off"),
        ("Overloaded (overloaded_error)", "200 failed"),
    ],
)
def test_only_a_cut_response_is_called_cut(error: str, said: str) -> None:
    flow = Flow(method="POST", path="/v1/messages", state="error", status_code=200, error=error)
    assert sentence(flow, ())[-1].text == said
