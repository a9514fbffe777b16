"""Conversation ids: requests whose first user text is the same belong together."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

ID_CHARS = 12

_TURNS_AND_CONTENT = (("messages", "content"), ("input", "content"), ("contents", "parts"))
"""Keys of turns and their content: Anthropic and OpenAI Chat, OpenAI Responses, Google."""


def conversation_id(body: Any) -> str:
    """Return the first 12 hex digits of the first user text's SHA-256; "" when there is none.

    `body` is a request's JSON. An agent sends its first turn again with every request, so all
    requests of a conversation get the same id.
    """
    if not isinstance(body, dict):
        return ""
    text = _first_user_text(body)
    # JSON may hold half of a surrogate pair, which UTF-8 has no bytes for.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_CHARS] if text else ""


def _first_user_text(body: dict[str, Any]) -> str:
    """Return the first user text.

    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]} → "Hi"
    """
    # Google's code assist wraps the request of its public API.
    wrapped = body.get("request")
    inner = wrapped if isinstance(wrapped, dict) else body
    for turns_key, content_key in _TURNS_AND_CONTENT:
        turns = inner.get(turns_key)
        if isinstance(turns, str):
            return turns
        if not isinstance(turns, list):
            continue
        for turn in turns:
            # Google leaves the role out of a single turn.
            if isinstance(turn, dict) and turn.get("role", "user") == "user":
                return _text(turn.get(content_key))
    return ""


def _text(content: Any) -> str:
    """Return a turn's first text: a string, or the first part that has one."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    for part in content:
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]:
            return str(part["text"])
    return ""
