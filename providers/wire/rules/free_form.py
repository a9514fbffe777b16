"""OpenAI's free-form (`custom`) tools, kept as such or offered as functions.

https://platform.openai.com/docs/guides/function-calling#custom-tools
"""

from __future__ import annotations

from typing import Any

from providers.wire.core.ir import JsonObject, Losses, Tool
from providers.wire.rules.toolnames import CUSTOM_SCHEMA

_PLAIN: JsonObject = {"type": "text"}


def keep_free_form(tool: Tool) -> None:
    """Keep a free-form tool for Chat Completions, which nests the grammar one level deeper."""
    wanted = _format(tool)
    if wanted.get("type") == "grammar":
        inner = {key: wanted[key] for key in ("syntax", "definition") if key in wanted}
        tool.free_form = {"type": "grammar", "grammar": wanted.get("grammar") or inner}
    else:
        tool.free_form = _PLAIN


def as_function(tool: Tool, losses: Losses) -> None:
    """Offer a free-form tool as a function with one text argument, in place.

    The model must know the grammar that its input follows, so the description has it.
    """
    wanted = _format(tool)
    grammar: Any = wanted.get("grammar") or wanted
    reason = "A free-form tool is offered as a function with one text argument."
    if wanted.get("type") == "grammar" and grammar.get("definition"):
        text = f"The input follows this {grammar.get('syntax', 'lark')} grammar:"
        parts = [tool.description, f"{text}\n{grammar['definition']}"]
        tool.description = "\n\n".join(part for part in parts if part)
        reason += " Its grammar is in the description, and the vendor does not enforce it."
    losses.add(f"tools.{tool.name}", reason)
    tool.schema, tool.custom, tool.strict = CUSTOM_SCHEMA, False, None


def _format(tool: Tool) -> JsonObject:
    """Return a tool's format: Responses has it under `format`, Chat as the extras themselves."""
    extras = tool.extras or {}
    nested = extras.get("format")
    return nested if isinstance(nested, dict) else extras
