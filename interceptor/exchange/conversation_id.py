"""Which requests belong to one conversation: a short id over its first user text."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

ID_CHARS = 12


def conversation_id(body: Any) -> str:
    """First 12 hex digits of the SHA-256 of the first user text; "" when the body has none."""
    if not isinstance(body, dict):
        return ""
    text = _first_user_text(body)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_CHARS] if text else ""


def _first_user_text(body: dict[str, Any]) -> str:
    inner = body.get("request") if isinstance(body.get("request"), dict) else body
    for key, parts_key in (("messages", "content"), ("input", "content"), ("contents", "parts")):
        turns = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(turns, str):
            return turns
        for turn in turns if isinstance(turns, list) else ():
            if isinstance(turn, dict) and turn.get("role", "user") == "user":
                return _text(turn.get(parts_key))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]:
            return str(part["text"])
    return ""
