"""The scripted provider in the generateContent format
(https://ai.google.dev/api/generate-content).
"""

from __future__ import annotations

from typing import Any

from interceptor.demo.script import (
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

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}


def answer(request: dict[str, Any], model: str, *, stream: bool, sse_wanted: bool) -> Answer:
    """Return the response to models/{model}:generateContent or :streamGenerateContent.

    A stream comes as events, or as one JSON array.
    """
    asked = read(request, model)
    turn = play(asked)
    if isinstance(turn, Failure):
        return error(turn.status, turn.message)
    if not stream:
        return json_answer(200, _part_of_answer(turn, model, _parts(turn), last=True))
    answers = _stream(turn, model)
    if sse_wanted:
        return sse_answer([sse(part) for part in answers], turn)
    return json_answer(200, answers)


def count_tokens(request: dict[str, Any]) -> Answer:
    """Return the response to models/{model}:countTokens."""
    return json_answer(200, {"totalTokens": max(1, size_of(request) // 4)})


def models() -> Answer:
    """Return the response to GET /v1beta/models."""
    rows = [{"name": f"models/{m}", "version": "1", "displayName": m} for m in MODELS]
    return json_answer(200, {"models": rows})


def error(status: int, message: str) -> Answer:
    """Return an error in this format."""
    return json_answer(
        status,
        {
            "error": {
                "code": status,
                "message": message,
                "status": _STATUSES.get(status, "INTERNAL"),
            }
        },
    )


def read(request: dict[str, Any], model: str) -> Asked:
    """Return the request in the script's terms."""
    parts = last_of(request.get("contents")).get("parts")
    names = (
        {name for part in parts if isinstance(part, dict) for name in part}
        if isinstance(parts, list)
        else set()
    )
    tools = [
        declaration
        for tool in request.get("tools") or []
        if isinstance(tool, dict)
        for declaration in tool.get("functionDeclarations")
        or tool.get("function_declarations")
        or []
    ]
    return Asked(
        model=model,
        text=text_of(parts),
        tools=tuple((str(tool.get("name", "")), _schema(tool)) for tool in tools),
        has_tool_result="functionResponse" in names,
        size_chars=size_of(request),
    )


def _schema(declaration: dict[str, Any]) -> dict[str, Any]:
    names = ("parameters", "parametersJsonSchema", "parameters_json_schema")
    return next((declaration[name] for name in names if declaration.get(name)), {})


def _parts(turn: Turn) -> list[dict[str, Any]]:
    return [{"text": turn.text}, *_call_parts(turn)]


def _call_parts(turn: Turn) -> list[dict[str, Any]]:
    return (
        [{"functionCall": {"name": turn.call.name, "args": turn.call.arguments}}]
        if turn.call
        else []
    )


def _part_of_answer(
    turn: Turn, model: str, parts: list[dict[str, Any]], *, last: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    usage = {
        "promptTokenCount": turn.input_tokens,
        "totalTokenCount": turn.input_tokens + turn.output_tokens,
    }
    if last:
        usage["candidatesTokenCount"] = turn.output_tokens
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": turn.id,
    }


def _stream(turn: Turn, model: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"text": piece} for piece in turn.pieces] + _call_parts(turn)
    return [_part_of_answer(turn, model, [step], last=step is steps[-1]) for step in steps]
