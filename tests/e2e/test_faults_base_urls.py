"""The vendors' SDKs with base URLs that lack a version, repeat it, or end with a slash."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from tests.e2e.process import Interceptor
from tests.fakes.upstream import Upstream

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "//", "/anthropic"])
def test_anthropic(upstream: Upstream, interceptor: Interceptor, base: str) -> None:
    client = anthropic.Anthropic(
        api_key="sk-ccproxy-up", base_url=interceptor.url + base, max_retries=0
    )
    client.messages.create(model="demo", max_tokens=9, messages=HELLO)
    client.beta.messages.create(model="demo", max_tokens=9, messages=HELLO)
    client.messages.count_tokens(model="demo", messages=HELLO)
    client.models.list()
    assert [seen.target for seen in upstream.requests] == [
        "/v1/messages",
        "/v1/messages",
        "/v1/messages/count_tokens",
    ]


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "//v1", "/v1/v1", "/openai/v1"])
def test_openai(upstream: Upstream, interceptor: Interceptor, base: str) -> None:
    client = openai.OpenAI(api_key="sk-ccproxy-up", base_url=interceptor.url + base, max_retries=0)
    client.chat.completions.create(model="demo", messages=HELLO)
    client.responses.create(model="demo", input="Hello")
    client.models.list()
    targets = [seen.target for seen in upstream.requests]
    assert targets == ["/v1/chat/completions", "/v1/responses"]


@pytest.mark.parametrize("base", ["", "/", "/v1", "/gemini", "//"])
@pytest.mark.parametrize("version", ["v1beta", ""])
def test_google(upstream: Upstream, interceptor: Interceptor, base: str, version: str) -> None:
    options = genai_types.HttpOptions(base_url=interceptor.url + base, api_version=version)
    client = genai.Client(api_key="sk-ccproxy-up", http_options=options)
    client.models.generate_content(model="demo", contents="Hello")
    client.models.count_tokens(model="demo", contents="Hello")
    wanted = "v1" if base == "/v1" and not version else "v1beta"
    assert [seen.target for seen in upstream.requests] == [
        f"/{wanted}/models/demo:generateContent",
        f"/{wanted}/models/demo:countTokens",
    ]
