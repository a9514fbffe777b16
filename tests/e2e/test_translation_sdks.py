"""Every client format against every provider type through the interceptor: official SDKs, recorded answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.names import FORMAT_OF_TYPE, WIRE_FORMATS, WireFormatName
from tests.e2e.conversations import converse
from tests.e2e.process import Interceptor, running
from tests.e2e.recordings import TOPICS, Recording, recording
from tests.e2e.sent_history import answered_calls
from tests.fakes.replayed import CHUNKINGS, ReplayedUpstream, in_envelope, in_pieces, whole
from tests.fakes.upstream import Script
from tests.providers.wire.cases import MODELS
from tests.providers.wire.sdk_answers import Digest
from tests.providers.wire.sdk_types import problems

pytestmark = pytest.mark.corpus

KEY = "real-key-5a4938271605f4e3d2c1b00f9e8d7c6b"
_VERTEX = "/v1/projects/p/locations/l/publishers/google/models/{model}:{action}"
PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "google": "/v1beta/models/{model}:{action}",
    "gemini": "/v1internal:{action}",
    "vertex_ai": _VERTEX,
}
CELLS = [(client, kind) for client in WIRE_FORMATS for kind in PATHS]
ANSWER_TOPICS = ["unicode", "reasoning", "length", "cache", "one call", "parallel calls", "signed call"]
CALL_TOPICS = [topic for topic in TOPICS if topic.endswith(("call", "calls"))]
CHUNKING_OF = dict(zip(TOPICS, [*CHUNKINGS] * 2, strict=False))


def provider_yaml(kind: str, port: int, key_file: Path) -> str:
    header = {"anthropic": "x-api-key", "google": "x-goog-api-key"}.get(kind, "authorization")
    lines = [
        f"  {kind}:",
        f"    type: {kind}",
        "    scheme: http",
        "    host: 127.0.0.1",
        f"    port: {port}",
        f'    path: "{PATHS[kind]}"',
        f"    auth: {{type: file, file: {key_file}, header: {header}}}",
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReplayedUpstream]:
    with ReplayedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(upstream: ReplayedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("translation")
    key_file = folder / "key"
    key_file.write_text(KEY)
    config = "providers:\n" + "".join(provider_yaml(kind, upstream.port, key_file) for kind in PATHS)
    with running(Interceptor(folder, config)) as process:
        yield process


@pytest.fixture(autouse=True)
def _nothing_left(upstream: ReplayedUpstream) -> Iterator[None]:
    upstream.queue.clear()
    upstream.requests.clear()
    yield
    for seen in upstream.requests:
        assert KEY in seen.head.decode()
        assert "ccproxy" not in seen.head.decode().lower()


def script(kind: str, rec: Recording, chunking: str) -> Script:
    """The recording as a provider of this type sends it."""
    raw = in_envelope(rec.raw, stream=rec.stream) if kind == "gemini" else rec.raw
    return in_pieces(CHUNKINGS[chunking](raw)) if rec.stream else whole(raw)


def check(rec: Recording, got: Digest) -> None:
    """The client's SDK reads what the provider's own SDK reads in the recording."""
    want = rec.digest
    reasoning = "".join(got.reasoning.split())  # formats differ in what stands between its pieces
    seen = (got.text, reasoning, got.calls, got.stop, got.usage, got.model)
    assert seen == (want.text, want.reasoning, want.calls, want.stop, want.usage, want.model), rec.id


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "kind"), CELLS)
def test_answers(
    upstream: ReplayedUpstream,
    proxy: Interceptor,
    corpus: Path,
    subtests: pytest.Subtests,
    client: WireFormatName,
    kind: str,
    stream: bool,
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    checked = 0
    for topic in ANSWER_TOPICS:
        if (rec := recording(corpus, fmt, topic, stream=stream)) is None:
            continue
        chunking = CHUNKING_OF[topic]
        with subtests.test(topic=topic, chunking=chunking if stream else ""):
            upstream.queue.append(script(kind, rec, chunking))
            talk = converse(client, proxy.url, kind, model=MODELS[fmt], tools=sorted({n for n, _ in rec.digest.calls}))
            check(rec, talk.ask(stream=stream))
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "kind"), CELLS)
def test_tools_over_two_turns(
    upstream: ReplayedUpstream,
    proxy: Interceptor,
    corpus: Path,
    subtests: pytest.Subtests,
    client: WireFormatName,
    kind: str,
    stream: bool,
) -> None:
    fmt = FORMAT_OF_TYPE[kind]
    assert fmt
    last = recording(corpus, fmt, "unicode", stream=stream)
    assert last
    for topic in CALL_TOPICS:
        if (first := recording(corpus, fmt, topic, stream=stream)) is None:
            continue
        with subtests.test(topic=topic):
            upstream.queue += [script(kind, first, "packed"), script(kind, last, "inside characters")]
            names = sorted({name for name, _ in first.digest.calls})
            talk = converse(client, proxy.url, kind, model=MODELS[fmt], tools=names)
            called = talk.ask(stream=stream)
            check(first, called)
            results = [f"result {number}: 7 °C, «Föhn» 🌦" for number in range(len(called.calls))]
            talk.give(called, results)
            check(last, talk.ask(stream=stream))
            sent = upstream.last.json["request"] if kind == "gemini" else upstream.last.json
            if client != fmt:
                assert problems(fmt, _without_envelope(sent)) == []
            answered = answered_calls(fmt, sent)
            assert [(name, value) for name, value, _ in answered] == first.digest.calls
            for want, (_, _, text) in zip(results, answered, strict=True):
                assert want in text
            assert _missing(first.signatures, upstream.last.body) == []


def _without_envelope(body: dict[str, object]) -> dict[str, object]:
    """Code Assist's own key in the inner request."""
    return {key: value for key, value in body.items() if key != "session_id"}


def _missing(signatures: list[str], body: bytes) -> list[str]:
    """Signatures that did not come back; Google's SDK spells base64 for URLs."""
    text = body.decode().translate(str.maketrans("-_", "+/"))
    return [signature for signature in signatures if signature.translate(str.maketrans("-_", "+/")) not in text]
