"""What an official SDK makes of an answer: text, reasoning, calls, stop reason, usage; read from
its own objects.

Bodies and streams go through the SDKs' real clients; only the socket is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anthropic
import httpx
import httpx2
import openai
from google import genai

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES


@dataclass
class Digest:
    text: str = ""
    refusal: str = ""
    reasoning: str = ""  # without white space: formats differ in what stands between pieces
    calls: list[tuple[str, Any]] = field(default_factory=list)
    stop: str = ""
    usage: dict[str, int | None] = field(default_factory=dict)
    model: str = ""
    ids: list[str] = field(default_factory=list)


@dataclass
class _Answer:
    raw: bytes = b""
    kind: str = ""
    status: int = 200
    size: int = 4096


_NEXT = _Answer()


def _http(http: Any) -> Any:
    """A client of `http` (httpx, or httpx2 for the Anthropic SDK) that answers with the bytes set
    in `_NEXT`.
    """

    def pieces(_: Any) -> Iterator[bytes]:
        for start in range(0, len(_NEXT.raw), _NEXT.size):
            yield _NEXT.raw[start : start + _NEXT.size]

    chunks = type("Chunks", (http.SyncByteStream,), {"__iter__": pieces})

    def answer(request: Any) -> Any:
        return http.Response(_NEXT.status, headers={"content-type": _NEXT.kind}, stream=chunks())

    return http.Client(transport=http.MockTransport(answer))


def read(
    wire_format: str, raw: bytes, *, stream: bool, status: int = 200, size: int = 4096
) -> Digest:
    """The digest of an answer as that format's SDK reads it; SDK exceptions pass."""
    _NEXT.raw, _NEXT.status, _NEXT.size = raw, status, size
    _NEXT.kind = "text/event-stream" if stream else "application/json"
    digest = _READERS[wire_format](stream)
    digest.reasoning = "".join(digest.reasoning.split())
    return digest


@cache
def _anthropic_sdk() -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k", base_url="http://test", http_client=_http(httpx2), max_retries=0
    )


@cache
def _openai_sdk() -> openai.OpenAI:
    return openai.OpenAI(
        api_key="k", base_url="http://test/v1", http_client=_http(httpx), max_retries=0
    )


@cache
def _google_sdk() -> genai.Client:
    options = genai.types.HttpOptions(base_url="http://test", httpx_client=_http(httpx))
    return genai.Client(api_key="k", http_options=options)


def _anthropic(stream: bool) -> Digest:
    sdk = _anthropic_sdk()
    ask: dict[str, Any] = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "x"}],
    }
    if stream:
        with sdk.messages.stream(**ask) as events:
            message: Any = events.get_final_message()
    else:
        message = sdk.messages.create(**ask)
    return of_message(message)


def of_message(message: Any) -> Digest:
    """The digest of an Anthropic message."""
    digest = Digest(stop=_ANTHROPIC_STOPS.get(message.stop_reason, "other"), model=message.model)
    for block in message.content:
        if block.type == "text":
            digest.text += block.text
        elif block.type == "thinking":
            digest.reasoning += block.thinking
        elif block.type == "tool_use":
            digest.calls.append((block.name, block.input))
            digest.ids.append(block.id)
    usage = message.usage
    read_tokens, written = (
        usage.cache_read_input_tokens or 0,
        usage.cache_creation_input_tokens or 0,
    )
    digest.usage = {
        "in": usage.input_tokens + read_tokens + written,
        "out": usage.output_tokens,
        "cached": read_tokens,
    }
    return digest


_ANTHROPIC_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tools",
    "refusal": "filter",
}


def _chat(stream: bool) -> Digest:
    sdk = _openai_sdk()
    ask: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    if not stream:
        return of_completion(sdk.chat.completions.create(**ask))
    return of_chunks(
        sdk.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    )


def of_completion(completion: Any) -> Digest:
    """The digest of a chat completion."""
    choice = completion.choices[0]
    message = choice.message
    digest = Digest(
        stop=_chat_stop(choice.finish_reason, bool(message and message.tool_calls)),
        model=completion.model,
    )
    if message is not None:
        _chat_content(digest, message)
        for call in message.tool_calls or []:
            digest.calls.append((call.function.name, _arguments(call.function.arguments)))
            digest.ids.append(call.id)
    _chat_usage(digest, completion.usage)
    return digest


def of_chunks(chunks: Any) -> Digest:
    """The digest of a streamed chat completion."""
    digest = Digest()
    calls: dict[int, list[str]] = {}
    finish = None
    for chunk in chunks:
        digest.model = chunk.model or digest.model
        _chat_usage(digest, chunk.usage)
        for choice in chunk.choices or []:
            if choice.index not in (0, None):
                continue
            finish = choice.finish_reason or finish
            _chat_content(digest, choice.delta)
            for call in choice.delta.tool_calls or []:
                entry = calls.setdefault(call.index or 0, ["", "", ""])
                entry[0] += (call.function and call.function.name) or ""
                entry[1] += (call.function and call.function.arguments) or ""
                entry[2] = entry[2] or call.id or ""
    digest.calls = [(name, _arguments(text)) for name, text, _ in calls.values()]
    digest.ids = [entry[2] for entry in calls.values()]
    digest.stop = _chat_stop(finish, bool(calls))
    return digest


def _chat_stop(reason: str | None, called: bool) -> str:
    stops = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tools",
        "content_filter": "filter",
        None: "stop",
    }
    stop = stops.get(reason, "other")
    return "tools" if called and stop == "stop" else stop


def _chat_content(digest: Digest, message: Any) -> None:
    content = message.content
    if isinstance(content, list):  # Mistral
        for part in content:
            if part["type"] == "text":
                digest.text += part["text"]
            elif part["type"] == "thinking":
                digest.reasoning += "".join(inner["text"] for inner in part["thinking"])
    else:
        digest.text += content or ""
    digest.refusal += message.refusal or ""
    digest.reasoning += (
        getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    )


def _chat_usage(digest: Digest, usage: Any) -> None:
    if usage is not None:
        details = usage.prompt_tokens_details
        cached = details.cached_tokens if details else None
        digest.usage = {
            "in": usage.prompt_tokens,
            "out": usage.completion_tokens,
            "cached": cached or 0,
        }


def _responses(stream: bool) -> Digest:
    sdk = _openai_sdk()
    if not stream:
        return of_response(sdk.responses.create(model="m", input="x"))
    return of_events(sdk.responses.create(model="m", input="x", stream=True))


def of_events(events: Any) -> Digest:
    """The digest of a streamed response; its deltas must add up to its final object's text."""
    final = None
    texts: list[str] = []
    arguments: list[str] = []
    for event in events:
        if event.type == "response.output_text.delta":
            texts.append(event.delta)
        elif event.type == "response.function_call_arguments.delta":
            arguments.append(event.delta)
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            final = event.response
        elif event.type == "error":
            raise openai.OpenAIError(event.message)
    assert final is not None
    digest = of_response(final)
    if digest.text and texts:
        assert digest.text == "".join(texts)
    return digest


def of_response(response: Any) -> Digest:
    """The digest of a response."""
    assert response.status != "failed", response.error
    digest = Digest(model=response.model)
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                digest.text += part.text if part.type == "output_text" else ""
                digest.refusal += part.refusal if part.type == "refusal" else ""
        elif item.type == "reasoning":
            digest.reasoning += "\n\n".join(
                s.text for s in [*item.summary, *(item.content or [])] if s.text
            )
        elif item.type == "function_call":
            digest.calls.append((item.name, _arguments(item.arguments)))
            digest.ids.append(item.call_id)
    reason = response.incomplete_details.reason if response.incomplete_details else None
    digest.stop = "tools" if digest.calls else "stop"
    if response.status == "incomplete":
        digest.stop = {"max_output_tokens": "length", "content_filter": "filter"}.get(
            reason or "", "other"
        )
    usage = response.usage
    if usage is not None:
        cached = usage.input_tokens_details.cached_tokens if usage.input_tokens_details else 0
        digest.usage = {"in": usage.input_tokens, "out": usage.output_tokens, "cached": cached or 0}
    return digest


def _google(stream: bool) -> Digest:
    sdk = _google_sdk()
    if stream:
        chunks: Any = list(sdk.models.generate_content_stream(model="m", contents="x"))
    else:
        chunks = [sdk.models.generate_content(model="m", contents="x")]
    return of_generated(chunks)


def of_generated(chunks: Any) -> Digest:
    """The digest of a generated content, whole or in pieces."""
    digest = Digest()
    finish = None
    for chunk in chunks:
        digest.model = chunk.model_version or digest.model
        if (usage := chunk.usage_metadata) is not None:
            read_tokens = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
            out = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
            digest.usage = {
                "in": read_tokens,
                "out": out,
                "cached": usage.cached_content_token_count or 0,
            }
        for candidate in (chunk.candidates or [])[:1]:
            finish = candidate.finish_reason or finish
            for part in (candidate.content and candidate.content.parts) or []:
                _google_part(digest, part)
    name = finish.name if finish else "STOP"
    digest.stop = {
        "STOP": "tools" if digest.calls else "stop",
        "MAX_TOKENS": "length",
        "OTHER": "other",
    }.get(name, "filter")
    return digest


def _google_part(digest: Digest, part: Any) -> None:
    if part.function_call is not None:
        digest.calls.append((part.function_call.name, part.function_call.args or {}))
        digest.ids.append(part.function_call.id or "")
    elif part.thought:
        digest.reasoning += part.text or ""
    else:
        digest.text += part.text or ""


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


_READERS: dict[str, Callable[[bool], Digest]] = {
    ANTHROPIC_MESSAGES: _anthropic,
    OPENAI_CHAT: _chat,
    OPENAI_RESPONSES: _responses,
    GOOGLE_GENERATE: _google,
}
