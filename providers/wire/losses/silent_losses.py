"""Fields that this product knows and that a target has no place for."""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
    format_label,
)
from providers.wire.core.ir import (
    CACHE_MARKING,
    Block,
    JsonObject,
    Media,
    Request,
    Text,
    ToolCall,
    ToolResult,
)

_VENDORS: Final = {
    GOOGLE_GENERATE: "Google",
    OPENAI_CHAT: "OpenAI",
    OPENAI_RESPONSES: "OpenAI",
}


def list_known_fields(request: Request, body: JsonObject, dst: WireFormatName) -> None:
    """Add a loss for each known field that `dst` cannot express and no encoder mentions.

    `request` is decoded and not yet prepared for `dst`; `body` is what the client sent.
    """
    label, losses = format_label(dst), request.losses
    if dst == ANTHROPIC_MESSAGES:
        if request.verbosity is not None:
            losses.add("verbosity", f"{label} has no such parameter.")
        if request.cache_key is not None:
            losses.add("prompt_cache_key", f"{label} has no such parameter.")
    if request.metadata and dst == ANTHROPIC_MESSAGES:
        losses.add("metadata", f"{label} takes the id of the end user alone.")
    if request.store and dst != OPENAI_RESPONSES:
        losses.add("store", "The response is stored nowhere, and cannot be fetched later.")
    if request.source == OPENAI_RESPONSES and body.get("truncation") == "auto":
        losses.add("truncation", f"{label} cuts no conversation that is too long.")
    if dst != ANTHROPIC_MESSAGES and _has_inner_marks(request):
        vendor = _VENDORS.get(dst, label)
        losses.add("cache_control", f"{vendor} caches prompts by itself; the marks were dropped.")
    for turn in request.turns:
        for block in turn.blocks:
            kind = type(block)
            # Most blocks are texts without citations, and calls.
            if kind is Text:
                if block.citations:  # type: ignore[union-attr]
                    _list_citations(block, request, dst)  # type: ignore[arg-type]
            elif kind is not ToolCall:
                _list_block(block, request, dst)


def _has_inner_marks(request: Request) -> bool:
    """Check for cache marks outside of messages, and inside the results of tools."""
    if request.source not in CACHE_MARKING:
        return False
    marked: list[Any] = [*request.system, *request.tools]
    if any(item.cache for item in marked):
        return True
    for turn in request.turns:
        for block in turn.blocks:
            if type(block) is ToolResult:
                for inner in block.content:
                    if inner.cache:
                        return True
    return False


def _list_block(block: Block, request: Request, dst: WireFormatName) -> None:
    kind = type(block)
    if kind is Text:
        if block.citations:  # type: ignore[union-attr]
            _list_citations(block, request, dst)  # type: ignore[arg-type]
    elif kind is Media:
        _list_media(block, request, dst)  # type: ignore[arg-type]
    elif kind is ToolResult:
        for inner in block.content:  # type: ignore[union-attr]
            if type(inner) is not Text or inner.citations:
                _list_block(inner, request, dst)


def _list_citations(block: Text, request: Request, dst: WireFormatName) -> None:
    if any(citation.vendor != dst for citation in block.citations):
        request.losses.add(
            "messages.citations", f"{format_label(dst)} takes no citations in a request."
        )


def _list_media(block: Media, request: Request, dst: WireFormatName) -> None:
    is_openai = dst in (OPENAI_CHAT, OPENAI_RESPONSES)
    if block.detail not in (None, "auto") and not is_openai:
        request.losses.add(
            "messages.detail", f"{format_label(dst)} chooses an image's resolution itself."
        )
    source = (block.extras or {}).get("source")
    if isinstance(source, dict) and isinstance(source.get("content"), list):
        others = [part for part in source["content"] if part.get("type") != "text"]
        if others:
            request.losses.add(
                "messages.source.content", "Only the text of a document's parts was sent."
            )
