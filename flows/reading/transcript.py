"""A flow's conversation as Markdown, for a ticket or a note: turns, tool calls and results, the
answer.
"""

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
    """This flow is no conversation; the message says why."""


def transcript(flow: CompleteFlow) -> str:
    """The conversation as the client sees it.

    Raises:
        TranscriptError: the request is not a conversation, or its body was not kept.
    """
    side, row = flow.side("client", "forwarded"), flow.flow
    wire = format_of(row.client_format, side.url) if side else None
    if side is None or wire is None:
        raise TranscriptError("This request is no conversation with a model.")
    request, why = read_request(wire, side.url, flow.plain(side))
    if request is None:
        raise TranscriptError(why)
    parts = [
        f"# {row.requested_model or request.model or 'Conversation'}",
        "",
        _facts(flow),
        *_request(request),
    ]
    return printable("\n".join([*parts, *_answer(flow, side)])) + "\n"


def _facts(flow: CompleteFlow) -> str:
    row = flow.flow
    facts = [f"{row.started_at:%Y-%m-%d %H:%M:%S} UTC", f"flow {row.pk}"]
    facts += [f"provider {row.provider}"] if row.provider else []
    return f"_{' · '.join(facts)}_"


def _request(request: Request) -> Iterator[str]:
    if request.system:
        yield from ("", "## System", "")
        for text in request.system:
            yield from _block(text)
    if request.tools:
        yield from ("", "## Tools", "")
        yield from (f"- {_code_span(tool.name)}" for tool in request.tools)
    for turn in request.turns:
        yield from ("", f"## {_ROLES[turn.role]}", "")
        for block in turn.blocks:
            yield from _block(block)


def _answer(flow: CompleteFlow, client: FlowSide) -> Iterator[str]:
    side = flow.side("delivered", "upstream")
    if side is None:
        return
    name = flow.flow.client_format if side.side == "delivered" else flow.flow.provider_format
    wire = format_of(name or flow.flow.client_format, client.url)
    if wire is None:
        return
    answer = read_answer(wire, flow.plain(side), side.status_code)
    yield from ("", "## Assistant", "")
    for block in answer.blocks:
        yield from _block(block)
    yield from (f"_{line}_" for line in (answer.failure, answer.note) if line)
    if not answer.complete and not answer.note:
        yield "_The answer was cut off._"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text():
            yield from (_cut(block.text), "")
        case Thinking():
            yield from (
                "<details><summary>Thinking</summary>",
                "",
                _fenced(block.text),
                "",
                "</details>",
                "",
            )
        case ToolCall():
            yield from (
                f"**Calls** {_code_span(block.name)}",
                "",
                _fenced(_pretty(block.arguments), "json"),
                "",
            )
        case ToolResult():
            yield from ("**Failed**" if block.is_error else "**Result**", "")
            for part in block.content:
                yield from [_fenced(part.text), ""] if isinstance(part, Text) else _block(part)
        case Media():
            yield from (f"_{block.kind}: {block.title or block.media_type or 'attached'}_", "")
        case Foreign():
            yield from (f"_{block.kind}_", "")


def _pretty(arguments: Any) -> str:
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError, TypeError):
        return str(arguments)


def _fenced(text: str, language: str = "") -> str:
    """A fence longer than any inside."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{_cut(text)}\n{fence}"


def _code_span(text: str) -> str:
    """A name on one line that cannot end its own quotes."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    return (
        f"{ticks} {text} {ticks}".replace("\n", " ") if longest else f"`{text}`".replace("\n", " ")
    )


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= MAX_BLOCK_CHARS
        else f"{text[:MAX_BLOCK_CHARS]}\n… ({len(text)} characters)"
    )
