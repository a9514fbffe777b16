"""What the proxy answers itself is an error in the caller's own wire format, and names the fix."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest
from google.genai import errors as genai_errors

from tests.e2e.process import Interceptor
from tests.e2e.test_sdks import HELLO, anthropic_client, google_client, openai_client
from tests.fakes.upstream import Upstream


def through_anthropic(proxy: Interceptor, key: str) -> tuple[int, str]:
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_client(proxy, key).messages.create(model="demo", max_tokens=9, messages=HELLO)
    body: Any = caught.value.body
    assert body["type"] == "error"
    return caught.value.status_code, body["error"]["message"]


def through_chat(proxy: Interceptor, key: str) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(proxy, key).chat.completions.create(model="demo", messages=HELLO)
    body: Any = caught.value.body
    return caught.value.status_code, body["message"]


def through_responses(proxy: Interceptor, key: str) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(proxy, key).responses.create(model="demo", input="Hello")
    body: Any = caught.value.body
    return caught.value.status_code, body["message"]


def through_google(proxy: Interceptor, key: str) -> tuple[int, str]:
    client = google_client(proxy, key)
    with pytest.raises(genai_errors.APIError) as caught:
        client.models.generate_content(model="demo", contents="Hello")
    assert caught.value.status
    return caught.value.code, caught.value.message or ""


CALLERS = [through_anthropic, through_chat, through_responses, through_google]


@pytest.mark.parametrize("call", CALLERS)
@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        ("sk-ccproxy-nobody", 401, "nobody"),
        ("sk-ccproxy-failing", 400, "failing"),
        ("sk-ccproxy-missing", 401, "missing"),
        ("sk-real-looking-key", 501, "sk-ccproxy-"),
    ],
)
def test_refusals(
    upstream: Upstream, interceptor: Interceptor, call: Any, key: str, status: int, says: str
) -> None:
    code, message = call(interceptor, key)
    # Codex, which speaks Responses, retries everything but 400.
    stops_at = 400 if call is through_responses and status == 401 else status
    assert code == stops_at
    assert says in message
    assert "oops-7f3a9c2e" not in message
    assert upstream.requests == []


def test_what_a_failing_source_printed_is_nowhere(interceptor: Interceptor) -> None:
    through_anthropic(interceptor, "sk-ccproxy-failing")
    assert "oops-7f3a9c2e" not in interceptor.log


def test_a_refusal_is_recorded_with_its_reason(interceptor: Interceptor) -> None:
    headers = {"x-api-key": "sk-ccproxy-nobody"}
    reply = httpx.post(f"{interceptor.url}/v1/messages", json={}, headers=headers, trust_env=False)
    flow = interceptor.flow(reply.headers["x-ccproxy-flow"])
    assert (flow["status_code"], flow["action"]) == (401, "refused")
    assert "nobody" in flow["error"]
