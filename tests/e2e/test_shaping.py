"""From a captured call to shaped requests, with a real interceptor, its commands and a real tunnel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from tests.e2e.console import Console
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream
from tests.interceptor.shaping.reference import (
    BODY,
    FLAG,
    HEADERS,
    IDENTITY,
    SESSION,
    ReferenceProvider,
)
from tests.interceptor.wireguard.tunnel import Captured, captured, need_tunnel
from tests.interceptor.wireguard.world import talk
from tests.patience import PATIENCE_S

HOST = "api.anthropic.com"
CANARY = "canary-of-the-user-0123456789"
USERS_KEY = "users-own-key-9a8b7c6d5e4f3210"
CONFIG = """
providers:
  anthropic:
    type: anthropic
    host: api.anthropic.com
    path: /v1/messages
    auth: {{type: command, command: "echo the-providers-key-0123456789", header: x-api-key}}
inspector:
  wireguard_port: 0
  dns_overrides: {{api.anthropic.com: 192.0.2.10}}
  upstream_overrides: {{api.anthropic.com: "127.0.0.1:{port}"}}
  mitmproxy: {{ssl_verify_upstream_trusted_ca: {ca}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, str]]:
    """The scripted provider, which takes requests of its reference client alone."""
    need_tunnel()
    authority = make_authority(tmp_path_factory.mktemp("authority"), HOST)
    with Upstream(authority.server_context(["http/1.1"])) as upstream:
        yield upstream, CONFIG.format(port=upstream.port, ca=authority.ca_file)


@pytest.fixture(scope="module")
def interceptor(
    server: tuple[Upstream, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    with running(Interceptor(tmp_path_factory.mktemp("shaping"), server[1])) as process:
        yield process


def reference_call(run: Captured) -> bytes:
    """Send what the reference client sends, with a prompt of its user and an id of its session."""
    messages = [{"role": "user", "content": f"my secret is {CANARY}"}]
    body = json.dumps({"model": "demo", **BODY, "messages": messages, "max_tokens": 9}).encode()
    own = [(name, value) for name, value in HEADERS if value != SESSION]
    headers = [*own, ("x-claude-code-session-id", "77777777-2222-4333-8444-555555555555")]
    lines = [f"{name}: {value}" for name, value in (("Host", HOST), *headers)]
    head = "\r\n".join(["POST /v1/messages?beta=true HTTP/1.1", *lines, f"x-api-key: {USERS_KEY}"])
    request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with run.tls(run.address(HOST), HOST) as connection:
        return bytes(talk(connection, request))


def ask(interceptor: Interceptor, **changes: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "Hello"}]
    return httpx.post(
        interceptor.url + "/v1/messages",
        json={"model": "demo", "max_tokens": 9, "messages": messages} | changes,
        headers={"x-api-key": "sk-ccproxy-anthropic"},
        timeout=PATIENCE_S,
    )


def test_a_captured_call_becomes_the_shape_of_later_requests(
    server: tuple[Upstream, str], interceptor: Interceptor
) -> None:
    upstream, _ = server
    ReferenceProvider(upstream)
    with captured(interceptor.config_dir, interceptor.config_dir, label="reference") as run:
        assert b" 200 " in reference_call(run)[:20]
    wait_until(lambda: interceptor.flows("source = 'wireguard' and status_code = 200"), "recorded")
    assert ask(interceptor).status_code == 401

    saved = interceptor.command("shapes", "save", "anthropic", "--yes")
    assert saved.returncode == 0, saved.stderr
    interceptor.settle()
    # A version is active, and still no person has confirmed the terms.
    assert ask(interceptor).status_code == 401
    assert interceptor.command("shapes", "acknowledge", "anthropic", "--yes").returncode == 0
    wait_until(lambda: ask(interceptor).status_code == 200, "the shape is live")

    client = anthropic.Anthropic(
        base_url=interceptor.url, api_key="sk-ccproxy-anthropic", max_retries=0
    )
    with client.messages.stream(
        model="demo", max_tokens=9, messages=[{"role": "user", "content": "Hello"}], system="Brief."
    ) as stream:
        assert stream.get_final_message().content
    seen = upstream.last
    body = seen.json
    assert [block["text"] for block in body["system"]][1:] == [IDENTITY, "Brief."]
    assert seen.header("x-api-key") == "the-providers-key-0123456789"
    assert FLAG in (seen.header("anthropic-beta") or "")
    assert list(body)[:4] == ["model", "system", "ref_mode", "messages"]
    assert CANARY not in str(interceptor.rows("select * from shapes_shape"))
    check_console(interceptor)

    assert interceptor.command("shapes", "deactivate", "anthropic").returncode == 0
    wait_until(lambda: ask(interceptor).status_code == 401, "the shape is off")


def check_console(interceptor: Interceptor) -> None:
    """The flow names its shape, and its page the origin of each part."""
    [newest, *_] = interceptor.wait_for_flows(1, "shape = 'anthropic v1' and is_stream = 1")
    step = next(trace for trace in interceptor.traces(newest["id"]) if trace.hook == "shape")
    assert ["header:x-app", "shape"] in step.origins
    with Console(interceptor) as console:
        address = f"/flows/{newest['id']}/"
        params = {"tab": "changes", "hook": str(step.seq)}
        page = console.pages.get(address, params=params).raise_for_status().text
        found = console.api.get("/api/flows/", params={"shape": "anthropic v1"}).json()
        assert newest["id"] in {flow["id"] for flow in found["results"]}
    for words in ("from the client", "from the shape", "made by regenerate", "not sent"):
        assert words in page
