"""Finished calls of models in every wire format."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from flows.record import AttemptRecord, FlowRecord, HookStep, WebSocketRecord
from tests.flows.records import EPOCH, flow, side

FLOW_ID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"


def call(
    path: str,
    request: dict[str, Any],
    response: bytes,
    flow_id: str = FLOW_ID,
    **changes: Any,
) -> FlowRecord:
    """A call of a model through the proxy, with one hook and times."""
    host = changes.pop("host", "api.anthropic.com")
    body = json.dumps(request).encode()
    client_headers = changes.pop("client_headers", ())
    values: dict[str, Any] = {
        "path": path,
        "host": host,
        "client_url": f"http://127.0.0.1:4000{path}",
        "forwarded_url": f"https://{host}{path}",
        "requested_model": str(request.get("model", "")),
        "sent_model": str(request.get("model", "")),
        "provider": "main",
        "action": "redirect",
        "session_id": "session-1",
        "conversation_id": "c0ffee",
        "user_agent": "sdk/1.0",
        "revision": 7,
        "started_at": EPOCH + 0.25,
        "finished_at": EPOCH + 1.75,
        "duration_ms": 1500.0,
        "first_byte_ms": 400.0,
        "connect_ms": 12.5,
        "credential_injected": True,
        "sides": (
            side("client", body, client_headers, method="POST"),
            side("forwarded", body, method="POST"),
            side("upstream", response, status_code=200),
            side("delivered", response, status_code=200),
        ),
        "hooks": (
            HookStep("inbound", "extract_session_id", "ran", apply_ms=1.0, started_ms=2.0),
            HookStep(
                "inbound",
                "inject_auth",
                "ran",
                prepare_ms=3.0,
                apply_ms=0.5,
                started_ms=4.0,
                changed=("header:x-api-key",),
            ),
            HookStep("outbound", "verbose_mode", "skipped", "no header"),
        ),
    }
    return replace(flow(flow_id), **values | changes)


def events(*objects: dict[str, Any]) -> bytes:
    """A stream of server-sent events."""
    lines: list[str] = []
    for found in objects:
        if "type" in found:
            lines.append(f"event: {found['type']}")
        lines += [f"data: {json.dumps(found)}", ""]
    return "\n".join([*lines, ""]).encode()


def anthropic(**changes: Any) -> FlowRecord:
    """A buffered call of Anthropic Messages."""
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "temperature": 0.5,
        "top_k": 40,
        "stop_sequences": ["END"],
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    response = {
        "type": "message",
        "id": "msg_01",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 100,
            "cache_read_input_tokens": 800,
            "cache_creation_input_tokens": 100,
            "output_tokens": 50,
        },
    }
    values: dict[str, Any] = {
        "client_format": "anthropic_messages",
        "provider_format": "anthropic_messages",
        "provider_type": "anthropic",
    }
    return call("/v1/messages", request, json.dumps(response).encode(), **values | changes)


def anthropic_stream(**changes: Any) -> FlowRecord:
    """A streamed call of Anthropic Messages."""
    start = {
        "type": "message_start",
        "message": {
            "id": "msg_02",
            "model": "claude-sonnet-4-5-20250929",
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    }
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens"},
        "usage": {"output_tokens": 40},
    }
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}}
    body = events(start, text, delta, {"type": "message_stop"})
    request = {"model": "claude-sonnet-4-5", "stream": True, "messages": []}
    values: dict[str, Any] = {
        "client_format": "anthropic_messages",
        "provider_format": "anthropic_messages",
        "provider_type": "anthropic",
        "is_stream": True,
        "first_event_ms": 620.0,
        "event_count": 4,
    }
    return call("/v1/messages", request, body, **values | changes)


def openai_stream(**changes: Any) -> FlowRecord:
    """A streamed call of OpenAI Chat Completions with two choices."""
    begin: dict[str, Any] = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06"}
    chunks = [
        begin | {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]},
        begin | {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]},
        begin | {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        begin | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        begin
        | {
            "choices": [],
            "usage": {
                "prompt_tokens": 20,
                "completion_tokens": 30,
                "total_tokens": 50,
                "completion_tokens_details": {"reasoning_tokens": 12},
            },
        },
    ]
    body = events(*chunks) + b"data: [DONE]\n\n"
    request = {
        "model": "gpt-4o", "n": 2, "seed": 5, "top_p": 0.9, "max_completion_tokens": 99,
        "frequency_penalty": 0.25, "presence_penalty": 0, "stop": "\n", "stream": True,
    }  # fmt: skip
    values: dict[str, Any] = {
        "client_format": "openai_chat",
        "provider_format": "openai_chat",
        "provider_type": "openai",
        "host": "api.openai.com",
        "is_stream": True,
        "first_event_ms": 500.0,
    }
    return call("/v1/chat/completions", request, body, **values | changes)


def responses(**changes: Any) -> FlowRecord:
    """A buffered call of OpenAI Responses that was cut off."""
    response = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {
                "type": "message",
                "id": "m1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hel"}],
            }
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    }
    values: dict[str, Any] = {
        "client_format": "openai_responses",
        "provider_format": "openai_responses",
        "provider_type": "openai_responses",
        "host": "api.openai.com",
    }
    request = {"model": "gpt-5", "max_output_tokens": 64}
    return call("/v1/responses", request, json.dumps(response).encode(), **values | changes)


def google(**changes: Any) -> FlowRecord:
    """A buffered call of Google's generateContent, with a key in its address."""
    response = {
        "responseId": "g-1",
        "modelVersion": "gemini-2.5-pro-001",
        "candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "hi"}]}}],
        "usageMetadata": {
            "promptTokenCount": 11,
            "candidatesTokenCount": 22,
            "totalTokenCount": 33,
        },
    }
    request = {"contents": [], "generationConfig": {"maxOutputTokens": 7, "topK": 3, "topP": 0.1}}
    values: dict[str, Any] = {
        "client_format": "google_generate",
        "provider_format": "google_generate",
        "provider_type": "google",
        "host": "generativelanguage.googleapis.com",
        "requested_model": "gemini-2.5-pro",
        "sent_model": "gemini-2.5-pro",
    }
    path = (
        "/v1beta/models/gemini-2.5-pro:generateContent?key=AIzaSyA1234567890abcdefghijklmnopqrstuv"
    )
    return call(path, request, json.dumps(response).encode(), **values | changes)


def translated(**changes: Any) -> FlowRecord:
    """A call in Anthropic's format that OpenAI answered."""
    original = openai_stream()
    forwarded, upstream = original.sides[1], original.sides[2]
    base = anthropic_stream()
    values: dict[str, Any] = {
        "sides": (base.sides[0], forwarded, upstream, base.sides[3]),
        "action": "transform",
        "provider_format": "openai_chat",
        "provider_type": "openai",
        "host": "api.openai.com",
        "forwarded_url": "https://api.openai.com/v1/chat/completions",
        "sent_model": "gpt-4o",
        "rule": "claude to gpt",
        "losses": (("top_k", "no such option"),),
        "hooks": (
            *base.hooks,
            HookStep(
                "transform",
                "route",
                "ran",
                apply_ms=2.0,
                started_ms=8.0,
                changed=("url", "body"),
            ),
        ),
    }
    return replace(base, **values | changes)


def failed(**changes: Any) -> FlowRecord:
    """A call that the provider refused."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    body = json.dumps(error).encode()
    base = anthropic()
    sides = (
        *base.sides[:2],
        side("upstream", body, status_code=529),
        side("delivered", body, status_code=529),
    )
    values: dict[str, Any] = {"status_code": 529, "state": "error", "sides": sides}
    return replace(base, **values | changes)


def retried(**changes: Any) -> FlowRecord:
    """A call that succeeded the third time, at another provider."""
    attempts = (
        AttemptRecord(1, "", 10.0, 90.0, 503, "api.anthropic.com", 0.0, "main", "claude-a"),
        AttemptRecord(
            2, "503 from main", 350.0, 20.0, None, "api.anthropic.com", 250.0, "main", "claude-a",
            failure="connect",
        ),
        AttemptRecord(3, "connect; sent to backup", 380.0, 1120.0, 200, "b.example", 0.0, "backup"),
    )  # fmt: skip
    return replace(anthropic(), attempts=attempts, **changes)


def websocket(**changes: Any) -> FlowRecord:
    """A websocket of the Responses API with one response."""
    asked = {"type": "response.create", "response": {"model": "gpt-5-codex"}}
    done = {
        "type": "response.completed",
        "response": {
            "id": "resp_ws",
            "object": "response",
            "model": "gpt-5-codex",
            "status": "completed",
            "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11},
        },
    }
    values: dict[str, Any] = {
        "is_websocket": True,
        "status_code": 101,
        "method": "GET",
        "client_format": "openai_responses",
        "provider_format": "openai_responses",
        "provider_type": "openai_responses",
        "host": "api.openai.com",
        "requested_model": "",
        "sent_model": "",
        "messages": (
            WebSocketRecord(0, 30.0, True, True, json.dumps(asked).encode()),
            WebSocketRecord(1, 900.0, False, True, json.dumps(done).encode()),
        ),
    }
    return call("/v1/responses", {}, b"", **values | changes)


KINDS: Final = {
    "anthropic": anthropic,
    "anthropic stream": anthropic_stream,
    "openai stream": openai_stream,
    "responses": responses,
    "google": google,
    "translated": translated,
    "failed": failed,
    "retried": retried,
    "websocket": websocket,
}
