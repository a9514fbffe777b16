"""Content blocks of a Messages request, from neutral ones.

Source: Anthropic API reference, "Create a Message".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.core.ir import (
    Block,
    Citation,
    JsonObject,
    Losses,
    Media,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.wire.core.jsonio import loads

_IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")


def encode_block(block: Block, content: list[JsonObject], losses: Losses) -> None:
    """Append the content blocks of a block: usually one, none if the format cannot express it."""
    if isinstance(block, Text):
        # A letter at the end spares the look at a long text.
        if block.text[-1:].strip() or block.text.strip():
            content.append(text_block(block))
        elif block.text:
            losses.add("messages", "Text of nothing but white space is refused and was dropped.")
    elif isinstance(block, ToolCall):
        content.append(_tool_use(block, losses))
    elif isinstance(block, ToolResult):
        content.append(_tool_result(block, losses))
    elif isinstance(block, Thinking):
        content += thinking_blocks(block)
    elif isinstance(block, Media):
        content += _media(block, losses)
    elif block.vendor == ANTHROPIC_MESSAGES:
        content.append(block.raw)
    else:
        losses.add("messages", f"Anthropic has no {block.kind}.")


def text_block(block: Text) -> JsonObject:
    """Encode a text with its cache mark and Anthropic's own citations."""
    body: JsonObject = {"type": "text", "text": block.text}
    if block.cache is block.extras is None and not block.citations:
        return body
    if block.cache:
        body["cache_control"] = block.cache
    # Other vendors' citations have no form that Anthropic accepts in a request.
    if block.citations and (citations := _own_citations(block.citations)):
        body["citations"] = citations
    return {**body, **block.extras} if block.extras else body


def _own_citations(citations: Sequence[Citation]) -> list[JsonObject]:
    own = [citation.raw for citation in citations if citation.vendor == ANTHROPIC_MESSAGES]
    return [raw for raw in own if raw]


def _tool_use(block: ToolCall, losses: Losses) -> JsonObject:
    arguments: Any = block.arguments
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            arguments = {"_raw": arguments}
            losses.add("tool calls", "Arguments that are no JSON are sent under the key _raw.")
        if not isinstance(arguments, dict):
            arguments = {"value": arguments}
            losses.add("tool calls", "Arguments that are no object are sent under the key value.")
    body: JsonObject = {"type": "tool_use", "id": block.id, "name": block.name, "input": arguments}
    if block.cache:
        body["cache_control"] = block.cache
    return {**body, **block.extras} if block.extras else body


def _tool_result(block: ToolResult, losses: Losses) -> JsonObject:
    body: JsonObject = {"type": "tool_result", "tool_use_id": block.call_id}
    content: list[JsonObject] = []
    if len(block.content) == 1 and (text := _bare_text(block.content[0])):
        body["content"] = text
    else:
        for inner in block.content:
            encode_block(inner, content, losses)
    if content:
        body["content"] = content
        # A single text without citations or cache marks is sent as a plain string.
        only = content[0]
        if len(content) == 1 and len(only) == 2 and "text" in only:
            body["content"] = only["text"]
    if block.is_error is not None:
        body["is_error"] = block.is_error
    if block.cache:
        body["cache_control"] = block.cache
    return {**body, **block.extras} if block.extras else body


def _bare_text(block: Block) -> str | None:
    """Return a text that has nothing beside it, as the result of nearly every tool."""
    if type(block) is not Text or block.citations or block.cache or block.extras:
        return None
    return block.text if block.text.strip() else None


def thinking_blocks(block: Thinking) -> list[JsonObject]:
    """Encode reasoning that Anthropic signed; none that it would refuse."""
    if block.raw is not None and block.vendor == ANTHROPIC_MESSAGES:
        return [block.raw]
    # Anthropic checks the signature and refuses reasoning without one:
    # https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks
    if block.vendor != ANTHROPIC_MESSAGES or not block.signature:
        return []
    if block.redacted:
        return [{"type": "redacted_thinking", "data": block.signature}]
    return [{"type": "thinking", "thinking": block.text, "signature": block.signature}]


def _media(block: Media, losses: Losses) -> list[JsonObject]:
    source = _source(block, losses)
    if source is None:
        return []
    kind = "image" if block.kind == "image" else "document"
    body: JsonObject = {"type": kind, "source": source}
    if block.title and kind == "document":
        body["title"] = block.title
    if block.cache:
        body["cache_control"] = block.cache
    return [{**body, **block.extras} if block.extras else body]


def _source(block: Media, losses: Losses) -> JsonObject | None:
    media_type = (block.media_type or "").split(";")[0].strip().lower()
    if block.kind in ("audio", "video"):
        losses.add("messages", f"Anthropic takes no {block.kind}; it was dropped.")
        return None
    if block.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": block.text}
    if block.file_id is not None:
        return {"type": "file", "file_id": block.file_id}
    if block.url is not None and (block.kind == "image" or media_type in ("", "application/pdf")):
        return {"type": "url", "url": block.url}
    if block.kind == "image" and media_type not in _IMAGE_TYPES:
        losses.add(
            "messages",
            f"Anthropic takes no image of type {media_type or 'unknown'}; it was dropped.",
        )
        return None
    if block.kind == "document" and media_type != "application/pdf":
        losses.add(
            "messages",
            f"Anthropic takes no document of type {media_type or 'unknown'}; it was dropped.",
        )
        return None
    return {"type": "base64", "media_type": media_type, "data": block.data or ""}
