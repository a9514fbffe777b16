"""Dispatch of a request to the wire format that its path belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from interceptor.demo import anthropic, google, openai_chat, openai_responses
from interceptor.demo.script import Answer, json_answer

_GOOGLE = re.compile(r"^/v1(?:beta|alpha)?/models/([^/:]+):(\w+)$")


def answer(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return the scripted response; header names are lower case, the body is decoded."""
    path, _, query = target.partition("?")
    request = _json(body)
    if method == "POST":
        if path in _POSTS:
            return _POSTS[path](request)
        if match := _GOOGLE.match(path):
            return _google(match[1], match[2], request, query)
    if path == "/v1/models":
        return anthropic.models() if "anthropic-version" in headers else openai_chat.models()
    if path == "/v1beta/models":
        return google.models()
    if path in ("/", "/health"):
        return json_answer(200, {"status": "ok"})
    return error(path, headers, 404, f"The scripted provider has no {method} {path}.")


def error(path: str, headers: Mapping[str, str], status: int, message: str) -> Answer:
    """Return an error in the wire format that the path belongs to."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return anthropic.error(status, message)
    if "/models/" in path:
        return google.error(status, message)
    return openai_chat.error(status, message)


_POSTS = {
    "/v1/messages": anthropic.answer,
    "/v1/messages/count_tokens": anthropic.count_tokens,
    "/v1/chat/completions": openai_chat.answer,
    "/v1/responses": openai_responses.answer,
}


def _google(model: str, action: str, request: dict[str, Any], query: str) -> Answer:
    if action == "countTokens":
        return google.count_tokens(request)
    if action in ("generateContent", "streamGenerateContent"):
        is_stream = action == "streamGenerateContent"
        return google.answer(request, model, stream=is_stream, sse_wanted="alt=sse" in query)
    return google.error(404, f"The scripted provider has no {action}.")


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
