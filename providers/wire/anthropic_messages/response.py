"""Anthropic Messages responses, buffered: body ↔ `Response`, usage, stop reasons, errors.

Source: Anthropic API reference, "Create a Message" (Returns), "Errors", "Handling stop reasons".
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.anthropic_messages.block_encode import encode_block
from providers.wire.anthropic_messages.request_decode import decode_blocks
from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import (
    Block,
    Citation,
    Finish,
    FinishReason,
    Foreign,
    JsonObject,
    Losses,
    Media,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from providers.wire.core.shape import an_object, count, name_of, without
from providers.wire.rules.replay import sealed_thinking
from providers.wire.tools.web_search import SEALED_SOURCE

# https://docs.anthropic.com/en/api/handling-stop-reasons
_FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "content_filter",
}
_STOP_REASON: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "other": "end_turn",
}
_KNOWN: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)


def new_id() -> str:
    """Return an id in Anthropic's style, for a response without one."""
    return f"msg_{secrets.token_hex(12)}"


def decode_response(body: JsonObject) -> Response:
    """Decode a message.

    Raises `MalformedBody` for a body that is no message.
    """
    if body.get("type") != "message" and "content" not in body:
        raise MalformedBody("The response is no message: it has no content.")
    blocks = decode_blocks(body.get("content"), "content")
    called = any(isinstance(block, ToolCall) for block in blocks)
    return Response(
        ANTHROPIC_MESSAGES,
        id=name_of(body.get("id")),
        model=name_of(body.get("model")),
        blocks=blocks,
        finish=after_calls(decode_finish(body), called),
        usage=decode_usage(body.get("usage")),
        extras=without(body, _KNOWN) or {},
    )


def decode_finish(body: JsonObject) -> Finish:
    """Decode an object with `stop_reason`, `stop_sequence` and `stop_details`."""
    raw = body.get("stop_reason")
    details = body.get("stop_details")
    detail = details.get("explanation") if isinstance(details, dict) else None
    return Finish(
        _FINISH.get(str(raw), "other") if raw else "stop", raw, body.get("stop_sequence"), detail
    )


def after_calls(finish: Finish, called: bool) -> Finish:
    """Return the end of a response that may hold calls; some servers say `end_turn` after them."""
    if called and finish.reason in ("stop", "other"):
        return replace(finish, reason="tool_calls")
    return finish


def decode_usage(raw: Any) -> Usage | None:
    """Decode usage.

    Anthropic's `input_tokens` excludes cached tokens, ours includes them.
    """
    if not isinstance(raw, dict):
        return None
    fresh = count(raw.get("input_tokens"))
    read = count(raw.get("cache_read_input_tokens"))
    write = count(raw.get("cache_creation_input_tokens"))
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
    total = None
    if fresh is not None:
        total = fresh + (read or 0) + (write or 0)
    usage = Usage(
        input_tokens=total,
        output_tokens=count(raw.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=write,
    )
    by_ttl = raw.get("cache_creation")
    if isinstance(by_ttl, dict):
        usage.cache_write_1h_tokens = count(by_ttl.get("ephemeral_1h_input_tokens"))
    details = raw.get("output_tokens_details")
    if isinstance(details, dict):
        usage.reasoning_tokens = count(details.get("thinking_tokens"))
    tier = raw.get("service_tier")
    if isinstance(tier, str):
        usage.service_tier = tier
    return usage


def encode_usage(usage: Usage | None) -> JsonObject:
    """Encode usage. The two required fields are 0 while they are unknown."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    read = usage.input_tokens or 0
    cached = usage.cached_tokens or 0
    written = usage.cache_write_tokens or 0
    # Some gateways count a token as both written and read; the sum must stay the prompt.
    if cached + written > read >= cached:
        written = read - cached
    body: JsonObject = {
        "input_tokens": max(read - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.cache_write_1h_tokens is not None:
        one_hour = usage.cache_write_1h_tokens
        body["cache_creation"] = {
            "ephemeral_1h_input_tokens": one_hour,
            "ephemeral_5m_input_tokens": max(written - one_hour, 0),
        }
    if usage.service_tier is not None:
        body["service_tier"] = usage.service_tier
    if usage.reasoning_tokens is not None:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return body


def encode_response(response: Response, context: AnswerContext) -> JsonObject:
    """Encode a `message` object."""
    own = response.source == ANTHROPIC_MESSAGES
    content: list[JsonObject] = []
    for block in response.blocks:
        content.extend(encode_answer_block(block, response.losses))
    body: JsonObject = {
        "id": response.id or new_id(),
        "type": "message",
        "role": "assistant",
        "model": response.model or context.model or "",
        "content": content,
        **encode_finish(response.finish),
        "usage": encode_usage(response.usage),
    }
    # OpenAI's refusals are a text of their own kind and end with `stop`.
    if refused(response.blocks) and body["stop_reason"] == "end_turn":
        body["stop_reason"] = "refusal"
    if own:
        body.update(response.extras)
    return body


def refused(blocks: list[Block]) -> bool:
    """Return whether the response holds a refusal in OpenAI's sense."""
    return any(isinstance(block, Text) and block.refusal for block in blocks)


def encode_finish(finish: Finish) -> JsonObject:
    """Encode `stop_reason` and `stop_sequence`."""
    reason = _STOP_REASON[finish.reason]
    # Several words have one meaning; Anthropic's own stays what it was.
    if finish.raw in _FINISH and _FINISH[finish.raw] == finish.reason:
        reason = finish.raw
    body: JsonObject = {"stop_reason": reason, "stop_sequence": finish.stop_sequence}
    if finish.detail and reason == "refusal":
        details = {"type": "refusal", "category": None, "explanation": finish.detail}
        body["stop_details"] = details
    return body


def encode_answer_block(block: Block, losses: Losses) -> list[JsonObject]:
    """Encode a block of a response.

    Seals other vendors' signatures for the client to return, unlike in a request.
    """
    if isinstance(block, Thinking):
        return [encode_thinking(block)]
    if isinstance(block, Text):
        body: JsonObject = {"type": "text", "text": block.text}
        encoded = [encode_citation(citation, block.text) for citation in block.citations]
        if citations := [raw for raw in encoded if raw]:
            body["citations"] = citations
        return [body]
    if isinstance(block, Media):
        losses.add("content", f"Anthropic's responses hold no {block.kind}s; it was dropped.")
        return []
    if isinstance(block, Foreign) and block.vendor != ANTHROPIC_MESSAGES:
        losses.add("content", f"Anthropic has no {block.kind}.")
        return []
    content: list[JsonObject] = []
    encode_block(block, content, losses)
    return content


def encode_thinking(block: Thinking) -> JsonObject:
    """Encode a thinking block, or a redacted one if it has no text."""
    signature = block.signature or ""
    if block.vendor != ANTHROPIC_MESSAGES:
        signature = sealed_thinking(block)
    if block.redacted and not block.text:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": block.text, "signature": signature}


def encode_citation(citation: Citation, text: str) -> JsonObject | None:
    """Encode a citation: Anthropic's own unchanged, one with a URL as a web search result."""
    if citation.vendor == ANTHROPIC_MESSAGES:
        return citation.raw
    if not citation.url:
        return None
    cited = citation.cited_text
    if cited is None and citation.start is not None and citation.end is not None:
        cited = text[citation.start : citation.end]
    # `encrypted_index` is required; it refers to a search at Anthropic, and there was none. By
    # this mark such a citation is taken out again before Anthropic reads it.
    return {
        "type": "web_search_result_location",
        "cited_text": cited or "",
        "encrypted_index": SEALED_SOURCE,
        "title": citation.title,
        "url": citation.url,
    }


def message_of(event: JsonObject) -> JsonObject:
    """Return the `message` of a `message_start` event."""
    return an_object(event.get("message"), "message")
