"""Amount of reasoning in the vendors' four notations.

OpenAI names an effort, Anthropic a token budget or (newer models) `adaptive` with an effort, Google
a budget (2.5) or a level (3). Budgets for efforts are those of Google's own OpenAI-compatible
endpoint. The facts about the model say which notation and which levels it takes.
"""

from __future__ import annotations

from typing import Final

from providers.wire.core.ir import JsonObject, Losses, Reasoning
from providers.wire.facts.model_facts import ModelFacts

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
_UNKNOWN_GOOGLE_BUDGET: Final = (0, 24576)


def effort_of_budget(budget_tokens: int) -> str:
    """Return the effort that corresponds to a budget."""
    return next((effort for limit, effort in _EFFORT_UP_TO if budget_tokens <= limit), "xhigh")


def to_effort(
    reasoning: Reasoning | None, model: str | None, facts: ModelFacts, losses: Losses
) -> str | None:
    """Return OpenAI's effort, or None if the model decides or cannot reason."""
    if reasoning is None:
        return None
    effort = reasoning.effort
    if reasoning.enabled is False:
        effort = "none"
    elif effort is None and reasoning.budget_tokens is not None and reasoning.budget_tokens >= 0:
        effort = effort_of_budget(reasoning.budget_tokens)
    # Models without the parameter answer it with a 400.
    if facts.thinks == "never" or "reasoning" in facts.refuses:
        if effort not in (None, "none"):
            says = "does not reason" if facts.thinks == "never" else "takes no effort"
            losses.add("reasoning", f"{model} {says}.")
        return None
    return _nearest(effort, model, facts, losses)


def _nearest(
    effort: str | None, model: str | None, facts: ModelFacts, losses: Losses
) -> str | None:
    if effort is None:
        return None
    nearest = facts.nearest_effort(effort)
    if nearest != effort:
        losses.add("reasoning", f"{model} knows no effort {effort!r}; it became {nearest!r}.")
    return nearest


def _is_forbidden(reasoning: Reasoning) -> bool:
    return reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget_tokens == 0


def _effort_or_budget(reasoning: Reasoning) -> str | None:
    """Return the effort, or the one that corresponds to the budget; None if both are unknown."""
    budget = reasoning.budget_tokens
    if reasoning.effort is None and budget is not None and budget > 0:
        return effort_of_budget(budget)
    return reasoning.effort


def to_anthropic(
    reasoning: Reasoning | None,
    model: str | None,
    facts: ModelFacts,
    max_tokens: int | None,
    losses: Losses,
) -> tuple[JsonObject | None, str | None]:
    """Return Anthropic's `thinking` object and `output_config.effort`."""
    if reasoning is None:
        return None, None
    if _is_forbidden(reasoning):
        return _without_thinking(model, facts, losses)
    if facts.thinks == "never":
        losses.add("reasoning", f"{model} does not think.")
        return None, None
    thinking: JsonObject
    if facts.thinking and "adaptive" not in facts.thinking:
        budget = _anthropic_budget(reasoning, max_tokens, losses)
        if budget is None:
            return None, None
        thinking, effort = {"type": "enabled", "budget_tokens": budget}, None
    else:
        # https://docs.anthropic.com/en/docs/build-with-claude/effort
        thinking, effort = {"type": "adaptive"}, _effort_or_budget(reasoning)
        if effort == "minimal":
            effort = "low"
        effort = _nearest(effort, model, facts, losses)
    if reasoning.include:
        thinking["display"] = "summarized"
    return thinking, effort


def _without_thinking(
    model: str | None, facts: ModelFacts, losses: Losses
) -> tuple[JsonObject | None, str | None]:
    """Return what comes nearest to no thinking, which newer models refuse to go without.

    https://platform.claude.com/docs/en/models/opus-5-5/migration-guide
    """
    if facts.thinking_off == "absent":
        return None, None
    if facts.thinking_off == "lower effort":
        losses.add("reasoning", f"{model} always thinks; its effort is the lowest.")
        return None, facts.nearest_effort("low")
    if facts.thinking_off == "between_tools":
        losses.add("reasoning", f"{model} still thinks between tool calls.")
    return {"type": facts.thinking_off}, None


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


def to_google(
    reasoning: Reasoning | None, model: str | None, facts: ModelFacts, losses: Losses
) -> JsonObject | None:
    """Return Google's `thinkingConfig`: https://ai.google.dev/gemini-api/docs/thinking."""
    if reasoning is None:
        return None
    forbidden = _is_forbidden(reasoning)
    if facts.thinks == "never":
        if not forbidden:
            losses.add("reasoning", f"{model} does not think.")
        return None
    takes_levels = "level" in facts.thinking
    if forbidden:
        if takes_levels:
            return {"thinkingLevel": _level("none", model, facts, losses)}
        return {"thinkingBudget": _within(0, model, facts, losses)}
    config: JsonObject = {}
    if reasoning.include is not False:
        config["includeThoughts"] = True
    if takes_levels:
        wanted = _effort_or_budget(reasoning)
        if wanted is not None:
            config["thinkingLevel"] = _level(wanted, model, facts, losses)
    elif reasoning.budget_tokens is not None:
        config["thinkingBudget"] = _within(reasoning.budget_tokens, model, facts, losses)
    elif reasoning.effort is not None:
        budget = _BUDGET_OF_EFFORT.get(reasoning.effort, 8192)
        config["thinkingBudget"] = _within(budget, model, facts, losses)
    elif reasoning.adaptive:
        # -1 leaves the amount to the model.
        config["thinkingBudget"] = -1
    return config


def _level(effort: str, model: str | None, facts: ModelFacts, losses: Losses) -> str:
    """Return the thinking level nearest to an effort. All models that take levels have "high"."""
    level = "high" if effort in ("xhigh", "max") else facts.nearest_effort(effort)
    if level != effort:
        losses.add("reasoning", f"{model} knows no level {effort!r}; it became {level!r}.")
    return level


def _within(budget_tokens: int, model: str | None, facts: ModelFacts, losses: Losses) -> int:
    """Limit the budget to the model's range (Gemini API, "Thinking", table of budgets)."""
    least, most = facts.thinking_budget or _UNKNOWN_GOOGLE_BUDGET
    if facts.smallest_budget is not None and budget_tokens > 0:
        least = facts.smallest_budget
    # -1 leaves the amount to the model.
    if budget_tokens < 0:
        return budget_tokens
    nearest = min(max(budget_tokens, least), most)
    if nearest != budget_tokens:
        losses.add(
            "reasoning",
            f"{model} thinks with {least} to {most} tokens; {budget_tokens} became {nearest}.",
        )
    return nearest
