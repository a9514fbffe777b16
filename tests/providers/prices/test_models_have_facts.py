"""Each current model of the price catalogue has facts of its own, so that none is forgotten."""

from __future__ import annotations

import pytest
from genai_prices.data_snapshot import get_snapshot

from providers.wire.facts.table import built_in

VENDORS = ("anthropic", "openai", "google", "x-ai")
# What other endpoints serve: no conversation is translated to them.
OTHER_KINDS = (
    "embedding",
    "image",
    "realtime",
    "transcribe",
    "tts",
    "whisper",
    "live",
    "voice",
    "moderation",
    "davinci",
    "babbage",
    "curie",
    "computer-use",
    "gemini-flash-1.5",
    "gemini-pro-1.5",
)

# Nothing is documented of them but their family.
FAMILY_IS_ENOUGH = {"gpt-rosalind-discovery", "gpt-rosalind-research"}


@pytest.mark.parametrize("vendor", VENDORS)
def test_current_models_have_a_row(vendor) -> None:
    provider = next(item for item in get_snapshot().providers if item.id == vendor)
    names = [model.id for model in provider.models if not model.deprecated and model.id != "ada"]
    chat = [name for name in names if not any(kind in name for kind in OTHER_KINDS)]
    assert len(chat) > 15
    unknown = {name for name in chat if not built_in().of(name).known}
    assert unknown <= FAMILY_IS_ENOUGH
    assert all(built_in().of(name).vendor for name in chat)


def test_a_model_without_a_row_would_be_found() -> None:
    assert not built_in().of("claude-opus-9").known
    assert not built_in().of("gpt-9-nova").known
