"""The MCP server of a running installation, asked by the official client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import types as genai_types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from ccproxy_site.mains.console_main import NICENESS
from tests.calls import CCPROXY
from tests.e2e.conftest import config_for
from tests.e2e.process import Interceptor, wait_until
from tests.e2e.process import running as run
from tests.environment import ROOT
from tests.fakes.upstream import Script, Upstream

pytestmark = pytest.mark.e2e

SECRET = "notify-secret-0123456789"
SESSION = "5ba13327-6e60-496a-9b2b-53d6b9119725"


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("mcp")
    config = f"{config_for(upstream, folder)}mcp: {{buffer: {{max_events_per_task: 3}}, notify_secret: {SECRET}}}\n"
    process = Interceptor(folder, config, "--workers", "2")
    # A test looks at what its processes have loaded.
    process.starts_cold = True
    with run(process) as interceptor:
        # An own request, so that there is a flow.
        httpx.get(f"{interceptor.url}/v1/models", trust_env=False)
        yield interceptor


async def call(url: str, token: str, name: str, **values: Any) -> dict[str, Any]:
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        result = await client.call_tool(name, values)
    assert not result.is_error, result.content
    return result.structured_content or {}


def test_questions_wait_for_the_proxies(running: Interceptor) -> None:
    console, proxy = (
        os.getpriority(os.PRIO_PROCESS, pid) for pid in (running.console_pid, min(running.proxies))
    )
    # 19 is the lowest priority that there is.
    assert console == min(19, proxy + NICENESS)


def test_it_is_reached_by_three_ways(running: Interceptor) -> None:
    file = running.config_dir / "mcp_token"
    # The console makes it, and may do so after the proxies are ready.
    wait_until(file.exists, "the token is written")
    token = file.read_text()
    for port in (running.mcp_port, running.port, running.console_port):
        url = f"http://127.0.0.1:{port}/mcp"

        def listed(url: str = url) -> Any:
            return asyncio.run(call(url, token, "list_flows"))["flows"]

        flows = wait_until(listed, "a flow is recorded")
        assert flows[0]["path"] == "/v1/models"
        assert httpx.post(url, json={}, trust_env=False).status_code == 401
    # The calls themselves are not recorded.
    assert len(flows) == 1


def test_the_write_token_sends_requests_again(running: Interceptor) -> None:
    url = f"http://127.0.0.1:{running.mcp_port}/mcp"
    tokens = [(running.config_dir / name).read_text() for name in ("mcp_token", "mcp_write_token")]
    (flow,) = asyncio.run(call(url, tokens[0], "search_flows", text="models"))["flows"]
    with pytest.raises(AssertionError, match="write token"):
        asyncio.run(call(url, tokens[0], "resend_flow", flow_id=flow["id"]))
    sent = asyncio.run(call(url, tokens[1], "resend_flow", flow_id=flow["id"]))
    assert (sent["resent_from"], sent["problem"]) == (flow["id"], "")

    def resent() -> list[Any]:
        found = asyncio.run(call(url, tokens[1], "search_flows", text="models"))
        return list(found["flows"][:-1])

    (newest,) = wait_until(resent, "the request is recorded again")
    assert sent["flow_id"] in (None, newest["id"])


def test_status_knows_it(running: Interceptor) -> None:
    def status(*flags: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {**running.environ, **more, "PYTHONPATH": str(ROOT)}
        command = [*CCPROXY, "status", *flags]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert status("--mcp").returncode == 0
    assert status("--mcp", CCPROXY_MCP__HTTP__PORT="1").returncode == 4
    url = f"http://127.0.0.1:{running.mcp_port}/mcp"
    expected = {"enabled": True, "running": True, "port": running.mcp_port, "url": url}
    assert json.loads(status("--json").stdout)["mcp"] == expected


def test_fastmcp_is_loaded_by_the_console_alone(running: Interceptor) -> None:
    # An extension module that only FastMCP's imports bring.
    def loaded(pid: int) -> bool:
        return "_rust_notify" in Path(f"/proc/{pid}/maps").read_text()

    assert loaded(running.console_pid)
    assert not any(loaded(pid) for pid in (*running.proxies, running.recorder_pid))


# Notifications


def notify(proxy: Interceptor, summary: str, session: str = "main", **more: Any) -> str:
    """Send an event over a connection of its own; either worker may take it."""
    sent = {
        "task_id": f"task of {session}",
        "session_id": session,
        "event": {"tier": 2, "summary": summary},
        **more,
    }
    headers = {"x-ccproxy-notify-secret": SECRET, "connection": "close"}
    url = f"{proxy.url}/mcp/notify"
    response = httpx.post(url, json=sent, headers=headers, trust_env=False)
    assert response.status_code == 200
    return str(response.json()["status"])


def told(upstream: Upstream) -> list[str]:
    """Summaries of the events in the newest request, wherever its format has them."""
    texts = re.findall(r'(?:summary|report)\\*": ?\\*"([^"\\]*)', json.dumps(upstream.last.json))
    return [text for text in texts if text]


def anthropic_ask(proxy: Interceptor, session: str, **more: Any) -> Any:
    client = anthropic.Anthropic(api_key="sk-ccproxy-up", base_url=proxy.url, max_retries=0)
    values = {
        "model": "demo",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "Hello"}],
        "metadata": {"user_id": f"user_a_account__session_{session}"},
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        **more,
    }
    headers = {"connection": "close"}
    return client.messages.create(extra_headers=headers, **values)


def openai_client(proxy: Interceptor) -> Any:
    return openai.OpenAI(api_key="sk-ccproxy-up", base_url=f"{proxy.url}/v1", max_retries=0)


CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
WAITING = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": [CALL]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}],
    },
]


def until_told(upstream: Upstream, ask: Any, wanted: list[str]) -> None:
    """Ask until the events are in a request: a worker hears of a session a moment later."""

    def is_told() -> bool:
        ask()
        return told(upstream) == wanted

    wait_until(is_told, f"{wanted} is in a request")


def test_events_reach_four_formats_once(upstream: Upstream, running: Interceptor) -> None:
    headers = {"x-session-id": "main"}
    chat = {
        "model": "demo",
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        "extra_headers": headers,
    }
    google = genai.Client(
        api_key="sk-ccproxy-up",
        http_options=genai_types.HttpOptions(base_url=running.url, headers=headers),
    )
    asks = {
        "anthropic": lambda: anthropic_ask(running, SESSION),
        "pending result": lambda: anthropic_ask(running, SESSION, messages=WAITING),
        "chat": lambda: openai_client(running).chat.completions.create(**chat),
        "responses": lambda: openai_client(running).responses.create(
            model="demo", input="Hello", extra_headers=headers
        ),
        "google": lambda: google.models.generate_content(model="demo", contents="Hello"),
    }
    for name, ask in asks.items():
        assert notify(running, name, claude_session_id=SESSION) == "ok"
        until_told(upstream, ask, [name])
        # A success uses the events up.
        until_told(upstream, ask, [])


def test_a_pair_stands_behind_the_result_that_waits(
    upstream: Upstream, running: Interceptor
) -> None:
    notify(running, "behind", session="order", claude_session_id=SESSION)
    until_told(upstream, lambda: anthropic_ask(running, SESSION, messages=WAITING), ["behind"])
    turns = upstream.last.json["messages"]
    assert turns[:3] == WAITING
    call, result = turns[3]["content"][0], turns[4]["content"][0]
    assert (call["type"], result["type"]) == ("tool_use", "tool_result")
    assert call["id"] == result["tool_use_id"]


def test_a_failed_request_gives_its_events_back(upstream: Upstream, running: Interceptor) -> None:
    def fail() -> None:
        with pytest.raises(anthropic.APIStatusError):
            anthropic_ask(running, "failing")

    upstream.scripts["/v1/messages"] = Script(status=400, pieces=(b'{"error": {"message": "no"}}',))
    notify(running, "again", session="failing")
    until_told(upstream, fail, ["again"])
    upstream.scripts.clear()
    until_told(upstream, lambda: anthropic_ask(running, "failing"), ["again"])


def test_an_overflow_is_marked(upstream: Upstream, running: Interceptor) -> None:
    for number in range(5):
        notify(running, f"event {number}", session="flood")
    until_told(upstream, lambda: anthropic_ask(running, "flood"), ["event 3", "event 4"])
    sent = json.dumps(upstream.last.json)
    assert "ccproxy_buffer_overflow" in sent
    assert re.search(r'dropped_events[\\"]*: 3', sent)


def test_who_may_not_notify_changes_nothing(upstream: Upstream, running: Interceptor) -> None:
    url = f"{running.url}/mcp/notify"
    good = {"task_id": "t", "session_id": "quiet", "event": {"summary": "x"}}
    for body, headers in (
        (json.dumps(good), {}),
        (json.dumps(good), {"x-ccproxy-notify-secret": "wrong"}),
        ("{", {"x-ccproxy-notify-secret": SECRET}),
        ("x" * 100_000, {"x-ccproxy-notify-secret": SECRET}),
    ):
        found = httpx.post(url, content=body, headers=headers, trust_env=False)
        assert (found.status_code, found.json()) == (200, {"status": "error"})
    page = {"origin": "https://evil.example", "x-ccproxy-notify-secret": SECRET}
    assert httpx.post(url, json=good, headers=page, trust_env=False).status_code == 403
    anthropic_ask(running, "quiet")
    assert told(upstream) == []


def test_the_commands_of_the_guide(upstream: Upstream, running: Interceptor) -> None:
    text = (ROOT / "docs/mcp.md").read_text()
    commands = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    outputs = []
    for command in commands:
        for written, own in (
            ("127.0.0.1:4030", f"127.0.0.1:{running.mcp_port}"),
            ("127.0.0.1:4000", f"127.0.0.1:{running.port}"),
            ("~/.config/ccproxy", str(running.config_dir)),
        ):
            command = command.replace(written, own)
        environ = {**os.environ, "NOTIFY_SECRET": SECRET, "no_proxy": "*"}
        done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True)
        outputs.append(done.stdout)
    listed, notified = outputs
    assert '"list_flows"' in listed
    assert json.loads(notified) == {"status": "ok"}
    # The session of the example is that of another test's SDK: use the event up.
    until_told(upstream, lambda: anthropic_ask(running, "main"), ["12 tests failed"])
    assert tomllib.loads(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    (snippet,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert json.loads(snippet)["mcpServers"]["ccproxy"]["args"] == ["mcp"]


def test_events_survive_a_restart_of_the_recorder(upstream: Upstream, running: Interceptor) -> None:
    notify(running, "kept", session="long")
    before = running.recorder_pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.children("recorder_main") - {before}, "a new recorder")
    until_told(upstream, lambda: anthropic_ask(running, "long"), ["kept"])
