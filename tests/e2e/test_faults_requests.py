"""Requests that are no clean JSON, through the proxy: native, translated, recorded."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import brotli
import httpx
import pytest

from tests.e2e.conftest import REAL_KEY, provider_yaml
from tests.e2e.process import Interceptor, running
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S

START = b'{"model":"demo","max_tokens":5,"messages":[{"role":"user","content":"'
END = b'"}]}'
ODD = {
    "half a surrogate": (START + b"x \\ud83d y" + END, "x \ufffd y"),
    "byte order mark": (b"\xef\xbb\xbf" + START + b"bom" + END, "bom"),
    "latin-1": (START + b"caf\xe9" + END, "caf\ufffd"),
    "control characters": (START + b"a\tb" + END, "a\tb"),
}


@pytest.fixture(scope="module")
def proxy(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("requests")
    key_file = folder / "key"
    key_file.write_text(REAL_KEY)
    auth = f"{{type: file, file: {key_file}}}"
    chat = provider_yaml("chat", upstream, auth, "[]")
    chat = chat.replace("type: anthropic", "type: openai").replace("messages", "chat/completions")
    config = "providers:\n" + provider_yaml("up", upstream, auth) + chat
    with running(Interceptor(folder, config, "--no-console")) as process:
        yield process


def ask(proxy: Interceptor, provider: str, body: bytes, **more: str) -> httpx.Response:
    headers = {
        "x-api-key": f"sk-ccproxy-{provider}",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        **more,
    }
    return httpx.post(f"{proxy.url}/v1/messages", content=body, headers=headers, timeout=PATIENCE_S)


@pytest.mark.parametrize("name", ODD)
def test_a_native_provider_gets_the_clients_bytes(
    upstream: Upstream, proxy: Interceptor, name: str
) -> None:
    body, _ = ODD[name]
    ask(proxy, "up", body)
    assert upstream.requests[-1].body == body


@pytest.mark.parametrize("name", ODD)
def test_a_translated_body_is_unicode(upstream: Upstream, proxy: Interceptor, name: str) -> None:
    body, text = ODD[name]
    answer = ask(proxy, "chat", body, **{"x-ccproxy-show-losses": "1"})
    assert answer.status_code == 200
    assert upstream.requests[-1].json["messages"] == [{"role": "user", "content": text}]
    assert ("body" in answer.headers.get("x-ccproxy-losses", "")) == ("\ufffd" in text)


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (START + b'x"', "", "no JSON"),
        (START + END[:-1] + b',"temperature":NaN}', "", "NaN"),
        (b"junk", "gzip, exotic", "content encoding"),
    ],
)
def test_a_refusal_names_the_cause(
    upstream: Upstream, proxy: Interceptor, body: bytes, encoding: str, reason: str
) -> None:
    more = {"content-encoding": encoding} if encoding else {}
    answer = ask(proxy, "chat", body, **more)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]
    assert not upstream.requests


def test_stacked_encodings_are_undone_for_a_translation(
    upstream: Upstream, proxy: Interceptor
) -> None:
    body: Any = brotli.compress(gzip.compress(START + b"hi" + END))
    assert ask(proxy, "chat", body, **{"content-encoding": "gzip, br"}).is_success
    assert upstream.requests[-1].json["messages"] == [{"role": "user", "content": "hi"}]
    ask(proxy, "up", body, **{"content-encoding": "gzip, br"})
    assert upstream.requests[-1].body == body
