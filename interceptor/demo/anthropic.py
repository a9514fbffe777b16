"""The scripted provider in the Anthropic Messages format
(https://docs.anthropic.com/en/api/messages).
"""

from __future__ import annotations

import json
from typing import Any

from interceptor.demo import agent_provider
from interceptor.demo.script import (
    CUT_MODEL,
    MODELS,
    Answer,
    Asked,
    Failure,
    Turn,
    cut,
    json_answer,
    last_of,
    play,
    size_of,
    sse,
    sse_answer,
    text_of,
)

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def answer(request: dict[str, Any]) -> Answer:
    """Return the response to POST /v1/messages."""
    if (step := agent_provider.turn_of(request)) is not None:
        return agent_provider.answer(step, str(request.get("model", "")))
    asked = read(request)
    turn = play(asked)
    if isinstance(turn, Failure):
        return error(turn.status, turn.message)
    if request.get("stream"):
        whole = sse_answer(_events(turn, asked.model), turn)
        return cut(whole) if asked.model == CUT_MODEL else whole
    return json_answer(
        200, _message(turn, asked.model, _blocks(turn), _stop_reason(turn), turn.output_tokens)
    )


def count_tokens(request: dict[str, Any]) -> Answer:
    """Return the response to POST /v1/messages/count_tokens."""
    return json_answer(200, {"input_tokens": max(1, size_of(request) // 4)})


def models() -> Answer:
    """Return the response to GET /v1/models."""
    rows = [
        {"type": "model", "id": m, "display_name": m, "created_at": "2026-09-21T00:00:00Z"}
        for m in MODELS
    ]
    return json_answer(
        200, {"data": rows, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    )


def error(status: int, message: str) -> Answer:
    """Return an error in this format."""
    kind = _ERROR_TYPES.get(status, "api_error")
    return json_answer(status, {"type": "error", "error": {"type": kind, "message": message}})


def read(request: dict[str, Any]) -> Asked:
    """Return the request in the script's terms."""
    last = last_of(request.get("messages"))
    content = last.get("content")
    blocks = content if isinstance(content, list) else []
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)}
    tools = [t for t in request.get("tools") or [] if isinstance(t, dict) and "input_schema" in t]
    return Asked(
        model=str(request.get("model", "")),
        text=text_of(content),
        tools=tuple((str(t.get("name", "")), t["input_schema"]) for t in tools),
        has_tool_result="tool_result" in kinds,
        size_chars=size_of(request),
    )


def _stop_reason(turn: Turn) -> str:
    return "tool_use" if turn.call else "end_turn"


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}]
    if turn.call:
        call = turn.call
        blocks.append(
            {
                "type": "tool_use",
                "id": f"toolu_{call.id}",
                "name": call.name,
                "input": call.arguments,
            }
        )
    return blocks


def _message(
    turn: Turn,
    model: str,
    blocks: list[dict[str, Any]],
    stop_reason: str | None,
    output_tokens: int,
) -> dict[str, Any]:
    return {
        "id": f"msg_{turn.id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    }


def _events(turn: Turn, model: str) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(turn, model, [], None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(_delta(0, {"type": "text_delta", "text": piece}) for piece in turn.pieces),
        {"type": "content_block_stop", "index": 0},
        *_call_events(turn),
        {
            "type": "message_delta",
            "delta": {"stop_reason": _stop_reason(turn), "stop_sequence": None},
            "usage": {"output_tokens": turn.output_tokens},
        },
        {"type": "message_stop"},
    ]
    return [sse(event, event["type"]) for event in events]


def _call_events(turn: Turn) -> list[dict[str, Any]]:
    if not turn.call:
        return []
    block = {"type": "tool_use", "id": f"toolu_{turn.call.id}", "name": turn.call.name, "input": {}}
    text = json.dumps(turn.call.arguments)
    half = len(text) // 2
    return [
        {"type": "content_block_start", "index": 1, "content_block": block},
        *(
            _delta(1, {"type": "input_json_delta", "partial_json": part})
            for part in (text[:half], text[half:])
        ),
        {"type": "content_block_stop", "index": 1},
    ]


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}
