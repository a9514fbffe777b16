"""`GET /pplx/messages/SLUG` on the proxy's port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from providers.perplexity.messages import thread_as_messages
from tests.fakes.perplexity import PerplexityUpstream
from tests.interceptor.perplexity.clients import CLIENTS, key_of
from tests.interceptor.perplexity.conftest import HOOKS, account, session_auth
from tests.interceptor.proxied import Running, provider, snapshot
from tests.patience import PATIENCE_S


def fetch(proxy: Running, slug: str, name: str = "pplx", query: str = "") -> httpx.Response:
    return httpx.get(
        f"{proxy.url}/pplx/messages/{slug}{query}",
        headers={"authorization": f"Bearer {key_of(name)}"} if name else {},
        timeout=PATIENCE_S,
    )


@pytest.fixture
def slug(proxy: Running, site: PerplexityUpstream) -> str:
    CLIENTS["openai_chat"](proxy, "How far is it?", stream=False)
    return list(site.site.threads)[-1]


def test_a_thread_as_messages(proxy: Running, slug: str) -> None:
    found = fetch(proxy, slug).json()
    question, answer = found["messages"]
    assert question == {"role": "user", "content": "How far is it?"}
    assert answer["content"].startswith(f"Entry 1 of {slug} says [1](https://one.example/a):")
    assert answer["reasoning_content"].startswith("Finding out about")
    assert found["metadata"] == {"session_id": slug}
    assert found["thread_info"]["entry_count"] == 1 and found["thread_info"]["slug"] == slug


def test_citations_and_reasoning_as_asked(proxy: Running, slug: str) -> None:
    clean = fetch(proxy, slug, query="?citation_mode=clean&include_reasoning=false").json()
    assert "[1]" not in clean["messages"][1]["content"]
    assert "reasoning_content" not in clean["messages"][1]
    kept = fetch(proxy, slug, query="?citation_mode=default").json()
    assert "[1]:" in kept["messages"][1]["content"]
    assert fetch(proxy, slug, query="?citation_mode=x").status_code == 400


def test_errors_are_named(proxy: Running) -> None:
    missing = fetch(proxy, "nowhere")
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "pplx_fetch_error"
    assert fetch(proxy, "nowhere", "expired").status_code == 401
    several = fetch(proxy, "nowhere", "")
    assert several.status_code == 400 and "sk-ccproxy-strict" in several.text


@pytest.fixture
def usual(proxy: Running) -> Iterator[None]:
    before = proxy.store.current
    yield
    proxy.store.replace(before)


@pytest.mark.usefixtures("usual")
def test_without_an_account(proxy: Running, site: PerplexityUpstream, slug: str) -> None:
    proxy.store.replace(snapshot(provider("o", site.port), hooks=HOOKS))
    answer = fetch(proxy, slug, "")
    assert answer.status_code == 503 and answer.json()["error"]["type"] == "pplx_unavailable"
    proxy.store.replace(snapshot(account(site.port, auth=None), hooks=HOOKS))
    assert fetch(proxy, slug, "").status_code == 503
    proxy.store.replace(snapshot(account(site.port, auth=session_auth()), hooks=HOOKS))
    assert fetch(proxy, slug, "").status_code == 200


def test_attachments_trail_the_question() -> None:
    entry: dict[str, Any] = {"query_str": "Q", "attachments": ["https://a.example/b"]}
    found = thread_as_messages([entry], "s", citation_mode="default")
    assert found["messages"][0]["content"] == "Q\n\nAttachments:\n- https://a.example/b"
    assert found["messages"][1]["content"] == ""
