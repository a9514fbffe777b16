"""The MCP server of a running installation, asked by the official client."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.calls import CCPROXY
from tests.e2e.process import Interceptor, wait_until
from tests.e2e.process import running as run
from tests.environment import ROOT

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    with run(Interceptor(tmp_path_factory.mktemp("mcp"), "", "--workers", "2")) as interceptor:
        # An own request, so that there is a flow.
        httpx.get(f"{interceptor.url}/v1/models", trust_env=False)
        yield interceptor


async def call(url: str, token: str, name: str, **values: Any) -> dict[str, Any]:
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        result = await client.call_tool(name, values)
    assert not result.is_error, result.content
    return result.structured_content or {}


def test_it_is_reached_by_three_ways(running: Interceptor) -> None:
    token = (running.config_dir / "mcp_token").read_text()
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
