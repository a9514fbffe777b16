"""Refusals that stop the official clients: every kind, in every format, as the SDKs see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from hypothesis import given
from hypothesis import strategies as st

from interceptor.access.client_access import HEADER as TOKEN_HEADER
from interceptor.exchange.refusal_table import BY_FORMAT, NATURAL, Kind, answer_for
from providers.auth.base import FileAuth
from providers.base.names import OPENAI_RESPONSES
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, rule, running_proxy, snapshot
from tests.interceptor.request_path.test_agreement import configuration

CLI_STOPS_AT = {400, 401, 403}
"""Statuses that Claude Code and Gemini CLI do not retry."""
LASTING = (Kind.BAD_REQUEST, Kind.BAD_KEY, Kind.OUT_OF_SCOPE, Kind.UNTRANSLATABLE, Kind.UNUSABLE)


@pytest.mark.parametrize("wire_format", BY_FORMAT)
@pytest.mark.parametrize("kind", LASTING)
def test_no_lasting_refusal_is_retried(kind: Kind, wire_format: Any) -> None:
    status, headers = answer_for(kind, wire_format)
    assert status == 400 or (status in CLI_STOPS_AT and wire_format != OPENAI_RESPONSES)
    assert ("x-should-retry", "false") in headers


@given(
    kind=st.sampled_from(Kind),
    wire_format=st.sampled_from([None, *BY_FORMAT]),
    status=st.sampled_from([0, 400, 401, 403, 408, 409, 418, 421, 429, 500, 503]),
    wants_websocket=st.booleans(),
)
def test_every_refusal_says_whether_to_try_again(
    kind: Kind, wire_format: Any, status: int, wants_websocket: bool
) -> None:
    found, headers = answer_for(
        kind, wire_format, status_code=status, wants_websocket=wants_websocket
    )
    assert found >= 400
    names = dict(headers)
    chosen = kind in (Kind.BY_HOOK, Kind.FOREIGN_CALLER, Kind.PASSING)
    if chosen:
        assert found == (status or NATURAL[kind])
        is_retried = found >= 500 or found in (408, 409, 425, 429)
        assert ("x-should-retry" in names) is not is_retried
    elif found == 426:
        assert names["upgrade"] == "HTTP/1.1"
    else:
        assert names["x-should-retry"] == "false"
    if kind is Kind.UNROUTED and found != 426:
        assert found == 501


@dataclass
class Bench:
    proxy: Running
    upstream: Upstream


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Upstream() as upstream:
        made = configuration(upstream.port)
        missing = FileAuth(file="/nonexistent/ccproxy-key", header="x-api-key")
        conf = snapshot(
            *made.providers.values(),
            provider("missing", upstream.port, auth=missing),
            rules=(rule(name="off", match_model="^gone$", dest_provider="switched-off"),),
        )
        conf = replace(conf, client_tokens=made.client_tokens)
        with running_proxy(conf) as proxy:
            yield Bench(proxy, upstream)


HELLO: Any = [{"role": "user", "content": "hi"}]
Sent = list[object]
"""The requests that an SDK sent."""


def counting(sent: Sent) -> Any:
    """Return the arguments of an HTTP client that counts."""
    return {"event_hooks": {"request": [sent.append]}, "trust_env": False}


def by_anthropic(url: str, key: str, model: str, sent: Sent) -> tuple[int, str]:
    http = anthropic.DefaultHttpxClient(**counting(sent))
    client = anthropic.Anthropic(base_url=url, api_key=key, http_client=http)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=model, max_tokens=5, messages=HELLO)
    return caught.value.status_code, str(caught.value)


def openai_client(url: str, key: str, sent: Sent) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(**counting(sent))
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, http_client=http)


def by_chat(url: str, key: str, model: str, sent: Sent) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(url, key, sent).chat.completions.create(model=model, messages=HELLO)
    return caught.value.status_code, str(caught.value)


def by_responses(url: str, key: str, model: str, sent: Sent) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(url, key, sent).responses.create(model=model, input="hi")
    return caught.value.status_code, str(caught.value)


def by_google(url: str, key: str, model: str, sent: Sent) -> tuple[int, str]:
    options: Any = {"base_url": url, "client_args": counting(sent)}
    client = genai.Client(api_key=key, http_options=options)
    with pytest.raises(genai_errors.APIError) as caught:
        client.models.generate_content(model=model, contents="hi")
    return caught.value.code, str(caught.value)


CASES = [
    ("sk-ccproxy-nobody", "m", "not configured or switched off"),
    ("sk-ccproxy-missing", "m", "of provider “missing”"),
    ("sk-ccproxy-claude", "gone", "switched off"),
    ("sk-ccproxy-claude.cct-chat", "m", "does not cover"),
    ("sk-ccproxy-claude.cct-unknown", "m", "client token"),
    ("a-key-of-the-user", "m", "sk-ccproxy-"),
]


@pytest.mark.parametrize("call", [by_anthropic, by_chat, by_responses, by_google])
@pytest.mark.parametrize(("key", "model", "says"), CASES)
def test_an_sdk_asks_once_and_shows_the_sentence(
    bench: Bench, call: Any, key: str, model: str, says: str
) -> None:
    sent: Sent = []
    status, text = call(bench.proxy.url, key, model, sent)
    assert says in text and len(sent) == 1
    assert status == 501 if key.startswith("a-key") else status in CLI_STOPS_AT
    assert not bench.upstream.requests


def test_codex_is_sent_to_post_where_its_upgrade_is_refused(bench: Bench) -> None:
    upgrade = {"upgrade": "websocket", "connection": "upgrade"}
    for key in ("sk-ccproxy-nobody", "sk-ccproxy-missing", "key-of-the-user"):
        headers = {**upgrade, "authorization": f"Bearer {key}"}
        answer = httpx.get(f"{bench.proxy.url}/v1/responses", headers=headers)
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "HTTP/1.1")


def test_a_web_page_keeps_its_refusal(bench: Bench) -> None:
    headers = {"origin": "https://evil.test", "upgrade": "websocket", TOKEN_HEADER: "cct-all"}
    assert httpx.get(f"{bench.proxy.url}/v1/responses", headers=headers).status_code == 403
