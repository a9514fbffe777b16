"""Largest output of models whose API demands a limit with each request.

Anthropic's `max_tokens` is required, and a guess that is too small cuts an agent's response in the
middle of a tool call. Source: https://docs.anthropic.com/en/docs/about-claude/models/overview,
"Max output".
"""

from __future__ import annotations

import re
from typing import Final

UNKNOWN_MODEL_TOKENS: Final = 8192
"""The limit for models that are in no family; the smallest one among current models."""

# First match wins. A family's later models never had a smaller limit than its earlier ones.
_ANTHROPIC_FAMILIES: Final = (
    (re.compile(r"claude-3-7-sonnet|claude-sonnet-3-7"), 64_000),
    (re.compile(r"claude-3-5|claude-(?:sonnet|haiku)-3-5"), 8192),
    (re.compile(r"claude-(?:3|2|instant)"), 4096),
    (re.compile(r"claude-opus-4(?:-[01])?(?:-\d{8})?(?:$|[@:-](?!\d))"), 32_000),
    (re.compile(r"claude-opus-4-5"), 64_000),
    (re.compile(r"claude-opus-"), 128_000),
    (re.compile(r"claude-(?:sonnet|haiku|\w+)-\d"), 64_000),
)


def anthropic_output_limit(model: str | None) -> int | None:
    """Return the largest `max_tokens` of a model in tokens, or None for a model of no family.

    Names with a gateway's prefix or a date count too: "us.anthropic.claude-opus-4-1-20250805-v1:0".
    """
    name = (model or "").lower().replace(".", "-")
    return next((limit for family, limit in _ANTHROPIC_FAMILIES if family.search(name)), None)
