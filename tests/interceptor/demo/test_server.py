"""The scripted provider is understood by the vendors' own SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from interceptor.demo.server import DemoProvider

KEY = "demo-key-of-the-test"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Demo:
    """The provider, and the clients that asked it.

    An SDK's client that nobody closed closes itself when it is collected, on whatever event
    loop runs then: another test would find its complaint in the log.
    """

    def __init__(self, provider: DemoProvider, closing: contextlib.AsyncExitStack) -> None:
        self.provider = provider
        self.closing = closing

    @property
    def port(self) -> int:
        return self.provider.port

    def closed_at_the_end[C](self, client: C, close: Callable[[], Awaitable[object]]) -> C:
        self.closing.push_async_callback(close)
        return client


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    provider = DemoProvider(KEY)
    await provider.start()
    async with contextlib.AsyncExitStack() as closing:
        yield Demo(provider, closing)
    await provider.stop()


def url(demo: Demo, path: str = "") -> str:
    return f"http://127.0.0.1:{demo.port}{path}"


def anthropic_client(demo: Demo, key: str = KEY) -> Any:
    client = anthropic.AsyncAnthropic(api_key=key, base_url=url(demo), max_retries=0)
    return demo.closed_at_the_end(client, client.close)


def openai_client(demo: Demo) -> Any:
    client = openai.AsyncOpenAI(api_key=KEY, base_url=url(demo, "/v1"), max_retries=0)
    return demo.closed_at_the_end(client, client.close)


def google_client(demo: Demo) -> Any:
    options = genai_types.HttpOptions(base_url=url(demo))
    client = genai.Client(api_key=KEY, http_options=options).aio
    return demo.closed_at_the_end(client, client.aclose)


async def test_anthropic(demo: Demo) -> None:
    client = anthropic_client(demo)
    ask: Any = {
        "model": "demo",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    whole = await client.messages.create(**ask)
    assert whole.stop_reason == "end_turn"
    assert "Hello" in whole.content[0].text
    async with client.messages.stream(**ask) as stream:
        streamed = await stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert (
        await client.messages.count_tokens(model="demo", messages=ask["messages"])
    ).input_tokens > 0
    assert "demo" in [model.id async for model in client.models.list()]


async def test_anthropic_tool_call(demo: Demo) -> None:
    client = anthropic_client(demo)
    ask: Any = {
        "model": "demo",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "Weather in Graz"}],
        "tools": [{"name": "weather", "input_schema": WEATHER}],
    }
    whole = await client.messages.create(**ask)
    async with client.messages.stream(**ask) as stream:
        streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "tool_use"
        assert message.content[1].input == {"city": "Weather in Graz"}


async def test_openai_chat(demo: Demo) -> None:
    client = openai_client(demo)
    ask: Any = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    whole = await client.chat.completions.create(**ask)
    text, usage = "", None
    async for chunk in await client.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    ):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert usage is not None
    assert usage.completion_tokens > 0
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    called = await client.chat.completions.create(**ask, tools=tools)
    assert json.loads(called.choices[0].message.tool_calls[0].function.arguments) == {
        "city": "Hello"
    }


async def test_openai_responses(demo: Demo) -> None:
    client = openai_client(demo)
    whole = await client.responses.create(model="demo", input="Hello")
    async with client.responses.stream(model="demo", input="Hello") as stream:
        streamed = await stream.get_final_response()
    assert streamed.output_text == whole.output_text != ""
    tools: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
    async with client.responses.stream(model="demo", input="Hello", tools=tools) as stream:
        called = await stream.get_final_response()
    assert json.loads(called.output[1].arguments) == {"city": "Hello"}


async def test_google(demo: Demo) -> None:
    models = google_client(demo).models
    whole = await models.generate_content(model="demo", contents="Hello")
    streamed = [
        part async for part in await models.generate_content_stream(model="demo", contents="Hello")
    ]
    assert "".join(part.text or "" for part in streamed) == whole.text
    assert streamed[-1].candidates[0].finish_reason == "STOP"
    assert (await models.count_tokens(model="demo", contents="Hello")).total_tokens > 0
    tool = genai_types.Tool(
        function_declarations=[
            genai_types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
        ]
    )
    config = genai_types.GenerateContentConfig(
        tools=[tool],
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
    )
    called = await models.generate_content(model="demo", contents="Hello", config=config)
    assert called.function_calls[0].args == {"city": "Hello"}


async def test_errors_are_the_vendors_own(demo: Demo) -> None:
    with pytest.raises(anthropic.RateLimitError):
        await anthropic_client(demo).messages.create(
            model="demo-error-429", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
    with pytest.raises(openai.InternalServerError):
        await openai_client(demo).responses.create(model="demo-error-500", input="Hi")
    with pytest.raises(genai_errors.ServerError):
        await google_client(demo).models.generate_content(model="demo-error-529", contents="Hi")


async def test_the_key_is_demanded(demo: Demo) -> None:
    with pytest.raises(anthropic.AuthenticationError, match="did not get its key"):
        await anthropic_client(demo, key="sk-ccproxy-demo").messages.create(
            model="demo", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )


async def test_compressed_bodies_and_nonsense(demo: Demo) -> None:
    body = json.dumps({"model": "demo", "messages": []}).encode()
    headers = {"x-api-key": KEY, "content-encoding": "gzip"}
    async with httpx.AsyncClient(base_url=url(demo), headers=headers) as client:
        assert (await client.post("/v1/messages", content=gzip.compress(body))).status_code == 200
        assert (await client.post("/v1/messages", content=body)).status_code == 400
        assert (await client.get("/nowhere")).status_code == 404
        assert (await client.head("/")).status_code == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", demo.port)
    writer.write(b"nonsense\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
