"""Requests of the demo: each official wire format, with a sentinel key. No Django."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from providers.base.http_client import httpx

SENTINEL = "sk-ccproxy-demo"
TIMEOUT_S = 60.0
_QUESTION = "What happens to this message on its way?"
_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANTHROPIC_HEADERS = {"x-api-key": SENTINEL, "anthropic-version": "2023-06-01"}
# Flags as Claude Code sends them; the hook verbose_mode takes the first one out, which shows under
# Changes.
_WITH_BETAS = {
    **ANTHROPIC_HEADERS,
    "anthropic-beta": "redact-thinking-2026-02-12,fine-grained-tool-streaming-2025-05-14",
}
_SESSION = {
    "metadata": {"user_id": '{"device_id":"demo","account_uuid":"","session_id":"demo-session"}'}
}
_OPENAI = {"authorization": f"Bearer {SENTINEL}"}
_GOOGLE = {"x-goog-api-key": SENTINEL}


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """One request with its title."""

    title: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    status: int = 200
    """The status it should get."""
    is_cut: bool = False
    """The provider breaks its stream off."""


@dataclass(slots=True)
class Outcome:
    """Outcome of a request."""

    status: int = 0
    events: int = 0
    """Server-sent events; 0 for a buffered response."""
    duration_s: float = 0.0
    flow_id: str = ""
    """From the proxy's header; "" without it."""
    error: str = field(default="")
    attempts: str = ""
    """From the proxy's header: what each candidate said, when all failed."""


def _messages(text: str = _QUESTION) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


REQUESTS: tuple[DemoRequest, ...] = (
    DemoRequest(
        "Anthropic Messages",
        "/v1/messages",
        ANTHROPIC_HEADERS,
        {"model": "demo", "max_tokens": 1024, "messages": _messages(), **_SESSION},
    ),
    DemoRequest(
        "Anthropic Messages, streamed slowly",
        "/v1/messages",
        _WITH_BETAS,
        {
            "model": "demo-slow",
            "max_tokens": 1024,
            "stream": True,
            "messages": _messages(),
            **_SESSION,
        },
    ),
    DemoRequest(
        "Anthropic Messages, tool call",
        "/v1/messages",
        ANTHROPIC_HEADERS,
        {
            "model": "demo",
            "max_tokens": 1024,
            "messages": _messages("Graz"),
            "tools": [
                {"name": "get_weather", "description": "Weather of a city.", "input_schema": _CITY}
            ],
        },
    ),
    DemoRequest(
        "OpenAI Chat Completions, streamed",
        "/v1/chat/completions",
        _OPENAI,
        {
            "model": "demo",
            "messages": _messages(),
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    DemoRequest(
        "OpenAI Responses, streamed",
        "/v1/responses",
        _OPENAI,
        {"model": "demo", "input": _QUESTION, "stream": True},
    ),
    DemoRequest(
        "Google generateContent",
        "/v1beta/models/demo:generateContent",
        _GOOGLE,
        {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}]},
    ),
    DemoRequest(
        "Anthropic Messages, a scripted overload",
        "/v1/messages",
        ANTHROPIC_HEADERS,
        {"model": "demo-error-529", "max_tokens": 1024, "messages": _messages()},
        status=529,
    ),
)


_ACCOUNT = "sk-ccproxy-demo-perplexity"
_ASKED_MODEL = "perplexity/best"
ASKS: tuple[DemoRequest, ...] = (
    DemoRequest(
        "OpenAI Chat Completions, asking Perplexity",
        "/v1/chat/completions",
        {"authorization": f"Bearer {_ACCOUNT}"},
        {"model": _ASKED_MODEL, "messages": _messages(), "stream": True},
    ),
    DemoRequest(
        "OpenAI Responses, asking Perplexity",
        "/v1/responses",
        {"authorization": f"Bearer {_ACCOUNT}"},
        {"model": _ASKED_MODEL, "input": _QUESTION},
    ),
    DemoRequest(
        "Anthropic Messages, asking Perplexity",
        "/v1/messages",
        {"x-api-key": _ACCOUNT, "anthropic-version": "2023-06-01"},
        {"model": _ASKED_MODEL, "max_tokens": 1024, "messages": _messages()},
    ),
    DemoRequest(
        "Google generateContent, asking Perplexity",
        f"/v1beta/models/{_ASKED_MODEL}:generateContent",
        {"x-goog-api-key": _ACCOUNT},
        {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}]},
    ),
    DemoRequest(
        "A model that the account does not have",
        "/v1/chat/completions",
        {"authorization": f"Bearer {_ACCOUNT}"},
        {"model": "gpt-9", "messages": _messages()},
        status=400,
    ),
)
"""Requests to a scripted Perplexity account."""


def send(client: httpx.Client, request: DemoRequest) -> Outcome:
    """Send one request and read its response to the end.

    A broken connection is an outcome, not an exception.
    """
    outcome = Outcome()
    started_at_s = time.monotonic()
    try:
        with client.stream(
            "POST", request.path, headers=request.headers, json=request.body
        ) as reply:
            outcome.status = reply.status_code
            outcome.flow_id = reply.headers.get("x-ccproxy-flow", "")
            outcome.attempts = reply.headers.get("x-ccproxy-attempts", "")
            is_stream = reply.headers.get("content-type", "").startswith("text/event-stream")
            text = "".join(reply.iter_text())
            outcome.events = text.count("\n\n") if is_stream else 0
            outcome.error = "" if reply.status_code == request.status else text[:300]
    except httpx.HTTPError as exc:
        is_expected = request.is_cut and outcome.status == request.status
        outcome.error = "" if is_expected else str(exc) or type(exc).__name__
    outcome.duration_s = time.monotonic() - started_at_s
    return outcome


def sentence(request: DemoRequest, outcome: Outcome) -> str:
    """Return one line for people about a request and its outcome."""
    mark = "✗" if outcome.error or outcome.status != request.status else "✓"
    parts = [str(outcome.status or "–")]
    if outcome.events:
        parts.append(f"{outcome.events} events")
    if outcome.duration_s >= 1:
        parts.append(f"{outcome.duration_s:.1f} s")
    else:
        parts.append(f"{outcome.duration_s * 1000:.0f} ms")
    line = f"{mark} {request.title:<40} {', '.join(parts)}"
    return f"{line}\n    {outcome.error}" if outcome.error else line
