"""A flow's conversation as Markdown, for a ticket or a note: messages, tool calls, results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow
from flows.display.safe_text import printable
from flows.reading.decoded import format_of, read_answer, read_request
from flows.sides import FlowSide
from providers.base.errors import CcproxyError
from providers.wire.core.ir import (
    Block,
    Foreign,
    Media,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

MAX_BLOCK_CHARS: Final = 100_000
_ROLES: Final = {"user": "User", "assistant": "Assistant", "system": "System"}


class TranscriptError(CcproxyError):
    """A flow without a readable conversation; the message gives the reason."""


def transcript(flow: CompleteFlow) -> str:
    """Write the conversation as the client sees it.

    Raises:
        TranscriptError: the request is not a conversation, or its body was not kept.
    """
    row = flow.flow
    side = flow.side("client", "forwarded")
    wire = format_of(row.client_format, side.url) if side else None
    if side is None or wire is None:
        raise TranscriptError("This request is not a conversation with a model.")
    request, problem = read_request(wire, side.url, flow.plain(side))
    if request is None:
        raise TranscriptError(problem)
    title = row.requested_model or request.model or "Conversation"
    lines = [f"# {title}", "", _facts(flow)]
    lines += _request(request)
    lines += _answer(flow, side)
    text = "\n".join(lines)
    return f"{printable(text)}\n"


def _facts(flow: CompleteFlow) -> str:
    row = flow.flow
    facts = [f"{row.started_at:%Y-%m-%d %H:%M:%S} UTC", f"flow {row.pk}"]
    if row.provider:
        facts.append(f"provider {row.provider}")
    return f"_{' · '.join(facts)}_"


def _request(request: Request) -> Iterator[str]:
    if request.system:
        yield from ("", "## System", "")
        for text in request.system:
            yield from block_lines(text)
    if request.tools:
        yield from ("", "## Tools", "")
        for tool in request.tools:
            yield f"- {_code_span(tool.name)}"
    for turn in request.turns:
        yield from ("", f"## {_ROLES[turn.role]}", "")
        for block in turn.blocks:
            yield from block_lines(block)


def _answer(flow: CompleteFlow, client: FlowSide) -> Iterator[str]:
    row = flow.flow
    side = flow.side("delivered", "upstream")
    if side is None:
        return
    # Only the delivered response is in the client's format; the provider's may be another one.
    recorded = row.client_format if side.side == "delivered" else row.provider_format
    wire = format_of(recorded or row.client_format, client.url)
    if wire is None:
        return
    answer = read_answer(wire, flow.plain(side), side.status_code)
    yield from ("", "## Assistant", "")
    for block in answer.blocks:
        yield from block_lines(block)
    for line in (answer.failure, answer.note):
        if line:
            yield f"_{line}_"
    if not answer.complete and not answer.note:
        yield "_The response was cut off._"


def block_lines(block: Block) -> Iterator[str]:
    """Yield the Markdown of one block of a message."""
    match block:
        case Text():
            yield from (_cut(block.text), "")
        case Thinking():
            yield from ("<details><summary>Thinking</summary>", "", _fenced(block.text))
            yield from ("", "</details>", "")
        case ToolCall():
            yield from (f"**Calls** {_code_span(block.name)}", "")
            yield from (_fenced(_pretty(block.arguments), "json"), "")
        case ToolResult():
            yield from _result(block)
        case Media():
            label = block.title or block.media_type or "attached"
            yield from (f"_{block.kind}: {label}_", "")
        case Foreign():
            yield from (f"_{block.kind}_", "")


def _result(result: ToolResult) -> Iterator[str]:
    yield from ("**Failed**" if result.is_error else "**Result**", "")
    for part in result.content:
        if isinstance(part, Text):
            yield from (_fenced(part.text), "")
        else:
            yield from block_lines(part)


def _pretty(arguments: Any) -> str:
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError, TypeError):
        return str(arguments)


def _fenced(text: str, language: str = "") -> str:
    """Put a text into a fence longer than any fence inside, so that none inside ends it."""
    fence = "`" * (_longest_run(text, at_least=3, default=2) + 1)
    return f"{fence}{language}\n{_cut(text)}\n{fence}"


def _code_span(text: str) -> str:
    """Put a name on one line between backticks that it cannot end itself.

    Examples: "ls" → "`ls`", "a`b" → "`` a`b ``".
    """
    line = text.replace("\n", " ")
    longest = _longest_run(text, at_least=1, default=0)
    if not longest:
        return f"`{line}`"
    ticks = "`" * (longest + 1)
    return f"{ticks} {line} {ticks}"


def _longest_run(text: str, *, at_least: int, default: int) -> int:
    runs = re.findall(f"`{{{at_least},}}", text)
    return max(map(len, runs), default=default)


def _cut(text: str) -> str:
    if len(text) <= MAX_BLOCK_CHARS:
        return text
    return f"{text[:MAX_BLOCK_CHARS]}\n… ({len(text)} characters)"
