"""The client's side of the agent's session: its requests, and those that go wrong beside it."""

from __future__ import annotations

import json
from typing import Any, Final

from interceptor.demo.agent_script import MODEL, QUESTION, STEPS, messages, system, tools
from interceptor.demo.requests import ANTHROPIC_HEADERS, DemoRequest
from interceptor.demo.script import CUT_MODEL

LOSSY_NAME: Final = "demo-openai"
"""Provider of another format, so that the translation loses something."""


def session_requests(session_id: str) -> list[DemoRequest]:
    """Return the requests of a new session, in order; the last ones are cut and translated."""
    user = {"device_id": "demo", "account_uuid": "", "session_id": session_id}
    shared = {"max_tokens": 4096, "stream": True, "metadata": {"user_id": json.dumps(user)}}
    turns = [_turn(index, shared) for index in range(len(STEPS))]
    return [*turns, _cut_stream(shared), _lossy(shared)]


def _turn(index: int, shared: dict[str, Any]) -> DemoRequest:
    body = {
        **shared,
        "model": MODEL,
        "system": system(index),
        "tools": tools(),
        "messages": messages(index),
    }
    step = STEPS[index]
    doing = step.tool or "answers"
    title = f"Agent, turn {index + 1} of {len(STEPS)}: {doing}"
    return DemoRequest(title, "/v1/messages", ANTHROPIC_HEADERS, body)


def _cut_stream(shared: dict[str, Any]) -> DemoRequest:
    body = {**shared, "model": CUT_MODEL, "messages": [{"role": "user", "content": QUESTION}]}
    return DemoRequest(
        "A stream that the provider cuts", "/v1/messages", ANTHROPIC_HEADERS, body, is_cut=True
    )


def _lossy(shared: dict[str, Any]) -> DemoRequest:
    """Ask a provider of OpenAI's format for what it has no fields for."""
    text = {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}
    body = {
        **shared,
        "model": "demo",
        "top_k": 40,
        "messages": [{"role": "user", "content": [text]}],
    }
    headers = {**ANTHROPIC_HEADERS, "x-api-key": f"sk-ccproxy-{LOSSY_NAME}"}
    return DemoRequest("Translated to OpenAI Chat, with losses", "/v1/messages", headers, body)
