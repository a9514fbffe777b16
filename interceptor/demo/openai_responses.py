"""The scripted provider in the Responses format
(https://platform.openai.com/docs/api-reference/responses).
"""

from __future__ import annotations

import json
from typing import Any

from interceptor.demo.openai_chat import error
from interceptor.demo.script import (
    CREATED_AT_S,
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


def answer(request: dict[str, Any]) -> Answer:
    """Return the response to POST /v1/responses."""
    asked = read(request)
    turn = play(asked)
    if isinstance(turn, Failure):
        return error(turn.status, turn.message)
    if not request.get("stream"):
        return json_answer(200, _response(turn, asked.model, "completed"))
    return sse_answer([sse(event, event["type"]) for event in events(turn, asked.model)], turn)


def read(request: dict[str, Any]) -> Asked:
    """Return the request in the script's terms."""
    said = request.get("input")
    last = last_of(said)
    tools = [
        t for t in request.get("tools") or [] if isinstance(t, dict) and t.get("type") == "function"
    ]
    return Asked(
        model=str(request.get("model", "")),
        text=said if isinstance(said, str) else text_of(last.get("content")),
        tools=tuple((str(t.get("name", "")), t.get("parameters") or {}) for t in tools),
        has_tool_result=last.get("type") == "function_call_output",
        size_chars=size_of(request),
    )


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message_item(turn: Turn, status: str) -> dict[str, Any]:
    content = [_text_part(turn.text)] if status == "completed" else []
    return {
        "id": f"msg_{turn.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _call_item(turn: Turn, status: str) -> dict[str, Any] | None:
    if not turn.call:
        return None
    arguments = json.dumps(turn.call.arguments) if status == "completed" else ""
    call = {"call_id": turn.call.id, "name": turn.call.name, "arguments": arguments}
    return {"id": f"fc_{turn.id}", "type": "function_call", "status": status, **call}


def _response(turn: Turn, model: str, status: str) -> dict[str, Any]:
    done = status == "completed"
    items = [item for item in (_message_item(turn, status), _call_item(turn, status)) if item]
    usage = {
        "input_tokens": turn.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": turn.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": turn.input_tokens + turn.output_tokens,
    }
    return {
        "id": f"resp_{turn.id}",
        "object": "response",
        "created_at": CREATED_AT_S,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": items if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if done else None,
    }


def events(turn: Turn, model: str) -> list[dict[str, Any]]:
    """Return the numbered events of a streamed response.

    Over a websocket each is one text message.
    """
    opening = {"response": _response(turn, model, "in_progress")}
    steps: list[dict[str, Any]] = [
        {"type": "response.created", **opening},
        {"type": "response.in_progress", **opening},
        *_message_events(turn),
        *_call_events(turn),
        {"type": "response.completed", "response": _response(turn, model, "completed")},
    ]
    return [{**step, "sequence_number": number} for number, step in enumerate(steps)]


def _message_events(turn: Turn) -> list[dict[str, Any]]:
    at = {"item_id": f"msg_{turn.id}", "output_index": 0, "content_index": 0}
    text = {"type": "response.output_text.done", **at, "text": turn.text, "logprobs": []}
    return [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": _message_item(turn, "in_progress"),
        },
        {"type": "response.content_part.added", **at, "part": _text_part("")},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in turn.pieces
        ),
        text,
        {"type": "response.content_part.done", **at, "part": _text_part(turn.text)},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": _message_item(turn, "completed"),
        },
    ]


def _call_events(turn: Turn) -> list[dict[str, Any]]:
    if not turn.call:
        return []
    arguments = json.dumps(turn.call.arguments)
    at = {"item_id": f"fc_{turn.id}", "output_index": 1}
    done = {
        "type": "response.function_call_arguments.done",
        **at,
        "name": turn.call.name,
        "arguments": arguments,
    }
    return [
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": _call_item(turn, "in_progress"),
        },
        {"type": "response.function_call_arguments.delta", **at, "delta": arguments},
        done,
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": _call_item(turn, "completed"),
        },
    ]
