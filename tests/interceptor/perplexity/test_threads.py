"""Threads: continued by texts or by the client's id, never by another client's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import httpx
import pytest

from interceptor.hooks.conversation_key import Texts, key_of
from interceptor.thread_rows import recall, remember
from providers.perplexity.threads import ThreadIds
from providers.wire.perplexity.ask_conf import AskConf, SearchConf, ThreadConf
from tests.fakes.perplexity import PerplexityUpstream
from tests.fakes.upstream import Script
from tests.interceptor.perplexity.clients import MODEL, anthropic_client, chat_client, google_client
from tests.interceptor.perplexity.clients import key_of as sentinel
from tests.interceptor.perplexity.conftest import HOOKS, account
from tests.interceptor.proxied import Running, snapshot
from tests.patience import PATIENCE_S

IDS = ThreadIds("b", "c", "a-token-of-the-thread", "slug")


def talk_chat(proxy: Running, turns: int, stream: bool = False) -> Iterator[str]:
    """Ask question after question; yields each text after it was asked."""
    said: list[Any] = []
    with chat_client(proxy) as client:
        for number in range(turns):
            said.append({"role": "user", "content": f"Question {number}"})
            if stream:
                chunks = client.chat.completions.create(model=MODEL, messages=said, stream=True)
                text = "".join([c.delta.content or "" for one in chunks for c in one.choices])
            else:
                whole = client.chat.completions.create(model=MODEL, messages=said)
                text = str(whole.choices[0].message.content)
            said.append({"role": "assistant", "content": text})
            yield text


def talk_messages(proxy: Running, turns: int) -> Iterator[str]:
    said: list[Any] = []
    with anthropic_client(proxy) as client:
        for number in range(turns):
            said.append({"role": "user", "content": f"Question {number}"})
            whole = client.messages.create(model=MODEL, max_tokens=9, messages=said)
            block = whole.content[0]
            assert isinstance(block, anthropic.types.TextBlock)
            said.append({"role": "assistant", "content": block.text})
            yield block.text


def talk_google(proxy: Running, turns: int) -> Iterator[str]:
    said: list[Any] = []
    with google_client(proxy) as client:
        for number in range(turns):
            said.append({"role": "user", "parts": [{"text": f"Question {number}"}]})
            whole = client.models.generate_content(model=MODEL, contents=said)
            said.append({"role": "model", "parts": [{"text": str(whole.text)}]})
            yield str(whole.text)


def thread_of(text: str) -> tuple[str, str]:
    """(entry, thread): "Entry 2 of thread-5 says …" → ("2", "thread-5")."""
    _, entry, _, thread, *_ = text.split()
    return entry, thread


def test_two_clients_with_the_same_words_have_threads_of_their_own(
    proxy: Running, site: PerplexityUpstream
) -> None:
    pairs = list(zip(talk_chat(proxy, 5, stream=True), talk_messages(proxy, 5), strict=True))
    one, two = [[thread_of(text) for text in side] for side in zip(*pairs, strict=True)]
    assert [entry for entry, _ in one] == [entry for entry, _ in two] == list("12345")
    assert len({thread for _, thread in one}) == len({thread for _, thread in two}) == 1
    assert one[0][1] != two[0][1]
    last = site.asks()[-1].json
    assert last["query_str"] == "Question 4" and last["params"]["query_source"] == "followup"


def test_two_clients_of_google_s_have_threads_of_their_own(proxy: Running) -> None:
    pairs = list(zip(talk_google(proxy, 5), talk_google(proxy, 5), strict=True))
    one, two = [[thread_of(text) for text in side] for side in zip(*pairs, strict=True)]
    assert [entry for entry, _ in one] == [entry for entry, _ in two] == list("12345")
    assert len({thread for _, thread in one}) == len({thread for _, thread in two}) == 1
    assert one[0][1] != two[0][1]


def test_two_equal_clients_share_no_thread(proxy: Running) -> None:
    """Even with the same name, the same words and the same history: a thread is used up once."""
    first = [thread_of(text) for text in talk_chat(proxy, 2)]
    assert first[0][1] == first[1][1]
    again = [thread_of(text) for text in talk_chat(proxy, 2)]
    assert again[0][1] not in {thread for _, thread in first}


@pytest.fixture
def usual(proxy: Running) -> Iterator[None]:
    """Restores the configuration that the test replaces."""
    before = proxy.store.current
    yield
    proxy.store.replace(before)


@pytest.mark.usefixtures("usual")
def test_it_is_opt_in(proxy: Running, site: PerplexityUpstream) -> None:
    plain = tuple(
        conf if conf.name != "pplx_thread_inject" else type(conf)(conf.stage, conf.name, 4)
        for conf in HOOKS
    )
    proxy.store.replace(snapshot(account(site.port), hooks=plain))
    threads = [thread_of(text)[1] for text in talk_chat(proxy, 2)]
    assert threads[0] != threads[1]
    assert "Question 0" in site.asks()[-1].json["query_str"]


def post(proxy: Running, messages: list[Any], name: str = "pplx", **more: Any) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v1/chat/completions",
        json={"model": MODEL, "messages": messages, **more},
        headers={"authorization": f"Bearer {sentinel(name)}"},
        timeout=PATIENCE_S,
    )


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.fixture
def slug(proxy: Running) -> str:
    """A thread with one entry, by the header that names it."""
    answer = post(proxy, [user("Begin")], pplx={"continue_thread": "no"})
    assert (
        answer.json()["pplx_thread_url_slug"] == answer.headers["x-ccproxy-perplexity-thread-slug"]
    )
    return answer.headers["x-ccproxy-perplexity-thread-slug"]


@pytest.mark.parametrize("field", ["metadata", "pplx"])
def test_a_named_thread_goes_on(
    proxy: Running, site: PerplexityUpstream, slug: str, field: str
) -> None:
    named: Any = {field: {"session_id": slug}}
    answer = post(proxy, [user("And?")], **named)
    assert answer.json()["choices"][0]["message"]["content"].startswith(f"Entry 2 of {slug}")
    params = site.asks()[-1].json["params"]
    assert params["read_write_token"] == f"rw-{slug}"


def test_another_history_in_the_three_modes(proxy: Running, slug: str) -> None:
    longer = [user("Begin"), {"role": "assistant", "content": "x"}, user("Two"),
              {"role": "assistant", "content": "y"}, user("Three")]  # fmt: skip
    named: Any = {"metadata": {"session_id": slug}}
    strict = post(proxy, longer, "strict", **named)
    assert strict.status_code == 409 and "another conversation" in strict.text
    ignored = post(proxy, longer, "ignore", **named)
    assert ignored.status_code == 200
    assert "x-ccproxy-perplexity-divergence" not in ignored.headers
    warned = post(proxy, [*longer[:2], user("Again")], **named)
    assert warned.status_code == 200
    assert "1 earlier questions" in warned.headers["x-ccproxy-perplexity-divergence"]


def test_a_thread_that_is_not_there(proxy: Running) -> None:
    answer = post(proxy, [user("Hi")], metadata={"session_id": "nowhere"})
    assert answer.status_code == 404 and "no such thread" in answer.text


def test_the_warm_up_is_cut_and_may_fail(proxy: Running, site: PerplexityUpstream) -> None:
    site.site.warmed.clear()
    post(proxy, [user("x" * 5000)])
    assert site.site.warmed == ["x" * 2000]
    site.scripts["/search/new"] = Script(status=414)
    try:
        assert post(proxy, [user("Hi")]).status_code == 200
    finally:
        del site.scripts["/search/new"]


@pytest.mark.usefixtures("usual")
def test_limits_of_pages_and_of_the_warm_up(proxy: Running, site: PerplexityUpstream) -> None:
    conf = AskConf(
        thread=ThreadConf(page_size=2, page_timeout_s=0.2, ttl_s=0.001),
        search=SearchConf(preflight_timeout_s=0.1),
    )
    slow = Script(pieces=(b"{", b"}"), pause_s=2.0, framing="chunked")
    proxy.store.replace(snapshot(account(site.port, ask=conf), hooks=HOOKS))
    threads = {thread_of(text)[1] for text in talk_chat(proxy, 3)}
    assert len(threads) == 3, "threads were forgotten at once"
    slug = threads.pop()
    conf = replace(conf, thread=replace(conf.thread, page_timeout_s=PATIENCE_S))
    proxy.store.replace(snapshot(account(site.port, ask=conf), hooks=HOOKS))
    for _ in range(3):
        assert post(proxy, [user("Go on")], metadata={"session_id": slug}).is_success
    pages = [seen for seen in site.requests if seen.path == f"/rest/thread/{slug}"]
    assert "limit=2" in pages[0].target and "cursor=2" in pages[-1].target
    conf = replace(conf, thread=replace(conf.thread, page_timeout_s=0.2))
    proxy.store.replace(snapshot(account(site.port, ask=conf), hooks=HOOKS))
    site.scripts["/search/new"] = slow
    site.scripts["/rest/thread/slow"] = slow
    try:
        assert post(proxy, [user("Hi")]).is_success
        late = post(proxy, [user("Hi")], metadata={"session_id": "slow"})
    finally:
        del site.scripts["/search/new"], site.scripts["/rest/thread/slow"]
    assert late.status_code == 502 and "0.2 s" in late.text


def test_keys_differ_by_client_provider_and_every_text() -> None:
    texts = Texts("client", "pplx", (("user", "Hi"), ("assistant", "Hello")))
    others = [
        Texts("other", "pplx", texts.turns),
        Texts("client", "other", texts.turns),
        texts.followed_by("More"),
        texts.before_last(),
    ]
    assert len({key_of(one) for one in [texts, *others]}) == 5


@pytest.mark.django_db
def test_rows_are_used_up_expire_and_show_no_secret() -> None:
    from interceptor.models import RememberedThread

    remember("k", IDS, 60)
    assert "token" not in str(RememberedThread.objects.get(key="k").ids)
    assert recall("k") == IDS
    assert recall("k") is None
    remember("old", IDS, -1)
    assert recall("old") is None
    remember("new", IDS, 60)
    assert not RememberedThread.objects.filter(key="old").exists()
