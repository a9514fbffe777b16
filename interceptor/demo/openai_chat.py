"""The scripted provider in the Chat Completions format
(https://platform.openai.com/docs/api-reference/chat).
"""

from __future__ import annotations

import json
from typing import Any

from interceptor.demo.script import (
    CREATED_AT_S,
    MODELS,
    Answer,
    Asked,
    Failure,
    Turn,
    json_answer,
    last_of,
    play,
    size_of,
    sse,
    sse_answer,
    text_of,
)

_ERROR_TYPES = {400: "invalid_request_error", 401: "invalid_request_error", 429: "rate_limit_error"}


def answer(request: dict[str, Any]) -> Answer:
    """Return the response to POST /v1/chat/completions."""
    asked = read(request)
    turn = play(asked)
    if isinstance(turn, Failure):
        return error(turn.status, turn.message)
    if not request.get("stream"):
        return json_answer(200, _completion(turn, asked.model))
    options = request.get("stream_options") or {}
    return sse_answer(
        _events(turn, asked.model, with_usage=bool(options.get("include_usage"))), turn
    )


def models() -> Answer:
    """Return the response to GET /v1/models."""
    rows = [
        {"id": m, "object": "model", "created": CREATED_AT_S, "owned_by": "demo"} for m in MODELS
    ]
    return json_answer(200, {"object": "list", "data": rows})


def error(status: int, message: str) -> Answer:
    """Return an error in this format, which Responses shares."""
    kind = _ERROR_TYPES.get(status, "server_error")
    return json_answer(
        status, {"error": {"message": message, "type": kind, "param": None, "code": None}}
    )


def read(request: dict[str, Any]) -> Asked:
    """Return the request in the script's terms."""
    last = last_of(request.get("messages"))
    functions = [
        t["function"] for t in request.get("tools") or [] if isinstance(t, dict) and "function" in t
    ]
    return Asked(
        model=str(request.get("model", "")),
        text=text_of(last.get("content")),
        tools=tuple((str(f.get("name", "")), f.get("parameters") or {}) for f in functions),
        has_tool_result=last.get("role") == "tool",
        size_chars=size_of(request),
    )


def _finish_reason(turn: Turn) -> str:
    return "tool_calls" if turn.call else "stop"


def _calls(turn: Turn) -> list[dict[str, Any]]:
    if not turn.call:
        return []
    function = {"name": turn.call.name, "arguments": json.dumps(turn.call.arguments)}
    return [{"id": turn.call.id, "type": "function", "function": function}]


def _usage(turn: Turn) -> dict[str, Any]:
    return {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": turn.input_tokens + turn.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _completion(turn: Turn, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text, "refusal": None}
    if turn.call:
        message["tool_calls"] = _calls(turn)
    return {
        "id": f"chatcmpl-{turn.id}",
        "object": "chat.completion",
        "created": CREATED_AT_S,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _finish_reason(turn),
            }
        ],
        "usage": _usage(turn),
    }


def _events(turn: Turn, model: str, *, with_usage: bool) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": piece} for piece in turn.pieces]
    deltas += [{"tool_calls": [{"index": 0, **call}]} for call in _calls(turn)]
    chunks = [_chunk(turn, model, delta, None) for delta in deltas]
    chunks.append(_chunk(turn, model, {}, _finish_reason(turn)))
    if with_usage:
        chunks.append({**_chunk(turn, model, {}, None), "choices": [], "usage": _usage(turn)})
    return [*(sse(chunk) for chunk in chunks), b"data: [DONE]\n\n"]


def _chunk(
    turn: Turn, model: str, delta: dict[str, Any], finish_reason: str | None
) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{turn.id}",
        "object": "chat.completion.chunk",
        "created": CREATED_AT_S,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
