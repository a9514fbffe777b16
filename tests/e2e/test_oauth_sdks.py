"""The official SDKs do not notice that a token became void: buffered, streamed, translated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from tests.e2e.conftest import provider_yaml
from tests.e2e.process import Interceptor, running
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream

HELLO: Any = [{"role": "user", "content": "Hello"}]
PROVIDERS = {
    "anthropic": ("anthropic", "/v1/messages"),
    "openai": ("openai", "/v1/chat/completions"),
    "responses": ("openai_responses", "/v1/responses"),
    "google": ("google", "/v1beta/models/{model}:{action}"),
}


class Checking(Upstream):
    """Answers only what carries a good token."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        super().__init__()
        self.endpoint = endpoint

    def script_for(self, seen: Seen) -> Script:
        if self.endpoint.is_good(seen.header("authorization")):
            return self.scripted_answer(seen)
        return Script(401, pieces=(b'{"error":{"message":"void token"}}',))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    endpoint: TokenEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("sdks")
    access, refresh = endpoint.issue()
    tokens = {
        "access_token": access,
        "refresh_token": refresh,
        "expires_at": (time.time() + 9999) * 1000,
    }
    (folder / "login.json").write_text(json.dumps(tokens))
    auth = f'{{type: anthropic_oauth, file_path: {folder}/login.json, endpoint: "{endpoint.url}"}}'
    with Checking(endpoint) as upstream:
        config = "providers:\n"
        for name, (kind, path) in PROVIDERS.items():
            section = provider_yaml(name, upstream, auth, "[]").replace(
                "type: anthropic\n", f"type: {kind}\n"
            )
            config += section.replace("path: /v1/messages", f"path: '{path}'")
        with running(Interceptor(folder, config, "--no-console")) as process:
            yield process


@pytest.fixture(params=PROVIDERS)
def target(request: pytest.FixtureRequest, endpoint: TokenEndpoint) -> Iterator[str]:
    """A provider whose token has just become void; afterwards, it was renewed once for every
    call.
    """
    before = len(endpoint.requests)
    yield request.param
    assert len(endpoint.requests) > before
    assert endpoint.refused == []


def test_anthropic(proxy: Interceptor, endpoint: TokenEndpoint, target: str) -> None:
    client = anthropic.Anthropic(api_key=f"sk-ccproxy-{target}", base_url=proxy.url, max_retries=0)
    endpoint.revoke_access()
    whole = client.messages.create(model="demo", max_tokens=99, messages=HELLO)
    endpoint.revoke_access()
    with client.messages.stream(model="demo", max_tokens=99, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
    assert text == getattr(whole.content[0], "text", None) != ""


def test_openai_chat(proxy: Interceptor, endpoint: TokenEndpoint, target: str) -> None:
    client = openai.OpenAI(
        api_key=f"sk-ccproxy-{target}", base_url=f"{proxy.url}/v1", max_retries=0
    )
    endpoint.revoke_access()
    whole = client.chat.completions.create(model="demo", messages=HELLO)
    endpoint.revoke_access()
    chunks = client.chat.completions.create(model="demo", messages=HELLO, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content != ""


def test_openai_responses(proxy: Interceptor, endpoint: TokenEndpoint, target: str) -> None:
    client = openai.OpenAI(
        api_key=f"sk-ccproxy-{target}", base_url=f"{proxy.url}/v1", max_retries=0
    )
    endpoint.revoke_access()
    whole = client.responses.create(model="demo", input="Hello")
    endpoint.revoke_access()
    with client.responses.stream(model="demo", input="Hello") as stream:
        final: Any = list(stream)[-1]
    assert final.response.output_text == whole.output_text != ""


def test_google(proxy: Interceptor, endpoint: TokenEndpoint, target: str) -> None:
    options = genai_types.HttpOptions(base_url=proxy.url)
    client = genai.Client(api_key=f"sk-ccproxy-{target}", http_options=options)
    endpoint.revoke_access()
    whole = client.models.generate_content(model="demo", contents="Hello")
    endpoint.revoke_access()
    parts = client.models.generate_content_stream(model="demo", contents="Hello")
    assert "".join(part.text or "" for part in parts) == whole.text != ""
