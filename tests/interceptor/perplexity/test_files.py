"""Images in messages are uploaded and named as attachments."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from providers.base.errors import RefuseRequest
from providers.perplexity.address_guard import GuardedBackend
from providers.perplexity.attachments import download
from providers.wire.perplexity.ask_conf import AskConf, UploadConf
from tests.fakes.perplexity import PerplexityUpstream
from tests.fakes.upstream import Script
from tests.interceptor.perplexity.clients import (
    MODEL,
    anthropic_client,
    chat_client,
    google_client,
    key_of,
)
from tests.interceptor.perplexity.conftest import HOOKS, account
from tests.interceptor.proxied import Running, snapshot
from tests.patience import PATIENCE_S

DATA = base64.b64encode(b"an image").decode()
URI = f"data:image/png;base64,{DATA}"
IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": URI}}


def asked(site: PerplexityUpstream) -> Any:
    return site.asks()[-1].json


def check(site: PerplexityUpstream) -> None:
    """The last ask names the file that came into the bucket."""
    found = asked(site)
    (attachment,) = found["params"]["attachments"]
    assert attachment.endswith("/object")
    name = attachment.removesuffix("/object").rpartition("/")[2]
    assert name in site.site.files
    assert found["query_str"] == "What is it?"
    stored = next(seen for seen in site.requests if seen.path == f"/bucket/{name}")
    assert b"an image" in stored.body and stored.header("cookie") is None


def test_chat(proxy: Running, site: PerplexityUpstream) -> None:
    parts: Any = [{"type": "text", "text": "What is it?"}, IMAGE]
    with chat_client(proxy) as client:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    check(site)


def test_responses(proxy: Running, site: PerplexityUpstream) -> None:
    parts: Any = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": URI, "detail": "auto"},
    ]
    with chat_client(proxy) as client:
        client.responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
    check(site)


def test_messages(proxy: Running, site: PerplexityUpstream) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": DATA}
    parts: Any = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    with anthropic_client(proxy) as client:
        client.messages.create(
            model=MODEL, max_tokens=9, messages=[{"role": "user", "content": parts}]
        )
    check(site)


def test_google(proxy: Running, site: PerplexityUpstream) -> None:
    from google.genai import types

    image = types.Part.from_bytes(data=b"an image", mime_type="image/png")
    with google_client(proxy) as client:
        client.models.generate_content(model=MODEL, contents=["What is it?", image])
    check(site)


@pytest.fixture
def limited(proxy: Running, site: PerplexityUpstream) -> Iterator[Running]:
    few = UploadConf(
        max_files=2,
        max_file_bytes=50,
        fetch_timeout_s=1.0,
        upload_timeout_s=0.2,
        subscribe_timeout_s=0.2,
    )
    usual = proxy.store.current
    proxy.store.replace(snapshot(account(site.port, ask=AskConf(upload=few)), hooks=HOOKS))
    yield proxy
    proxy.store.replace(usual)


def ask(proxy: Running, *urls: str) -> httpx.Response:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [{"type": "text", "text": "What is it?"}, *images]
    return httpx.post(
        f"{proxy.url}/v1/chat/completions",
        json={"model": MODEL, "messages": [{"role": "user", "content": content}]},
        headers={"authorization": f"Bearer {key_of()}"},
        timeout=PATIENCE_S,
    )


def test_the_number_and_the_size_of_files_are_limited(limited: Running) -> None:
    three = ask(limited, *[f"data:image/png;base64,{DATA}{'A' * 4 * n}" for n in range(3)])
    assert three.status_code == 400 and "more than the 2" in three.text
    large = ask(limited, "data:image/png;base64," + "A" * 400)
    assert large.status_code == 400 and "larger than 50 bytes" in large.text
    empty = ask(limited, "data:image/png;base64,")
    assert empty.status_code == 400 and "empty" in empty.text


def test_a_flow_shows_the_progress_of_its_uploads(proxy: Running) -> None:
    already = len(proxy.sink.live)
    answer = ask(proxy, *[f"data:image/png;base64,{'AAAA' * n}" for n in (1, 2, 3)])
    assert answer.status_code == 200, answer.text
    flow_id = answer.headers["x-ccproxy-flow"]
    told = [record for record in proxy.sink.live[already:] if record.id == flow_id]
    assert [record.route for record in told][:4] == [
        "uploading 1 of 3 files",
        "uploading 2 of 3 files",
        "uploading 3 of 3 files",
        "waiting for the uploaded files",
    ]
    assert {record.state for record in told} == {"live"}
    # The reason for the route takes its place.
    assert "upload" not in proxy.sink.of(answer).route


def test_an_address_inside_is_refused(limited: Running, site: PerplexityUpstream) -> None:
    before = len(site.requests)
    answer = ask(limited, f"http://127.0.0.1:{site.port}/rest/rate-limit/all")
    assert answer.status_code == 400 and "public internet" in answer.text
    assert len(site.requests) == before


def test_a_bucket_that_does_not_answer_ends_in_an_error(
    limited: Running, site: PerplexityUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = site.scripted_answer

    def slow(seen: Any) -> Script:
        if seen.path.startswith("/bucket/"):
            return Script(pieces=(b"x", b"late"), pause_s=2.0, framing="chunked")
        return usual(seen)

    monkeypatch.setattr(site, "scripted_answer", slow)
    answer = ask(limited, URI)
    assert answer.status_code == 502 and "was not uploaded within 0.2 s" in answer.text


def test_processing_that_takes_too_long_only_warns(
    limited: Running, site: PerplexityUpstream
) -> None:
    path = "/rest/sse/attachment_processing/subscribe"
    site.scripts[path] = Script(pieces=(b"data: {}\n\n", b"late"), pause_s=2.0, framing="chunked")
    try:
        assert ask(limited, URI).status_code == 200
    finally:
        del site.scripts[path]
    assert len(asked(site)["params"]["attachments"]) == 1


def test_an_account_that_may_upload_no_more(proxy: Running, site: PerplexityUpstream) -> None:
    said: Any = [{"role": "user", "content": [{"type": "text", "text": "Hi"}, IMAGE]}]
    site.site.is_full = True
    try:
        with chat_client(proxy) as client, pytest.raises(openai.RateLimitError, match="no more"):
            client.chat.completions.create(
                model=MODEL,
                messages=said,
            )
    finally:
        site.site.is_full = False


def test_the_flow_says_what_was_uploaded(proxy: Running) -> None:
    record = proxy.sink.of(ask(proxy, URI))
    step = next(step for step in record.hooks if step.hook == "extract_pplx_files")
    assert step.reason == "1 files uploaded" and "body" in step.changed


async def test_a_download_has_its_limit(site: PerplexityUpstream) -> None:
    slow = Script(pieces=(b"a", b"b"), pause_s=2.0, framing="chunked")
    site.scripts["/slow.png"] = slow
    try:
        limits = UploadConf(fetch_timeout_s=0.1)
        guard = GuardedBackend(lambda address: address.is_loopback)
        with pytest.raises(RefuseRequest, match=r"within 0\.1 s"):
            await download(f"http://127.0.0.1:{site.port}/slow.png", limits, guard)
    finally:
        del site.scripts["/slow.png"]
