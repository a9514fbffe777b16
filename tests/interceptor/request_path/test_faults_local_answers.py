"""Addresses that the proxy answers for clients that only look whether it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from interceptor.exchange.recording_state import RecordingState
from interceptor.notes.notification import NOTIFY_PATH
from interceptor.operate.liveness import RecordWatch
from interceptor.request_path.local_answers import UNRECORDED_PATHS
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot

# POST alone: tests/e2e/test_mcp.py.
LOOKS = [path for path in UNRECORDED_PATHS if path != NOTIFY_PATH]
CONTENT = ("/api/claude_code/settings", "/policy_limits", "/api/claude_cli/bootstrap")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as made:
        yield made


@pytest.fixture(scope="module")
def proxy(upstream: Upstream) -> Iterator[Running]:
    chat = provider("chat", upstream.port, type="openai", path="/v1/chat/completions")
    with running_proxy(snapshot(provider("up", upstream.port), chat)) as running:
        yield running


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    ("path", "key"),
    [(path, key) for path in LOOKS for key in ("", "sk-ant-of-the-user")]
    + [("/health", "sk-ccproxy-up")],
)
def test_a_look_is_answered_and_leaves_no_row(
    proxy: Running, upstream: Upstream, path: str, key: str, method: str
) -> None:
    proxy.sink.records.clear()
    upstream.requests.clear()
    answer = httpx.request(method, f"{proxy.url}{path}", headers={"x-api-key": key})
    assert answer.status_code == 200 and (method == "HEAD" or answer.json()["status"] == "ok")
    # A later request is recorded: nothing was before it.
    httpx.get(f"{proxy.url}/policy_limits")
    assert proxy.sink.wait().path == "/policy_limits"
    assert len(proxy.sink.records) == 1 and not upstream.requests


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_with_a_sentinel_key_the_address_is_the_providers(
    proxy: Running, upstream: Upstream, path: str
) -> None:
    httpx.head(f"{proxy.url}{path}", headers={"x-api-key": "sk-ccproxy-up"})
    assert (upstream.last.method, upstream.last.path) == ("HEAD", path)


@pytest.mark.parametrize("path", CONTENT)
def test_what_carries_content_is_recorded(proxy: Running, upstream: Upstream, path: str) -> None:
    proxy.sink.records.clear()
    refused = httpx.get(f"{proxy.url}{path}")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (501, "false")
    assert proxy.sink.wait().path == path
    proxy.sink.records.clear()
    sent = httpx.get(f"{proxy.url}{path}", headers={"x-api-key": "sk-ccproxy-up"})
    assert sent.headers["x-ccproxy-flow"] and upstream.last.path == path


def test_health_says_what_waits_as_the_recorder_counts_it(upstream: Upstream) -> None:
    recording = RecordingState()
    with running_proxy(snapshot(provider("up", upstream.port)), recording=recording) as proxy:

        def told() -> Any:
            return httpx.get(f"{proxy.url}/health").json()

        assert "waiting" not in told(), "nothing is known before the recorder's first word"
        for links, search in ((0, 0), (3, 120)):
            recording.waiting = {"links": links, "search": search}
            # Flows that wait are recorded: nothing is degraded.
            assert (told()["waiting"], told()["status"]) == (recording.waiting, "ok")


def test_health_tells_how_much_of_the_record_is_stored_and_hurries_it(upstream: Upstream) -> None:
    hurried: list[int] = []
    recording = RecordingState()
    with running_proxy(snapshot(provider("up", upstream.port)), recording=recording) as proxy:
        assert "record" not in httpx.get(f"{proxy.url}/health").json()
        recording.positions = lambda: (81920, 77824)
        recording.hurry = lambda: hurried.append(1)
        told = httpx.get(f"{proxy.url}/health").json()
        assert told["record"] == {"proxy": os.getpid(), "recorded": 81920, "stored": 77824}
        assert not hurried
        watch = RecordWatch("127.0.0.1", proxy.port)
        assert watch.is_stored() is False
        assert hurried == [1]
        recording.positions = lambda: (99999, 81920)
        assert watch.is_stored() is True
        recording.problem = "the database does not take flows"
        assert watch.is_stored() is None
