"""Small HAR files, built as the tools write them."""

from __future__ import annotations

from typing import Any

QUESTION = '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}'


def entry(
    *,
    post: dict[str, Any] | None = None,
    request: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
    content: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One entry with a plain request and response; arguments replace their fields."""
    asked = {
        "method": "POST",
        "url": "https://a.example/v1/chat/completions",
        "headers": [],
        "bodySize": -1,
        "postData": {"mimeType": "application/json", "text": QUESTION} if post is None else post,
    }
    answered = {
        "status": 200,
        "statusText": "OK",
        "headers": [],
        "content": {"mimeType": "application/json", "text": "{}"} if content is None else content,
        "bodySize": -1,
    }
    return {
        "startedDateTime": "2026-03-01T10:00:00.000Z",
        "time": 120,
        "request": asked | (request or {}),
        "response": answered | (response or {}),
        **fields,
    }


def har(*entries: Any, creator: str = "a tool") -> dict[str, Any]:
    """A file with these entries."""
    return {
        "log": {"version": "1.2", "creator": {"name": creator}, "pages": [], "entries": [*entries]}
    }
