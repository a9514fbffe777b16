"""Requests to the client's own vendor, without what other vendors' responses left in the history.

A response that ccproxy translated puts marks into the client's history: sealed reasoning, ids that
carry a signature. The vendor refuses such a request, so they are taken out. Bodies without marks
are not touched. Sources of the refusals:

* Anthropic: "Invalid `signature` in `thinking` block",
  https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks
* OpenAI: `invalid_encrypted_content`, https://github.com/openai/codex/issues/17541; ids over 40
  (Chat) and 64 (Responses) characters, https://github.com/vercel/ai/issues/8132
* Google: calls without a signature, https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.ir import JsonObject, Losses
from providers.wire.marks.google_history import signed_contents
from providers.wire.marks.marked_ids import plain_ids
from providers.wire.rules.replay import ID_MARKS, PACKED, SEAL
from providers.wire.tools.web_search import OWN_RESULT, is_own_search

_IDS: Final = tuple(mark.encode() for mark in ID_MARKS)
_SEARCH: Final = OWN_RESULT.encode()
_CALLS: Final = (b"functionCall", b"function_call")
_MARKS: Final[dict[WireFormatName, tuple[bytes, ...]]] = {
    ANTHROPIC_MESSAGES: (SEAL.encode(), _SEARCH, *_IDS),
    OPENAI_CHAT: _IDS,
    OPENAI_RESPONSES: (SEAL.encode(), _SEARCH, *_IDS),
    GOOGLE_GENERATE: (PACKED.encode(), *_IDS, *_CALLS),
}
# Servers of other models do not sign their reasoning.
_UNSIGNED: Final = re.compile(rb'"signature":\s*""')
_CLAUDE: Final = re.compile(r"claude")
_NO_OWN: Final = "Reasoning of earlier turns means something only to the vendor that signed it."


def may_have_marks(body: bytes, wire_format: WireFormatName) -> bool:
    """Search a plain body for the bytes of any mark; most have none and are forwarded as they are.

    A text may have the same bytes; `without_marks` tells.
    """
    if any(mark in body for mark in _MARKS[wire_format]):
        return True
    return wire_format == ANTHROPIC_MESSAGES and _UNSIGNED.search(body) is not None


def without_marks(
    body: JsonObject, wire_format: WireFormatName, model: str | None
) -> tuple[JsonObject, Losses]:
    """Return the body for the client's own vendor, and what was left out.

    The same object if nothing is to change; the given body is never changed.
    """
    losses = Losses()
    cleaned = _CLEANERS[wire_format](body, model or "", losses)
    return cleaned, losses


def _anthropic(body: JsonObject, model: str, losses: Losses) -> JsonObject:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    checks = _CLAUDE.search(model) is not None
    cleaned: list[Any] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            cleaned.append(message)
            continue
        kept = [_anthropic_part(part) for part in content if not _is_others(part, checks)]
        if len(kept) < len(content):
            losses.add("messages.thinking", _NO_OWN)
        # Anthropic refuses a message without content.
        if kept or not content:
            is_same = _same(kept, content)
            cleaned.append(message if is_same else {**message, "content": kept})
    if _same(cleaned, messages):
        return body
    changed = {**body, "messages": cleaned}
    if _lacks_thinking(changed):
        losses.add("thinking", "The last tool call came without its thinking block, so it is off.")
        del changed["thinking"]
    return changed


def _anthropic_part(part: Any) -> Any:
    """Return a part without marks in its ids, and without citations of others' searches."""
    part = plain_ids(part)
    citations = part.get("citations") if isinstance(part, dict) else None
    if not isinstance(citations, list):
        return part
    kept = [one for one in citations if not _is_others_citation(one)]
    return part if len(kept) == len(citations) else {**part, "citations": kept or None}


def _is_others_citation(citation: Any) -> bool:
    index = citation.get("encrypted_index") if isinstance(citation, dict) else None
    return isinstance(index, str) and index.startswith(SEAL)


def _is_others(part: Any, checks: bool) -> bool:
    """Check for reasoning or a search that Anthropic did not make.

    `checks` says that it reads signatures.
    """
    if not isinstance(part, dict):
        return False
    if is_own_search(part.get("id")) or is_own_search(part.get("tool_use_id")):
        return True
    if part.get("type") not in ("thinking", "redacted_thinking"):
        return False
    signature = part.get("data" if part["type"] == "redacted_thinking" else "signature")
    if isinstance(signature, str) and signature.startswith(SEAL):
        return True
    return checks and not signature


def _lacks_thinking(body: JsonObject) -> bool:
    """Check whether thinking with a budget is on, and the tool loop has lost its thinking block."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    for message in reversed(body["messages"]):
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else []
        kinds = [part.get("type") for part in parts if isinstance(part, dict)]
        if isinstance(message, dict) and message.get("role") == "assistant":
            thinks = kinds[:1] in (["thinking"], ["redacted_thinking"])
            return "tool_use" in kinds and not thinks
        if "tool_result" not in kinds:
            return False
    return False


def _chat(body: JsonObject, model: str, losses: Losses) -> JsonObject:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    cleaned = [_chat_message(message) for message in messages]
    return body if _same(cleaned, messages) else {**body, "messages": cleaned}


def _chat_message(message: Any) -> Any:
    message = plain_ids(message)
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(calls, list):
        return message
    cleaned = [plain_ids(call) for call in calls]
    return message if _same(cleaned, calls) else {**message, "tool_calls": cleaned}


def _responses(body: JsonObject, model: str, losses: Losses) -> JsonObject:
    items = body.get("input")
    if not isinstance(items, list):
        return body
    cleaned = [plain_ids(item) for item in items if not _is_others_reasoning(item)]
    if len(cleaned) < len(items):
        losses.add("input.reasoning", _NO_OWN)
    return body if _same(cleaned, items) else {**body, "input": cleaned}


def _is_others_reasoning(item: Any) -> bool:
    """Check for reasoning or a search that OpenAI did not make."""
    if not isinstance(item, dict):
        return False
    if is_own_search(item.get("id")):
        return True
    if item.get("type") != "reasoning":
        return False
    encrypted = item.get("encrypted_content")
    return isinstance(encrypted, str) and encrypted.startswith(SEAL)


def _google(body: JsonObject, model: str, losses: Losses) -> JsonObject:
    inner = body.get("request")
    if isinstance(inner, dict) and "contents" not in body:
        changed = signed_contents(inner, model)
        return body if changed is inner else {**body, "request": changed}
    return signed_contents(body, model)


def _same(new: list[Any], old: list[Any]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


_CLEANERS: Final[dict[WireFormatName, Callable[[JsonObject, str, Losses], JsonObject]]] = {
    ANTHROPIC_MESSAGES: _anthropic,
    OPENAI_CHAT: _chat,
    OPENAI_RESPONSES: _responses,
    GOOGLE_GENERATE: _google,
}
