"""Digests of messages, tools and system prompts, to find what two requests have in common. Pure.

Clients write the same earlier message in several ways: as a string or as a list with one text, with
or without `cache_control` (Claude Code 2.1 moves it from message to message). Digests leave these
differences out. Example:

    {"role": "user", "content": "Hi"}
    {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {...}}]}

Both decode to one `Turn` with the text "Hi", and `turn_digest` gives one value for both.
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
"""Start of Claude Code's first system block. Its checksum differs on every request, and the vendor
does not count it as part of the prompt.
"""


def digest(value: Any) -> bytes:
    """Return a digest of a JSON value that does not depend on the order of keys.

    Example: `{"a": 1, "b": 2}` and `{"b": 2, "a": 1}` have one digest.
    """
    try:
        data = dumps(_sorted(value))
    except (ValueError, TypeError, RecursionError):
        data = repr(value).encode("utf-8", "surrogatepass")
    return digest_of_json(data)


def digest_of_json(encoded: bytes) -> bytes:
    """Return the digest of a JSON value that is encoded already, its keys in order."""
    return hashlib.blake2b(encoded, digest_size=16).digest()


def turn_digest(turn: Turn) -> bytes:
    """Return a digest of a message's content, apart from the way it is written."""
    contents = [block_content(block) for block in turn.blocks]
    return digest([turn.role, turn.name, contents])


def block_content(block: Block) -> Any:
    """Return a block's content as JSON without cache marks."""
    match block:
        case Text():
            return ["text", block.text]
        case ToolCall():
            return ["call", block.id, block.name, _arguments(block.arguments)]
        case ToolResult():
            parts = [block_content(part) for part in block.content]
            return ["result", block.call_id, parts, block.response]
        case Thinking():
            return ["thinking", block.text, block.signature]
        case Media():
            return ["media", block.kind, block.data, block.url, block.file_id, block.text]
        case _:
            return ["foreign", block.kind, _unmarked(block.raw)]


def common_turns(now: Sequence[Turn], before: Sequence[Turn]) -> int:
    """Count the messages at the start that both requests have.

    Example: `[a, b, c, d]` after `[a, b, x]` → 2.
    """
    count = 0
    for turn, earlier in zip(now, before, strict=False):
        if turn_digest(turn) != turn_digest(earlier):
            break
        count += 1
    return count


def same_system(now: Request, before: Request) -> bool:
    """Compare two system prompts; the billing header does not count."""
    return _system(now) == _system(before)


def same_tools(now: Request, before: Request) -> bool:
    """Compare two lists of tools, order included."""
    if len(now.tools) != len(before.tools):
        return False
    pairs = zip(now.tools, before.tools, strict=True)
    return all(tool_digest(tool) == tool_digest(earlier) for tool, earlier in pairs)


def tool_digest(tool: Tool) -> bytes:
    """Return a digest of a tool's declaration without cache marks."""
    raw = _unmarked(tool.raw)
    return digest([tool.name, tool.namespace, tool.description, tool.schema, raw])


def _system(request: Request) -> list[str]:
    texts = [block.text for block in request.system]
    return [text for text in texts if not text.startswith(BILLING_HEADER)]


def _arguments(arguments: Any) -> Any:
    # Chat Completions carries arguments as JSON text, and clients write it with other spaces.
    if not isinstance(arguments, str):
        return arguments
    try:
        return loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _unmarked(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, value in raw.items() if key != "cache_control"}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
