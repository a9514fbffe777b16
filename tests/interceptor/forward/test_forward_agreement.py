"""Agreement of the forward proxy and `explain`: generated requests go both ways."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest, Explanation
from tests.interceptor.forward.world import World
from tests.sockets import read_until

HOSTS = ("good.test", "two.test", "127.0.0.1", "0x7f.1", "metadata.google.internal", "localhost")
KEYS = ("sk-ccproxy-good", "sk-ccproxy-two", "sk-ccproxy-nobody", "users-own-key", "")
PATHS = ("/v1/messages", "/v1/messages?beta=true", "/api/settings")
BODY = json.dumps({"model": "m", "max_tokens": 1, "messages": []}).encode()

requests = st.tuples(st.sampled_from(HOSTS), st.sampled_from(KEYS), st.sampled_from(PATHS))


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(("good.test", "sk-ccproxy-good", "/v1/messages"))
@example(("127.0.0.1", "sk-ccproxy-good", "/v1/messages"))
@given(requests)
def test_both_agree(world: World, asked: tuple[str, str, str]) -> None:
    host, key, path = asked
    headers = (("Host", host), ("X-API-Key", key), ("Odd-CASE", "1"))
    request = DryRequest("POST", f"https://{host}{path}", headers, BODY, "forward")
    dry = explain(world.proxy.store.current, request)
    assert live(world, host, path, headers) == expected(dry)


def live(world: World, host: str, path: str, headers: tuple[tuple[str, str], ...]) -> Any:
    world.forget()
    line = f"CONNECT {host}:443 HTTP/1.1\r\n{world.authorization()}\r\n"
    if host not in ("good.test", "two.test"):
        status, got = world.say(line.encode())
        return status, got.partition(b"\r\n\r\n")[2].decode().strip()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {path} HTTP/1.1\r\n{lines}Content-Length: {len(BODY)}\r\n\r\n"
    # two.test speaks HTTP/2 alone, so what it gets is compared by the record.
    with world.tls(host) as connection:
        connection.sendall(head.encode() + BODY)
        assert read_until(connection, b"\r\n\r\n")
    [record] = world.records(method="POST")
    sent = next(side for side in record.sides if side.side == "forwarded")
    return record.provider, record.path, sent.body


def expected(dry: Explanation) -> Any:
    if not dry.leaves:
        return dry.status_code, dry.problem
    provider = dry.decision.provider.name if dry.decision and dry.decision.provider else ""
    return provider, dry.url.partition("test")[2], dry.body
