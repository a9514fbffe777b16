"""A proxy that other machines can reach: everybody shows a token, by name, scoped, revoked within a
second.
"""

from __future__ import annotations

import socket
from pathlib import Path

import httpx

from tests.e2e.conftest import REAL_KEY, provider_yaml
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.upstream import Upstream


def ask(url: str, token: str = "", host: str = "127.0.0.1") -> int:
    key = f"sk-ccproxy-up.{token}" if token else "sk-ccproxy-up"
    headers = {"x-api-key": key, "host": host}
    return httpx.post(
        f"{url}/v1/messages", json={"model": "m"}, headers=headers, trust_env=False
    ).status_code


def test_tokens(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(REAL_KEY)
    with Upstream(key=REAL_KEY) as upstream:
        config = "providers:\n" + provider_yaml("up", upstream, f"{{file: {tmp_path}/key}}")
        process = Interceptor(tmp_path, config, "--no-console", CCPROXY_HOST="0.0.0.0")
        token = process.manage("clienttoken", "add", "laptop").stdout.strip()
        bound = process.manage("clienttoken", "add", "ci", "--provider", "nobody").stdout.strip()
        with running(process):
            assert ask(process.url) == 401
            assert ask(process.url, token) == 200
            assert ask(process.url, token, host="192.168.44.44:4000") == 200
            assert ask(process.url, token, host="evil.test") == 421
            assert ask(process.url, bound) == 403
            assert len(upstream.requests) == 2
            assert process.manage("clienttoken", "remove", "laptop").returncode == 0
            wait_until(lambda: ask(process.url, token) == 401, "the token is revoked")
            # Two that were forwarded, and the one whose token covers another provider.
            process.wait_for_flows(3)
            stored = process.rows("select headers, sides, steps from flows_flowparts")
            assert stored and token not in str(stored) and "cct-" not in str(stored)
            with socket.create_connection(("127.0.0.1", process.port)) as client:
                client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(15).startswith(b"HTTP/1.1 200")
