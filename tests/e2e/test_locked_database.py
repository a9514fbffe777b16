"""A database that somebody else has locked costs no client request and no flow."""

from __future__ import annotations

import os
import threading
import time

import httpx

from tests.e2e.locked import locked
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S

CLIENTS = 8
LOCK_S = float(os.environ.get("CCPROXY_TEST_LOCK_S", "6"))
"""Twenty seconds or more show that the writer outlasts SQLite's own patience."""


def test_no_failed_request_and_no_lost_flow(upstream: Upstream, interceptor: Interceptor) -> None:
    statuses: list[int] = []
    until = time.monotonic() + LOCK_S

    def client(number: int) -> None:
        body = {"model": "demo", "max_tokens": 9, "stream": number % 2 == 0, "messages": []}
        headers = {"x-api-key": "sk-ccproxy-up", "user-agent": "locked-test"}
        with httpx.Client(base_url=interceptor.url, trust_env=False, timeout=PATIENCE_S) as http:
            while time.monotonic() < until:
                statuses.append(http.post("/v1/messages", json=body, headers=headers).status_code)
                time.sleep(0.02)

    with locked(interceptor.database):
        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        assert len(statuses) > CLIENTS * 3
        written = "user_agent='locked-test' and state='done'"
        assert len(interceptor.flows(written)) == 0, "the lock was not held"
    flows = interceptor.wait_for_flows(len(statuses), written)
    assert len(flows) == len(statuses)
    assert not any(flow["bodies_dropped"] for flow in flows)
    answered = [
        interceptor.sides(flow["id"])["delivered"]["body"]
        for flow in flows[:: max(1, len(flows) // 20)]
    ]
    assert all(answered)
