"""The official SDKs of all four formats, in front of the scripted Perplexity."""

from __future__ import annotations

import anthropic
import httpx
import openai
import pytest
from google.genai import errors as google_errors

from interceptor.demo.perplexity_events import QUESTIONS
from tests.fakes.perplexity import TOKEN, PerplexityUpstream
from tests.interceptor.perplexity.clients import (
    CLIENTS,
    MODEL,
    anthropic_client,
    chat_client,
    google_client,
    key_of,
)
from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

FAILURES = (openai.APIStatusError, anthropic.APIStatusError, google_errors.APIError)


def status_of(error: Exception) -> int:
    return getattr(error, "status_code", 0) or getattr(error, "code", 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_text(proxy: Running, site: PerplexityUpstream, client: str, stream: bool) -> None:
    text = CLIENTS[client](proxy, "How far is it?", stream=stream)
    assert text.endswith("nothing left this machine.")
    assert text.count("Entry 1 of") == 1
    seen = site.asks()[-1]
    assert seen.header("cookie") == f"__Secure-next-auth.session-token={TOKEN}"
    assert seen.header("authorization") is None and seen.header("x-api-key") is None
    assert seen.json["query_str"] == "How far is it?"
    assert len(seen.json["params"]) == 33


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unknown_model_lists_the_known_ones(proxy: Running, client: str) -> None:
    with pytest.raises(FAILURES) as failed:
        if client == "google_generate":
            with google_client(proxy) as google:
                google.models.generate_content(model="gpt-9", contents="Hello")
        elif client == "anthropic_messages":
            with anthropic_client(proxy) as claude:
                claude.messages.create(
                    model="gpt-9", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
                )
        elif client == "openai_chat":
            with chat_client(proxy) as chat:
                chat.chat.completions.create(
                    model="gpt-9", messages=[{"role": "user", "content": "Hello"}]
                )
        else:
            with chat_client(proxy) as chat:
                chat.responses.create(model="gpt-9", input="Hello")
    assert status_of(failed.value) == 400
    assert "gpt-9" in str(failed.value) and "perplexity/best" in str(failed.value)


@pytest.mark.parametrize(
    ("client", "stream"), [*((client, False) for client in CLIENTS), ("openai_chat", True)]
)
@pytest.mark.parametrize(
    ("name", "question", "status", "words"),
    [
        ("pplx", "Is there a rate limit?", 429, "used up your searches"),
        ("expired", "Who am I?", 401, "session has expired"),
    ],
)
def test_errors_come_in_the_client_s_format(
    proxy: Running, client: str, stream: bool, name: str, question: str, status: int, words: str
) -> None:
    with pytest.raises(FAILURES) as failed:
        CLIENTS[client](proxy, question, stream=stream, name=name)
    assert status_of(failed.value) == status
    assert words in str(failed.value)


@pytest.mark.parametrize(
    ("client", "stream"), [*((client, True) for client in CLIENTS), ("openai_chat", False)]
)
def test_clarifying_questions_are_the_answer(proxy: Running, client: str, stream: bool) -> None:
    text = CLIENTS[client](proxy, "Please clarify", stream=stream)
    assert text == "\n".join(QUESTIONS)


def test_sources_reasoning_and_followups_in_chat(proxy: Running) -> None:
    with chat_client(proxy) as client:
        whole = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Why?"}]
        )
    message = whole.choices[0].message
    urls = [one.url_citation.url for one in message.annotations or []]
    assert urls == ["https://one.example/a", "https://two.example/b"]
    first = (message.annotations or [])[0].url_citation
    assert (message.content or "")[first.start_index : first.end_index] == "[1]"
    reasoning = message.model_extra["reasoning_content"]  # type: ignore[index]
    assert reasoning.split("\n") == [
        "Finding out about: Why?", "Searching: Why?", "Found 2 results",
    ]  # fmt: skip
    extra = whole.model_extra or {}
    assert extra["pplx_followups"] == ["What came next?", "Who was it?"]
    assert extra["pplx_thread_url_slug"].startswith("thread-")
    assert whole.usage is None and whole.choices[0].finish_reason == "stop"


def test_sources_and_reasoning_in_a_chat_stream(proxy: Running) -> None:
    with chat_client(proxy) as client:
        chunks = list(
            client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "Why?"}], stream=True
            )
        )
    assert (chunks[-1].model_extra or {})["pplx_thread_url_slug"].startswith("thread-")
    deltas = [choice.delta.model_extra or {} for chunk in chunks for choice in chunk.choices]
    cited = [one["url_citation"]["url"] for delta in deltas for one in delta.get("annotations", [])]
    assert cited == ["https://one.example/a", "https://two.example/b"]
    thought = "".join([delta.get("reasoning_content") or "" for delta in deltas])
    assert thought.startswith("Finding out about: Why?\nSearching: Why?")


@pytest.mark.parametrize("stream", [False, True])
def test_sources_and_reasoning_in_responses(proxy: Running, stream: bool) -> None:
    with chat_client(proxy) as client:
        if stream:
            events = list(client.responses.create(model=MODEL, input="Why?", stream=True))
            whole = events[-1].response  # type: ignore[union-attr]
        else:
            whole = client.responses.create(model=MODEL, input="Why?")
    reasoning, message = whole.output
    assert reasoning.summary[0].text.startswith("Finding out about")  # type: ignore[union-attr]
    notes = message.content[0].annotations  # type: ignore[union-attr, index]
    assert [note.url for note in notes] == ["https://one.example/a", "https://two.example/b"]  # type: ignore[union-attr]
    assert (whole.model_extra or {})["pplx_followups"] == ["What came next?", "Who was it?"]
    assert whole.usage is None


@pytest.mark.parametrize("stream", [False, True])
def test_sources_and_reasoning_in_messages(proxy: Running, stream: bool) -> None:
    wanted = {
        "model": MODEL,
        "max_tokens": 2048,
        "messages": [{"role": "user", "content": "Why?"}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    with anthropic_client(proxy) as client:
        if stream:
            with client.messages.stream(**wanted) as found:  # type: ignore[arg-type]
                whole = found.get_final_message()
        else:
            whole = client.messages.create(**wanted)  # type: ignore[call-overload]
    thought, text = whole.content
    assert thought.thinking.startswith("Finding out about")  # type: ignore[union-attr]
    cited = [one.url for one in text.citations or []]  # type: ignore[union-attr]
    assert cited == ["https://one.example/a", "https://two.example/b"]
    if not stream:
        assert (whole.model_extra or {})["pplx_thread_url_slug"].startswith("thread-")


@pytest.mark.parametrize("stream", [False, True])
def test_sources_and_reasoning_in_google(proxy: Running, stream: bool) -> None:
    with google_client(proxy) as client:
        if stream:
            parts = list(client.models.generate_content_stream(model=MODEL, contents="Why?"))
        else:
            parts = [client.models.generate_content(model=MODEL, contents="Why?")]
    candidates = [candidate for part in parts for candidate in part.candidates or []]
    thoughts = [
        piece.text
        for candidate in candidates
        for piece in (candidate.content.parts if candidate.content else None) or []
        if piece.thought
    ]
    assert "".join(filter(None, thoughts)).startswith("Finding out about")
    grounding = candidates[-1].grounding_metadata
    assert grounding is not None
    urls = [chunk.web.uri for chunk in grounding.grounding_chunks or [] if chunk.web]
    assert urls == ["https://one.example/a", "https://two.example/b"]


def test_the_cookie_is_stamped_last_and_the_flow_is_done(proxy: Running) -> None:
    record = proxy.sink.of(post(proxy, "Who?"))
    assert record.state == "done"
    names = [step.hook for step in record.hooks]
    assert names.index("pplx_stamp_headers") < len(names) - 1 and names[-1] == "inject_auth"
    stamped = next(step for step in record.hooks if step.hook == "pplx_stamp_headers")
    assert "header:x-app-apiversion" in stamped.changed
    assert TOKEN not in repr(stamped)


def test_a_stream_without_its_end_is_an_error(proxy: Running) -> None:
    answer = post(proxy, "cut off")
    assert answer.status_code == 502 and "cut" in answer.json()["error"]["message"]


def test_without_the_page_s_headers_the_site_refuses(proxy: Running) -> None:
    answer = post(proxy, "Hello", headers={"x-ccproxy-hooks": "-pplx_stamp_headers"})
    assert answer.status_code == 403
    assert "Just a moment" in answer.json()["error"]["message"]


def post(
    proxy: Running, text: str, headers: dict[str, str] | None = None, **more: object
) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v1/chat/completions",
        json={"model": MODEL, "messages": [{"role": "user", "content": text}], **more},
        headers={"authorization": f"Bearer {key_of()}", **(headers or {})},
        timeout=PATIENCE_S,
    )
