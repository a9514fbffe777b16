"""Recorded scripts of failing providers, through the real proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.addons.test_translate import PATHS, send
from tests.interceptor.proxied import Running, key_auth, provider, snapshot

pytestmark = pytest.mark.corpus
FAILED = {
    "t08a": "the request exceeds the context",
    "t08b": "gpu lost",
    "t08c": "gpu lost",
    "t08d": "gpu lost",
    "t09c": "error",
    "t09d": "Provider returned error",
    "t09e": "quota",
    "t09k": "provider died",
    "t09l": "gpu lost",
    "t90a": "slow down please",
}
ANSWERED = ("t11a", "t11c", "t11d", "t11e", "t11g")
CLIENTS = ("anthropic_messages", "openai_responses", "google_generate", "openai_chat")


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    made = [
        provider(kind, upstream.port, type=kind, path=path, auth=key_auth())
        for kind, path in PATHS.items()
    ]
    return snapshot(*made)


@pytest.fixture(autouse=True)
def no_scripts(upstream: Upstream) -> Iterator[None]:
    yield
    upstream.scripts.clear()


def play(corpus: Path, upstream: Upstream, name: str, kind: str = "openai") -> None:
    given = json.loads((corpus / "faults" / "visible" / f"scn-{name}.json").read_text())
    headers = given.get("headers", [["content-type", "text/event-stream"]])
    pieces = tuple(chunk.encode() for chunk in given["chunks"])
    framing = "length" if given.get("mode") == "cl" else "chunked"
    path = PATHS[kind].replace("{model}", "demo").replace("{action}", "streamGenerateContent")
    upstream.scripts[path] = Script(
        given.get("status", 200), tuple(map(tuple, headers)), pieces, framing=framing
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", FAILED)
def test_failures(corpus, proxy: Running, upstream: Upstream, name: str, client: str) -> None:
    play(corpus, upstream, name)
    answer = send(proxy, client, "openai", stream=True)  # type: ignore[arg-type]
    assert FAILED[name].encode() in answer.content
    record = proxy.sink.of(answer)
    assert record.state == "error" and FAILED[name] in record.error
    if name in ("t09d", "t09e") and client != "openai_chat":
        assert answer.status_code == 429
    if client == "anthropic_messages":
        assert b'"error"' in answer.content and b"end_turn" not in answer.content


def test_a_failure_between_two_of_one_format(corpus, proxy: Running, upstream: Upstream) -> None:
    play(corpus, upstream, "t70", "anthropic")
    record = proxy.sink.of(send(proxy, "anthropic_messages", "anthropic", stream=True))
    assert (record.state, record.error) == ("error", "Overloaded")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ANSWERED)
def test_answers(corpus, proxy: Running, upstream: Upstream, name: str, stream: bool) -> None:
    play(corpus, upstream, name)
    answer = send(proxy, "anthropic_messages", "openai", stream=stream)
    assert answer.status_code == 200 and b"sse" in answer.content
    assert proxy.sink.of(answer).state == "done"


@pytest.mark.parametrize("name", ["t16c", "t16x1", "t16j"])
def test_errors(corpus, proxy: Running, upstream: Upstream, name: str) -> None:
    play(corpus, upstream, name)
    answer = send(proxy, "anthropic_messages", "openai", stream=True)
    wanted = "denied" if name == "t16j" else "prompt is too long: "
    assert answer.json()["error"]["message"].startswith(wanted)


def test_googles_error_with_status_200(corpus, proxy: Running, upstream: Upstream) -> None:
    play(corpus, upstream, "t09f", "google")
    answer = send(proxy, "anthropic_messages", "google", stream=True)
    assert (answer.status_code, answer.json()["error"]["message"]) == (429, "quota")
