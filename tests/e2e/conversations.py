"""Talks with a model through each vendor's official SDK, as users hold them: its own objects go
back to it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Protocol

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as google

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from tests.providers.wire.sdk_answers import (
    Digest,
    of_chunks,
    of_completion,
    of_events,
    of_generated,
    of_message,
    of_response,
)

QUESTION = "What is it like in Zürich? 🌦"
ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}


class Conversation(Protocol):
    """One talk; SDK exceptions pass."""

    def ask(self, *, stream: bool) -> Digest:
        """Send the history; the answer joins it."""
        ...

    def give(self, digest: Digest, results: list[str]) -> None:
        """Add the results of the calls in the last answer, in their order."""
        ...


@cache
def anthropic_sdk(url: str, provider: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key=f"sk-ant-api03-ccproxy-{provider}", base_url=url, max_retries=0
    )


@cache
def openai_sdk(url: str, provider: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=f"sk-ccproxy-{provider}", base_url=f"{url}/v1", max_retries=0)


@cache
def google_sdk(url: str, provider: str) -> genai.Client:
    return genai.Client(
        api_key=f"sk-ccproxy-{provider}", http_options=google.HttpOptions(base_url=url)
    )


class AnthropicTalk:
    def __init__(self, url: str, provider: str, model: str, tools: list[str]) -> None:
        self._sdk: Any = anthropic_sdk(url, provider)
        self._history: list[Any] = [{"role": "user", "content": QUESTION}]
        self._ask: dict[str, Any] = {"model": model, "max_tokens": 999, "messages": self._history}
        # Without it, the client gets no reasoning of other vendors.
        self._ask["thinking"] = {"type": "adaptive"}
        if tools:
            self._ask["tools"] = [{"name": name, "input_schema": ANYTHING} for name in tools]

    def ask(self, *, stream: bool) -> Digest:
        if stream:
            with self._sdk.messages.stream(**self._ask) as events:
                message = events.get_final_message()
        else:
            message = self._sdk.messages.create(**self._ask)
        self._history.append({"role": "assistant", "content": message.content})
        return of_message(message)

    def give(self, digest: Digest, results: list[str]) -> None:
        pairs = zip(digest.ids, results, strict=True)
        blocks = [
            {"type": "tool_result", "tool_use_id": call_id, "content": text}
            for call_id, text in pairs
        ]
        self._history.append({"role": "user", "content": blocks})


class ChatTalk:
    def __init__(self, url: str, provider: str, model: str, tools: list[str]) -> None:
        self._sdk: Any = openai_sdk(url, provider).chat.completions
        self._history: list[Any] = [{"role": "user", "content": QUESTION}]
        self._ask: dict[str, Any] = {"model": model, "messages": self._history}
        if tools:
            functions = [{"name": name, "parameters": ANYTHING} for name in tools]
            self._ask["tools"] = [
                {"type": "function", "function": function} for function in functions
            ]

    def ask(self, *, stream: bool) -> Digest:
        if stream:
            digest = of_chunks(
                self._sdk.create(**self._ask, stream=True, stream_options={"include_usage": True})
            )
            self._history.append(_chat_turn(digest))
            return digest
        completion = self._sdk.create(**self._ask)
        self._history.append(completion.choices[0].message)
        return of_completion(completion)

    def give(self, digest: Digest, results: list[str]) -> None:
        for call_id, text in zip(digest.ids, results, strict=True):
            self._history.append({"role": "tool", "tool_call_id": call_id, "content": text})


def _chat_turn(digest: Digest) -> dict[str, Any]:
    """What clients keep of a stream: reasoning is not among it."""
    turn: dict[str, Any] = {"role": "assistant", "content": digest.text or None}
    if digest.calls:
        pairs = zip(digest.ids, digest.calls, strict=True)
        functions = [
            (key, {"name": name, "arguments": json.dumps(value)}) for key, (name, value) in pairs
        ]
        turn["tool_calls"] = [
            {"id": key, "type": "function", "function": function} for key, function in functions
        ]
    return turn


class ResponsesTalk:
    def __init__(self, url: str, provider: str, model: str, tools: list[str]) -> None:
        self._sdk: Any = openai_sdk(url, provider).responses
        self._history: list[Any] = [{"role": "user", "content": QUESTION}]
        self._ask: dict[str, Any] = {"model": model, "input": self._history, "store": False}
        self._ask["include"] = ["reasoning.encrypted_content"]
        if tools:
            more = {"type": "function", "parameters": ANYTHING, "strict": False}
            self._ask["tools"] = [{"name": name, **more} for name in tools]

    def ask(self, *, stream: bool) -> Digest:
        if stream:
            events = list(self._sdk.create(**self._ask, stream=True))
            digest = of_events(events)
            self._history += events[-1].response.output
            return digest
        response = self._sdk.create(**self._ask)
        self._history += response.output
        return of_response(response)

    def give(self, digest: Digest, results: list[str]) -> None:
        for call_id, text in zip(digest.ids, results, strict=True):
            self._history.append(
                {"type": "function_call_output", "call_id": call_id, "output": text}
            )


class GoogleTalk:
    """The SDK's own chat keeps the history."""

    def __init__(self, url: str, provider: str, model: str, tools: list[str]) -> None:
        config = google.GenerateContentConfig(
            automatic_function_calling=google.AutomaticFunctionCallingConfig(disable=True)
        )
        if tools:
            made = [
                google.FunctionDeclaration(name=name, parameters_json_schema=ANYTHING)
                for name in tools
            ]
            config.tools = [google.Tool(function_declarations=made)]
        self._chat: Any = google_sdk(url, provider).chats.create(model=model, config=config)
        self._next: Any = QUESTION

    def ask(self, *, stream: bool) -> Digest:
        if stream:
            return of_generated(list(self._chat.send_message_stream(self._next)))
        return of_generated([self._chat.send_message(self._next)])

    def give(self, digest: Digest, results: list[str]) -> None:
        answers = zip(digest.calls, digest.ids, results, strict=True)
        self._next = [
            google.Part(
                function_response=google.FunctionResponse(
                    id=key or None, name=name, response={"result": text}
                )
            )
            for (name, _), key, text in answers
        ]


_TALKS: dict[WireFormatName, Any] = {
    ANTHROPIC_MESSAGES: AnthropicTalk,
    OPENAI_CHAT: ChatTalk,
    OPENAI_RESPONSES: ResponsesTalk,
    GOOGLE_GENERATE: GoogleTalk,
}


def converse(
    client: WireFormatName,
    url: str,
    provider: str,
    *,
    model: str = "demo",
    tools: list[str] | None = None,
) -> Conversation:
    """A new talk with a provider through the proxy at `url`."""
    talk: Conversation = _TALKS[client](url, provider, model, tools or [])
    return talk


SDK_ERRORS = (anthropic.APIError, openai.OpenAIError, genai_errors.APIError)


def error_facts(error: Exception) -> tuple[int, str, str | None]:
    """Status, message and `retry-after` of an SDK's exception."""
    found: Any = error
    if isinstance(error, genai_errors.APIError):
        return found.code, str(found.message), found.response.headers.get("retry-after")
    return found.status_code, str(found.body), found.response.headers.get("retry-after")
