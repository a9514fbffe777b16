"""Retries and the renewal of a credential in one request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from interceptor.addons.failures import retry
from providers.auth.base import FileAuth
from providers.retry_policy import RetryPolicy
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
BUSY = Script(503, pieces=(b"{}",))
DENIED = Script(401, pieces=(b"{}",))
OLD, NEW = "old-token-0001", "new-token-0002"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(OLD)
    return path


@pytest.fixture
def proxy(upstream: Upstream, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    upstream.requests.clear()
    upstream.scripts.clear()
    auth = FileAuth(file=str(key_file))
    config = snapshot(provider("up", upstream.port, auth=auth, retry=RetryPolicy(attempts=3)))
    with running_proxy(config) as running:
        yield running


def tokens(upstream: Upstream) -> list[str]:
    return [
        (seen.header("authorization") or "").removeprefix("Bearer ") for seen in upstream.requests
    ]


def checked(key_file: Path, busy_at: tuple[int, ...]) -> Callable[[Seen], Script]:
    """A provider that is busy at some requests, and takes the new token alone.

    The token in the file is the new one from the second request on.
    """
    count = 0

    def answer(seen: Seen) -> Script:
        nonlocal count
        count += 1
        key_file.write_text(NEW)
        if count in busy_at:
            return BUSY
        is_good = seen.header("authorization") == f"Bearer {NEW}"
        return Script(pieces=(b'{"ok":true}',)) if is_good else DENIED

    return answer


@pytest.mark.parametrize(
    ("busy_at", "sent", "statuses"),
    [
        ((1,), [OLD, OLD, NEW], [503, 401, 200]),
        ((2,), [OLD, NEW, NEW], [401, 503, 200]),
        ((2, 3), [OLD, NEW, NEW, NEW], [401, 503, 503, 200]),
        ((1, 3), [OLD, OLD, NEW, NEW], [503, 401, 503, 200]),
    ],
)
def test_each_has_its_own_budget(
    proxy: Running,
    upstream: Upstream,
    key_file: Path,
    busy_at: tuple[int, ...],
    sent: list[str],
    statuses: list[int],
) -> None:
    upstream.scripts["/v1/messages"] = checked(key_file, busy_at)
    headers = {"x-api-key": "sk-ccproxy-up"}
    url = f"{proxy.url}/v1/messages"
    answer = httpx.post(url, json=ASK, headers=headers, timeout=PATIENCE_S)
    assert answer.json() == {"ok": True}
    assert tokens(upstream) == sent
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("done", "")
    assert [attempt.status_code for attempt in record.attempts] == statuses
