"""The vendors' own SDKs work through the interceptor as they do without it."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Upstream

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO: Any = [{"role": "user", "content": "Hello"}]
SENTINEL = "sk-ant-api03-ccproxy-up"


def anthropic_client(proxy: Interceptor, key: str = SENTINEL) -> Any:
    return anthropic.Anthropic(api_key=key, base_url=proxy.url, max_retries=0)


def openai_client(proxy: Interceptor, key: str = "sk-ccproxy-up") -> Any:
    return openai.OpenAI(api_key=key, base_url=f"{proxy.url}/v1", max_retries=0)


def google_client(proxy: Interceptor, key: str = "sk-ccproxy-up") -> Any:
    return genai.Client(api_key=key, http_options=genai_types.HttpOptions(base_url=proxy.url))


@pytest.fixture(autouse=True)
def _credential_and_nothing_internal(upstream: Upstream, interceptor: Interceptor) -> Any:
    """Whatever a test sends, the upstream saw the real credential and nothing of ours."""
    yield
    for seen in upstream.requests:
        head = seen.head.decode().lower()
        assert REAL_KEY in head
        assert "ccproxy" not in head


def test_anthropic(upstream: Upstream, interceptor: Interceptor) -> None:
    client = anthropic_client(interceptor)
    whole = client.messages.create(model="demo", max_tokens=99, messages=HELLO)
    with client.messages.stream(model="demo", max_tokens=99, messages=HELLO) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(texts) > 10
    assert "".join(texts) == whole.content[0].text == final.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens > 0
    assert client.messages.count_tokens(model="demo", messages=HELLO).input_tokens > 0
    assert [seen.target for seen in upstream.requests][-1] == "/v1/messages/count_tokens"


def test_anthropic_tool_call(upstream: Upstream, interceptor: Interceptor) -> None:
    client = anthropic_client(interceptor)
    tools = [{"name": "weather", "input_schema": WEATHER}]
    ask: dict[str, Any] = {"model": "demo", "max_tokens": 99, "messages": HELLO, "tools": tools}
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "tool_use"
        assert message.content[1].input == {"city": "Hello"}
    result = {"type": "tool_result", "tool_use_id": whole.content[1].id, "content": "sunny"}
    turns = [
        *HELLO,
        {"role": "assistant", "content": whole.content},
        {"role": "user", "content": [result]},
    ]
    assert client.messages.create(**{**ask, "messages": turns}).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_anthropic_errors(
    upstream: Upstream, interceptor: Interceptor, status: int, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error, match="because the model's name says so") as caught:
        anthropic_client(interceptor).messages.create(
            model=f"demo-error-{status}", max_tokens=9, messages=HELLO
        )
    assert caught.value.status_code == status


def test_anthropic_client_retries_are_each_a_request(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    client = anthropic_client(interceptor).with_options(max_retries=1)
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model="demo-error-429", max_tokens=9, messages=HELLO)
    assert len(upstream.requests) == 2


def test_the_header_a_provider_wants_is_the_header_it_gets(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    anthropic_client(interceptor, "sk-ant-oat-ccproxy-cmd").messages.create(
        model="demo", max_tokens=9, messages=HELLO
    )
    assert upstream.last.header("x-api-key") == REAL_KEY
    assert upstream.last.header("authorization") is None


def test_openai_chat(upstream: Upstream, interceptor: Interceptor) -> None:
    chat = openai_client(interceptor).chat.completions
    whole = chat.create(model="demo", messages=HELLO)
    chunks = list(
        chat.create(
            model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens > 0
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    called = chat.create(model="demo", messages=HELLO, tools=tools)
    assert json.loads(called.choices[0].message.tool_calls[0].function.arguments) == {
        "city": "Hello"
    }
    with pytest.raises(openai.RateLimitError):
        chat.create(model="demo-error-429", messages=HELLO)


def test_openai_responses(upstream: Upstream, interceptor: Interceptor) -> None:
    responses = openai_client(interceptor).responses
    whole = responses.create(model="demo", input="Hello")
    with responses.stream(model="demo", input="Hello") as stream:
        events = list(stream)
    assert [e.delta for e in events if e.type == "response.output_text.delta"]
    assert events[-1].response.output_text == whole.output_text != ""
    tools = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
    assert json.loads(
        responses.create(model="demo", input="Hello", tools=tools).output[1].arguments
    )
    with pytest.raises(openai.InternalServerError):
        responses.create(model="demo-error-500", input="Hello")


def test_google(upstream: Upstream, interceptor: Interceptor) -> None:
    client = google_client(interceptor)
    models = client.models
    whole = models.generate_content(model="demo", contents="Hello")
    parts = list(models.generate_content_stream(model="demo", contents="Hello"))
    assert len(parts) > 10
    assert "".join(part.text or "" for part in parts) == whole.text
    assert models.count_tokens(model="demo", contents="Hello").total_tokens > 0
    tool = genai_types.Tool(
        function_declarations=[
            genai_types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
        ]
    )
    config = genai_types.GenerateContentConfig(
        tools=[tool],
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
    )
    called = models.generate_content(model="demo", contents="Hello", config=config)
    assert called.function_calls[0].args == {"city": "Hello"}
    with pytest.raises(genai_errors.ClientError) as caught:
        models.generate_content(model="demo-error-429", contents="Hello")
    assert caught.value.code == 429


def test_the_model_list_names_the_providers_models(interceptor: Interceptor) -> None:
    ids = [model.id for model in openai_client(interceptor, "no-sentinel").models.list()]
    assert ids
    assert all(isinstance(name, str) and name for name in ids)
