"""The four kinds of clients, asking one question; each returns the text that it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

MODEL = "perplexity/best"
Ask = Callable[..., str]


def key_of(name: str = "pplx") -> str:
    return f"sk-ccproxy-{name}"


def chat_client(proxy: Running, name: str = "pplx") -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key=key_of(name), max_retries=0, timeout=PATIENCE_S
    )


def anthropic_client(proxy: Running, name: str = "pplx") -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=proxy.url, api_key=key_of(name), max_retries=0, timeout=PATIENCE_S
    )


def google_client(proxy: Running, name: str = "pplx") -> genai.Client:
    options = types.HttpOptions(base_url=proxy.url)
    return genai.Client(api_key=key_of(name), http_options=options)


def chat(proxy: Running, text: str, *, stream: bool, name: str = "pplx", **more: Any) -> str:
    messages: Any = [{"role": "user", "content": text}]
    with chat_client(proxy, name) as client:
        if not stream:
            whole = client.chat.completions.create(model=MODEL, messages=messages, **more)
            return str(whole.choices[0].message.content)
        chunks = client.chat.completions.create(model=MODEL, messages=messages, stream=True, **more)
        return "".join([choice.delta.content or "" for chunk in chunks for choice in chunk.choices])


def responses(proxy: Running, text: str, *, stream: bool, name: str = "pplx", **more: Any) -> str:
    with chat_client(proxy, name) as client:
        if not stream:
            return str(client.responses.create(model=MODEL, input=text, **more).output_text)
        events = client.responses.create(model=MODEL, input=text, stream=True, **more)
        return "".join(
            [event.delta for event in events if event.type == "response.output_text.delta"]
        )


def messages(proxy: Running, text: str, *, stream: bool, name: str = "pplx", **more: Any) -> str:
    said: Any = [{"role": "user", "content": text}]
    with anthropic_client(proxy, name) as client:
        if stream:
            with client.messages.stream(model=MODEL, max_tokens=99, messages=said, **more) as found:
                return found.get_final_text()
        whole = client.messages.create(model=MODEL, max_tokens=99, messages=said, **more)
        return "".join([block.text for block in whole.content if block.type == "text"])


def google(proxy: Running, text: str, *, stream: bool, name: str = "pplx", **more: Any) -> str:
    with google_client(proxy, name) as client:
        if not stream:
            whole = client.models.generate_content(model=MODEL, contents=text, **more)
            return str(whole.text)
        parts = client.models.generate_content_stream(model=MODEL, contents=text, **more)
        return "".join([part.text or "" for part in parts])


CLIENTS: dict[str, Ask] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "google_generate": google,
}
