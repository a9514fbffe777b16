"""Responses that pass unchanged through the real proxy: recorded as the form that their bytes have."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.writer.rows.row_builder import RowBuilder
from interceptor.config.snapshot.schema import Snapshot
from providers.auth.registry import SecretRegistry
from providers.base.names import FORMAT_OF_TYPE
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.addons.test_translate import PATHS, send
from tests.interceptor.proxied import Running, key_auth, provider, snapshot

CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"part"}}]}\n\n'
STREAM = b": OPENROUTER PROCESSING\n\n" + CHUNK + b": OPENROUTER PROCESSING\n\n" + CHUNK
DONE = b"data: [DONE]\n\n"
JSON = b'{"id":"c","choices":[{"index":0,"message":{"content":"a\\n\\nb"}}]}'


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


def passed(proxy: Running, upstream: Upstream, script: Script, kind: str = "openai") -> FlowRecord:
    path = PATHS[kind].replace("{model}", "demo").replace("{action}", "streamGenerateContent")
    upstream.scripts[path] = script
    client = FORMAT_OF_TYPE[kind]
    assert client is not None
    answer = send(proxy, client, kind, stream=True)
    assert answer.content == b"".join(script.pieces)
    return proxy.sink.of(answer)


@pytest.mark.parametrize("label", ["", "text/plain", "application/json", "text/event-stream"])
@pytest.mark.parametrize(("body", "is_stream", "count"), [(STREAM, True, 2), (JSON, False, 0)])
def test_the_form_is_seen_from_the_bytes(
    proxy: Running, upstream: Upstream, label: str, body: bytes, is_stream: bool, count: int
) -> None:
    headers = (("content-type", label),) if label else ()
    record = passed(proxy, upstream, Script(200, headers, (body[:9], body[9:]), framing="chunked"))
    assert (record.is_stream, record.event_count) == (is_stream, count)
    assert (record.state, record.error) == ("done", "")


def test_the_events_of_a_translated_stream_are_the_clients(
    proxy: Running, upstream: Upstream
) -> None:
    headers = (("content-type", "text/event-stream"), ("content-encoding", "gzip"))
    upstream.scripts[PATHS["openai"]] = Script(200, headers, (gzip.compress(STREAM + DONE),))
    answer = send(proxy, "anthropic_messages", "openai", stream=True)
    record = proxy.sink.of(answer)
    assert record.is_stream
    assert record.event_count == answer.content.count(b"\n\n") > 2


WORDS = {"t82b": "only at end", "t82j": "only text done", "t06go": "ab", "t06re": "ok"}
STREAMS = {
    "openai": ["t05a", "t05j", "t06b", "t06d", "t06f", "t06h", "t11a", "t11c", "t11d", "t11e", "t18c"],
    "anthropic": ["t06an", "t80k", "t80p"],
    "openai_responses": ["t06re", "t82b", "t82h", "t82j"],
    "google": ["t06go"],
}  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize(("kind", "name"), [(kind, n) for kind, ns in STREAMS.items() for n in ns])
def test_recorded_scripts(
    corpus: Path, proxy: Running, upstream: Upstream, kind: str, name: str
) -> None:
    given = json.loads((corpus / "faults" / "visible" / f"scn-{name}.json").read_text())
    headers = tuple(map(tuple, given.get("headers", [["content-type", "text/event-stream"]])))
    chunks = tuple(chunk.encode() for chunk in given["chunks"])
    framing = "length" if given.get("mode") == "cl" else "chunked"
    script = Script(given.get("status", 200), headers, chunks, framing=framing)
    record = passed(proxy, upstream, script, kind)
    assert (record.state, record.error, record.is_stream) == ("done", "", True)
    assert record.event_count > 0
    row = RowBuilder(Redactor(SecretRegistry())).build(record).flow
    assert row.input_tokens is not None
    assert row.output_tokens is not None
    assert row.search_text.endswith(WORDS.get(name, ""))
