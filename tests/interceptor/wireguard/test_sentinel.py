"""Rules, hooks and renewals on captured traffic: for requests with a sentinel key at its own host,
and no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.auth.base import FileAuth
from providers.fallbacks import parse_fallbacks
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import provider, rule
from tests.interceptor.wireguard.test_transparent import ask, request
from tests.interceptor.wireguard.tunnel import need_tunnel
from tests.interceptor.wireguard.world import CANARY, OTHER, World, running_world

RULES = (
    rule(name="moved", match_model="^moved$", dest_provider="other"),
    rule(name="away", match_model="^away$", dest_host="evil.test"),
    rule(name="to this machine", match_model="^local$", dest_provider="local"),
    rule("transform", name="translated", match_model="^translated$", dest_provider="local-chat"),
    rule(
        name="falls back",
        match_model="^falls$",
        dest_provider="other",
        fallbacks=parse_fallbacks(["local-chat/small"]),
    ),
    rule(name="everything", match_path="^/v1/everything", dest_provider="other"),
)


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Path]]:
    need_tunnel()
    folder = tmp_path_factory.mktemp("ruled")
    token = folder / "token"
    filed = provider(
        "filed",
        443,
        host="good.test",
        scheme="https",
        auth=FileAuth(file=str(token), header="x-api-key"),
    )
    with Upstream() as here:
        local = provider("local", here.port, auth=None)
        chat = provider(
            "local-chat", here.port, type="openai", path="/v1/chat/completions", auth=None
        )
        with running_world(
            folder,
            rules=RULES,
            more=(filed, local, chat),
            idle_timeout_s=0.5,
            body_size_limit="2k",
        ) as world:
            yield world, token


@pytest.fixture
def world(ruled: tuple[World, Path]) -> World:
    ruled[0].forget()
    return ruled[0]


def body(model: str) -> bytes:
    return json.dumps(
        {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()


def test_a_rule_moves_a_sentinels_request(world: World) -> None:
    ask(world, "good.test", request("good.test", body=body("moved")))
    record = world.record(method="POST")
    assert (record.provider, record.rule, record.host) == ("other", "moved", "other.test")
    assert (
        world.good.last.header("x-api-key") == OTHER
        and world.good.last.header("host") == "other.test"
    )


def test_a_rule_to_a_foreign_host_gives_it_no_credential(world: World) -> None:
    ask(world, "good.test", request("good.test", body=body("away")))
    assert world.evil.requests, "the rule was followed"
    assert (
        CANARY not in world.everything_seen_by_evil
        and "sk-ccproxy" not in world.everything_seen_by_evil
    )


def test_a_fallback_may_be_on_this_machine(world: World) -> None:
    """A captured command reaches this machine's loopback only where the configuration sends it."""
    world.good.scripts["/v1/messages"] = Script(503, pieces=(b"{}",))
    answer = ask(world, "good.test", request("good.test", body=body("falls")))
    assert b'"type": "message"' in answer or b'"type":"message"' in answer
    record = world.record(method="POST")
    assert [(a.provider, a.status_code) for a in record.attempts] == [
        ("other", 503),
        ("local-chat", 200),
    ]
    assert (record.sent_model, record.losses) == ("small", ())


@pytest.mark.parametrize(
    ("host", "key", "path", "model"),
    [
        ("good.test", "users-own-key", "/v1/messages", "moved"),
        ("good.test", "users-own-key", "/v1/everything", "x"),
        ("evil.test", "sk-ccproxy-good", "/v1/messages", "moved"),
        ("evil.test", "sk-ccproxy-other", "/v1/everything", "x"),
    ],
)
def test_no_rule_touches_anything_else(
    world: World, host: str, key: str, path: str, model: str
) -> None:
    sent = request(host, key=key, path=path, body=body(model))
    ask(world, host, sent)
    server = world.good if host == "good.test" else world.evil
    assert server.last.head + server.last.body == sent
    record = world.record(method="POST")
    assert (record.action, record.rule, record.provider, record.host) == (
        "passthrough",
        "",
        "",
        host,
    )


def test_no_limit_of_the_proxys_port_is_put_on_anything_else(world: World) -> None:
    """Neither how large a request may be nor how long an answer may take."""
    world.evil.scripts["/v1/messages"] = Script(pieces=(b"a", b"b"), pause_s=1.2)
    got = ask(world, "evil.test", request("evil.test", key="users-own-key", body=bytes(5000)))
    assert (
        got.startswith(b"HTTP/1.1 200")
        and got.endswith(b"ab")
        and world.evil.last.body == bytes(5000)
    )


def test_side_endpoints_keep_their_path(world: World) -> None:
    ask(world, "good.test", request("good.test", path="/api/oauth/usage?x=%2F", body=b""))
    assert (
        world.good.last.target == "/api/oauth/usage?x=%2F"
        and world.good.last.header("x-api-key") == CANARY
    )


def test_a_refused_credential_is_renewed_and_sent_again(
    world: World, ruled: tuple[World, Path]
) -> None:
    token = ruled[1]
    token.write_text("old-token-000111222")

    def checked(seen: Seen) -> Script:
        if seen.header("x-api-key") == "new-token-333444555":
            return Script(pieces=(b'{"type":"message"}',))
        token.write_text("new-token-333444555")
        return Script(401, pieces=(b"{}",))

    world.good.scripts["/v1/messages"] = checked
    got = ask(world, "good.test", request("good.test", key="sk-ccproxy-filed"))
    assert got.startswith(b"HTTP/1.1 200") and b"x-ccproxy" not in got.lower()
    assert [seen.header("x-api-key") for seen in world.good.requests] == [
        "old-token-000111222",
        "new-token-333444555",
    ]
    record = world.record(method="POST")
    assert [step.stage for step in record.hooks][-1] == "replay" and record.run_label == "test"


def test_an_answer_to_a_sentinel_has_no_header_of_ours(world: World) -> None:
    assert b"x-ccproxy" not in ask(world, "good.test", request("good.test")).lower()


@pytest.mark.parametrize("model", ["local", "translated"])
def test_a_rule_may_send_it_to_a_provider_on_this_machine(world: World, model: str) -> None:
    """Ollama, vLLM or llama.cpp: the operator's rule chose the address, not the command."""
    got = ask(world, "good.test", request("good.test", body=body(model)))
    assert got.startswith(b"HTTP/1.1 200"), got
    record = world.record(method="POST")
    assert (record.host, record.error) == ("127.0.0.1", "")
