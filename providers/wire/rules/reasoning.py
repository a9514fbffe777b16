"""Amount of reasoning in the vendors' four notations.

OpenAI names an effort, Anthropic a token budget or (newer models) `adaptive` with an effort, Google
a budget (2.5) or a level (3). Budgets for efforts are those of Google's own OpenAI-compatible
endpoint.
"""

from __future__ import annotations

import re
from typing import Final

from providers.wire.core.ir import JsonObject, Losses, Reasoning

_BUDGET_OF_EFFORT: Final = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 63999,
}
_EFFORT_UP_TO: Final = (
    (0, "none"),
    (1023, "minimal"),
    (4096, "low"),
    (16384, "medium"),
    (32768, "high"),
)
MIN_ANTHROPIC_BUDGET: Final = 1024

# Anthropic models that take a budget only; newer ones take `adaptive` and an effort.
_BUDGET_ONLY: Final = re.compile(
    r"claude-(3|sonnet-4(?!-[6-9])|haiku-4|opus-4(?!-[6-9])|sonnet-3|haiku-3|opus-3)"
)
_NO_REASONING_OPENAI: Final = re.compile(r"(^|/)(gpt-3|gpt-4|chatgpt-4o)")
_REASONING_OPENAI: Final = re.compile(r"(^|/)(o\d|gpt-5(?!.*chat)|codex)")


def effort_of_budget(budget_tokens: int) -> str:
    """Return the effort that corresponds to a budget."""
    return next((effort for limit, effort in _EFFORT_UP_TO if budget_tokens <= limit), "xhigh")


def openai_always_reasons(model: str | None) -> bool:
    """Return whether an OpenAI model reasons and therefore refuses sampling parameters."""
    return bool(model and _REASONING_OPENAI.search(model))


def to_effort(reasoning: Reasoning | None, model: str | None, losses: Losses) -> str | None:
    """Return OpenAI's effort, or None if the model decides or cannot reason."""
    if reasoning is None:
        return None
    effort = reasoning.effort
    if reasoning.enabled is False:
        effort = "none"
    elif effort is None and reasoning.budget_tokens is not None and reasoning.budget_tokens >= 0:
        effort = effort_of_budget(reasoning.budget_tokens)
    # Older models answer an unknown parameter with a 400.
    if model and _NO_REASONING_OPENAI.search(model):
        if effort not in (None, "none"):
            losses.add("reasoning", f"{model} does not reason.")
        return None
    nearest = _nearest_effort(effort, model or "")
    if nearest != effort:
        losses.add("reasoning", f"{model} knows no effort {effort!r}; it became {nearest!r}.")
    return nearest


def _nearest_effort(effort: str | None, model: str) -> str | None:
    """Return the nearest effort that an OpenAI model knows; the oldest know fewer."""
    if effort is None:
        return None
    # https://platform.openai.com/docs/guides/reasoning: o-series low to high, GPT-5 also minimal,
    # GPT-5.1 and later `none` instead.
    if re.search(r"(^|/)o\d", model):
        return {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    if re.search(r"(^|/)gpt-5($|-(?!chat))", model):
        return {"none": "minimal", "xhigh": "high", "max": "high"}.get(effort, effort)
    if re.search(r"(^|/)gpt-5\.", model):
        return {"minimal": "low"}.get(effort, effort)
    return effort


def _is_forbidden(reasoning: Reasoning) -> bool:
    return reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget_tokens == 0


def _effort_or_budget(reasoning: Reasoning) -> str | None:
    """Return the effort, or the one that corresponds to the budget; None if both are unknown."""
    budget = reasoning.budget_tokens
    if reasoning.effort is None and budget is not None and budget > 0:
        return effort_of_budget(budget)
    return reasoning.effort


def to_anthropic(
    reasoning: Reasoning | None, model: str | None, max_tokens: int | None, losses: Losses
) -> tuple[JsonObject | None, str | None]:
    """Return Anthropic's `thinking` object and `output_config.effort`."""
    if reasoning is None:
        return None, None
    if _is_forbidden(reasoning):
        return {"type": "disabled"}, None
    thinking: JsonObject
    if model and _BUDGET_ONLY.search(model):
        budget = _anthropic_budget(reasoning, max_tokens, losses)
        if budget is None:
            return None, None
        thinking, effort = {"type": "enabled", "budget_tokens": budget}, None
    else:
        # https://docs.anthropic.com/en/docs/build-with-claude/effort
        thinking, effort = {"type": "adaptive"}, _effort_or_budget(reasoning)
        if effort == "minimal":
            effort = "low"
    if reasoning.include:
        thinking["display"] = "summarized"
    return thinking, effort


def _anthropic_budget(reasoning: Reasoning, max_tokens: int | None, losses: Losses) -> int | None:
    """Return a budget that fits into `max_tokens`, or None if none does.

    The budget counts towards max_tokens and must be smaller:
    https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
    """
    budget = reasoning.budget_tokens
    if budget is None or budget < 0:
        budget = _BUDGET_OF_EFFORT.get(reasoning.effort or "medium", 8192)
    budget = max(budget, MIN_ANTHROPIC_BUDGET)
    if max_tokens is None or budget < max_tokens:
        return budget
    if max_tokens <= MIN_ANTHROPIC_BUDGET:
        losses.add("reasoning", f"The response's {max_tokens} tokens leave no room for thinking.")
        return None
    losses.add(
        "reasoning", f"The thinking budget was cut to fit into {max_tokens} tokens of response."
    )
    return max(MIN_ANTHROPIC_BUDGET, max_tokens // 2)


def to_google(reasoning: Reasoning | None, model: str | None) -> JsonObject | None:
    """Return Google's `thinkingConfig`: https://ai.google.dev/gemini-api/docs/thinking."""
    if reasoning is None:
        return None
    # Pro models cannot be kept from thinking; they get the least.
    lowest = "low" if "pro" in (model or "") else "minimal"
    if _is_forbidden(reasoning):
        if _takes_levels(model):
            return {"thinkingLevel": lowest}
        return {"thinkingBudget": _within(0, model)}
    config: JsonObject = {}
    if reasoning.include is not False:
        config["includeThoughts"] = True
    if _takes_levels(model):
        level = _effort_or_budget(reasoning)
        if level is not None:
            level = {"minimal": lowest, "xhigh": "high", "max": "high"}.get(level, level)
            config["thinkingLevel"] = level
    elif reasoning.budget_tokens is not None:
        config["thinkingBudget"] = _within(reasoning.budget_tokens, model)
    elif reasoning.effort is not None:
        budget = _BUDGET_OF_EFFORT.get(reasoning.effort, 8192)
        config["thinkingBudget"] = _within(budget, model)
    elif reasoning.adaptive:
        # -1 leaves the amount to the model.
        config["thinkingBudget"] = -1
    return config


def _within(budget_tokens: int, model: str | None) -> int:
    """Limit the budget to the model's range (Gemini API, "Thinking", table of budgets)."""
    if "2.5-pro" in (model or ""):
        return min(max(budget_tokens, 128), 32768)
    if "2.5-flash-lite" in (model or "") and budget_tokens > 0:
        return min(max(budget_tokens, 512), 24576)
    return min(budget_tokens, 24576)


def _takes_levels(model: str | None) -> bool:
    return bool(model and re.search(r"gemini-(?:[3-9]|\d\d)", model))
