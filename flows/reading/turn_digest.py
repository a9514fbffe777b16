"""What of a request is the same as in the one before it. Pure.

Clients write one and the same past message in several ways: as a string or as a list with one text,
with or without `cache_control` (Claude Code 2.1 moves it from turn to turn). Requests are compared
without those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from providers.wire.core.ir import (
    Block,
    Media,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.core.jsonio import dumps, loads

BILLING_HEADER = "x-anthropic-billing-header:"
"""Claude Code's first system block: its checksum differs on every request and it is no part of the
prompt.
"""


def digest(value: Any) -> bytes:
    """A digest of a JSON value that does not depend on the order of keys."""
    try:
        data = dumps(_sorted(value))
    except (ValueError, TypeError, RecursionError):
        data = repr(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()


def turn_digest(turn: Turn) -> bytes:
    """What a turn says, apart from the way it is written."""
    return digest([turn.role, turn.name, [said(block) for block in turn.blocks]])


def said(block: Block) -> Any:
    """What a block says, without cache marks."""
    match block:
        case Text():
            return ["text", block.text]
        case ToolCall():
            return ["call", block.id, block.name, _arguments(block.arguments)]
        case ToolResult():
            return ["result", block.call_id, [said(part) for part in block.content], block.response]
        case Thinking():
            return ["thinking", block.text, block.signature]
        case Media():
            return ["media", block.kind, block.data, block.url, block.file_id, block.text]
        case _:
            return ["foreign", block.kind, _unmarked(block.raw)]


def same_turns(now: Sequence[Turn], before: Sequence[Turn]) -> int:
    """How many turns at the start are the same."""
    count = 0
    for turn, old in zip(now, before, strict=False):
        if turn_digest(turn) != turn_digest(old):
            break
        count += 1
    return count


def same_system(now: Request, before: Request) -> bool:
    """Whether the system prompt is the same; the billing header does not count."""
    return _system(now) == _system(before)


def same_tools(now: Request, before: Request) -> bool:
    """Whether the same tools are offered in the same order."""
    return [tool_digest(tool) for tool in now.tools] == [tool_digest(tool) for tool in before.tools]


def tool_digest(tool: Tool) -> bytes:
    """What a tool is, without cache marks."""
    return digest([tool.name, tool.namespace, tool.description, tool.schema, _unmarked(tool.raw)])


def _system(request: Request) -> list[str]:
    return [block.text for block in request.system if not block.text.startswith(BILLING_HEADER)]


def _arguments(arguments: Any) -> Any:
    if isinstance(arguments, str):
        try:
            return loads(arguments)
        except (ValueError, RecursionError):
            return arguments
    return arguments


def _unmarked(raw: Any) -> Any:
    return (
        {key: value for key, value in raw.items() if key != "cache_control"}
        if isinstance(raw, dict)
        else raw
    )


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
