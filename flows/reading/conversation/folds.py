"""The system prompt and the tools of a request, which a page shows on demand."""

from __future__ import annotations

from dataclasses import dataclass

from flows.display.units import plural
from flows.reading.conversation.item import Item, Written, total_bytes
from flows.reading.conversation.item_text import as_code, code, indented, utf8_bytes
from providers.wire.core.ir import Request, Tool
from providers.wire.core.jsonio import dumps_text


@dataclass(slots=True)
class Fold:
    """Long content that is shown on demand.

    `same` compares it with the previous request; None without one.
    """

    title: str
    size_bytes: int
    same: bool | None
    items: list[Item]


def system_fold(request: Request, same: bool | None) -> Fold | None:
    """Return the system prompt; None without one."""
    if not request.system:
        return None
    items = [as_code("text", block.text) for block in request.system]
    return Fold("System prompt", total_bytes(items), same, items)


def tools_fold(request: Request, same: bool | None) -> Fold | None:
    """Return the declarations of all tools; None without any."""
    if not request.tools:
        return None
    items = [_tool(tool) for tool in request.tools]
    return Fold(plural(len(items), "tool"), total_bytes(items), same, items)


def _tool(tool: Tool) -> Item:
    return Item(
        "tool", lambda: Written(code(_tool_text(tool))), tool.name, tool_size(tool), folded=True
    )


def tool_size(tool: Tool) -> int:
    """Return about the bytes that a tool's declaration takes in the request."""
    declaration = tool.raw
    if not declaration:
        declaration = {
            "name": tool.name,
            "description": tool.description,
            "schema": tool.schema,
        }
    return utf8_bytes(dumps_text(declaration))


def _tool_text(tool: Tool) -> str:
    if tool.raw is not None:
        return indented(tool.raw)
    schema = indented(tool.schema) if tool.schema else ""
    return f"{tool.description or ''}\n\n{schema}".strip()
