"""Costs: each tier at its own price, by address or vendor, own prices first, and never from the
network.
"""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest

from providers.prices.cost import Call, OwnPrice, context_window_tokens, cost_of, table_version
from providers.wire.core.ir import Usage

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("prices must not come from the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def usd(usage: Usage, model: str, url: str = "", kind: str = "") -> float | None:
    cost = cost_of(usage, Call(model, url, "p", kind))
    return None if cost is None else float(cost.usd)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(MILLION, 0), 1.0),
        (Usage(0, MILLION), 5.0),
        (Usage(MILLION, 0, cached_tokens=MILLION), 0.1),
        (Usage(MILLION, 0, cache_write_tokens=MILLION), 1.25),
        (Usage(MILLION, 0, cache_write_tokens=MILLION, cache_write_1h_tokens=MILLION), 2.0),
        (Usage(MILLION, MILLION, reasoning_tokens=MILLION), 6.0),  # reasoning is part of the output
        (Usage(0, 0), 0.0),
        (Usage(None, 5), None),
        (Usage(5, None), None),
    ],
)
def test_every_tier_of_a_model_has_its_price(usage: Usage, expected: float | None) -> None:
    assert usd(usage, "claude-haiku-4-5", "https://api.anthropic.com/v1/messages") == expected


@pytest.mark.parametrize(
    ("model", "url", "kind", "known"),
    [
        ("claude-sonnet-4-5", "https://api.anthropic.com/v1/messages?beta=true", "", True),
        ("claude-sonnet-4-5", "https://gateway.example.org/v1/messages", "anthropic", True),
        ("claude-sonnet-4-5[1m]", "https://api.anthropic.com/v1/messages", "anthropic", True),
        ("gpt-5-mini", "https://api.openai.com/v1/responses", "openai_responses", True),
        ("gpt-5-mini", "https://chatgpt.com/backend-api/codex/responses", "openai_responses", True),
        (
            "gemini-2.5-flash",
            "https://generativelanguage.googleapis.com/v1beta/models/x:generateContent",
            "",
            True,
        ),
        (
            "models/gemini-2.5-pro",
            "https://cloudcode-pa.googleapis.com/v1internal:generateContent",
            "gemini",
            True,
        ),
        (
            "anthropic/claude-haiku-4.5",
            "https://openrouter.ai/api/v1/chat/completions",
            "openai",
            True,
        ),
        ("glm-4.6", "https://api.z.ai/api/anthropic/v1/messages", "zai", True),
        ("deepseek-chat", "https://api.deepseek.com/anthropic/v1/messages", "deepseek", True),
        ("claude-sonnet-4-5", "http://127.0.0.1:11434/v1/messages", "anthropic", False),
        ("qwen3-coder", "https://gateway.example.org/v1/messages", "anthropic", False),
        ("gpt-5-mini", "https://gateway.example.org/v1", "perplexity_pro", False),
        ("", "https://api.openai.com/v1/responses", "openai", False),
        ("\x00" * 300, "not an address", "openai", False),
        ("gpt-5-mini", "http://[", "", False),
    ],
)
def test_a_model_is_found_by_its_address_or_its_vendor(
    model: str, url: str, kind: str, known: bool
) -> None:
    assert (usd(Usage(1000, 10), model, url, kind) is not None) == known


def test_the_price_list_is_named() -> None:
    cost = cost_of(Usage(1, 1), Call("gpt-5-mini", "https://api.openai.com/v1/responses"))
    assert cost is not None
    assert cost.version == table_version()
    assert table_version().startswith("genai-prices 0.")


def test_own_prices_are_tried_in_order_and_missing_tiers_cost_as_input() -> None:
    prices = [
        OwnPrice(1, "other", "*", Decimal(100), Decimal(100)),
        OwnPrice(2, "", "local-*", Decimal(2), Decimal(4), cache_write_usd=Decimal(3)),
        OwnPrice(3, "", "*", Decimal(50), Decimal(50)),
    ]
    usage = Usage(MILLION, MILLION, cached_tokens=MILLION // 2, cache_write_tokens=MILLION // 4)
    cost = cost_of(usage, Call("local-llama", "http://127.0.0.1/", "box"), prices)
    assert cost is not None
    assert (cost.usd, cost.version) == (Decimal("6.25"), "own price 2")


def test_the_context_window_is_known_where_the_table_says_it() -> None:
    assert (
        context_window_tokens(Call("claude-haiku-4-5", "https://api.anthropic.com/v1/messages"))
        == 200_000
    )
    assert context_window_tokens(Call("nonesuch", "https://api.anthropic.com/v1/messages")) is None
