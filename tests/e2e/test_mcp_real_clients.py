"""MCP clients of Claude Code and Codex call our tools, as a scripted model tells them to.

    CCPROXY_TEST_REAL_CLIENTS=1 pytest tests/e2e/test_mcp_real_clients.py

See `real_clients.py`. Model and MCP server are on loopback.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import config_for
from tests.e2e.process import Interceptor, wait_until
from tests.e2e.process import running as run
from tests.e2e.real_clients import CLIENT_TIMEOUT_S, CODEX_SETTINGS, MARKS, environment
from tests.e2e.test_mcp import call
from tests.fakes.upstream import Script, Seen, Upstream, sse

pytestmark = MARKS
TOOL = "list_flows"
SAID = "The scripted model has read the list."


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("mcp-clients")
    with run(Interceptor(folder, config_for(upstream, folder))) as interceptor:
        # A flow that the list then shows.
        httpx.get(f"{interceptor.url}/v1/models?wanted=1", trust_env=False)
        file = interceptor.config_dir / "mcp_token"
        # The console makes it, which starts behind the proxy.
        wait_until(file.exists, "the MCP server has its token")
        token = file.read_text()
        url = f"http://127.0.0.1:{interceptor.mcp_port}/mcp"

        def listed() -> Any:
            try:
                return asyncio.run(call(url, token, TOOL))["flows"]
            except ExceptionGroup:
                # On a busy machine the first call takes longer than the client waits.
                return None

        # The server's first call loads it, for which the programs would not wait.
        wait_until(listed, "the flow is listed")
        yield interceptor


def event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def anthropic_model(seen: Seen) -> Script:
    """Calls the tool if the client offers it, and ends once its result has come."""
    body = seen.json
    offered = [tool["name"] for tool in body.get("tools", ())]
    name = next((name for name in offered if name.endswith(TOOL)), "")
    has_result = b'"tool_result"' in seen.body
    block: dict[str, Any] = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": SAID}
    if name and not has_result:
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": "{}"}
    reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    message |= {"content": [], "stop_reason": None, "usage": usage}
    return sse(
        event("message_start", message=message),
        event("content_block_start", index=0, content_block=block),
        event("content_block_delta", index=0, delta=delta),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": reason}, usage=usage),
        event("message_stop"),
    )


def responses_model(seen: Seen) -> Script:
    """Does the same as a model of OpenAI's Responses, which speaks no websockets."""
    if seen.method == "GET":
        return Script(426)
    body = seen.json
    item: dict[str, Any] = {"type": "message", "id": "m", "role": "assistant"}
    item["content"] = [{"type": "output_text", "text": SAID, "annotations": []}]
    if b"function_call_output" not in seen.body:
        call = {"type": "function_call", "id": "f", "call_id": "call_1", "arguments": "{}"}
        item = call | offered_tool(body)
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    ended = response | {"status": "completed", "output": [item], "usage": usage}
    return sse(
        event("response.created", response=response),
        event("response.output_item.added", output_index=0, item=item),
        event("response.output_item.done", output_index=0, item=item),
        event("response.completed", response=ended),
    )


def offered_tool(body: dict[str, Any]) -> dict[str, str]:
    """The name by which the client offers the tool: its own, or within a namespace."""
    for tool in body.get("tools", ()):
        if tool.get("name", "").endswith(TOOL):
            return {"name": tool["name"]}
        for inner in tool.get("tools", ()):
            if inner.get("name", "").endswith(TOOL):
                return {"name": inner["name"], "namespace": tool["name"]}
    raise AssertionError(f"not offered: {json.dumps(body.get('tools'))[:2000]}")


def ask(command: list[str], home: Path, **more: str) -> str:
    """Give a program one prompt; what it prints."""
    if not Path(command[0]).exists():
        pytest.skip(f"{command[0]} is not installed")
    home.mkdir()
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_claude_code(
    programs: Path, running: Interceptor, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["/v1/messages"] = anthropic_model
    token = (running.config_dir / "mcp_token").read_text()
    server = {
        "type": "http",
        "url": f"http://127.0.0.1:{running.mcp_port}/mcp",
        "headers": {"Authorization": f"Bearer {token}"},
    }
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"ccproxy": server}}))
    command = [str(programs / "claude"), "-p", "List the flows.", "--model", "haiku"]
    command += ["--mcp-config", str(config), "--strict-mcp-config"]
    command += ["--allowedTools", f"mcp__ccproxy__{TOOL}"]
    said = ask(
        command,
        tmp_path / "home",
        ANTHROPIC_BASE_URL=running.url,
        ANTHROPIC_API_KEY="sk-ccproxy-up",
        # Else it offers tools only to a model that searches for them.
        ENABLE_TOOL_SEARCH="false",
        MCP_TIMEOUT="120000",
        MCP_CONNECTION_NONBLOCKING="false",
    )
    assert SAID in said
    results = [
        block
        for seen in upstream.requests
        for message in seen.json["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    assert results, [tool["name"] for tool in upstream.last.json.get("tools", ())]
    assert "wanted=1" in json.dumps(results[0])


def test_codex(programs: Path, running: Interceptor, upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["/v1/responses"] = responses_model
    token = (running.config_dir / "mcp_token").read_text()
    server = "mcp_servers.ccproxy"
    settings = [
        *CODEX_SETTINGS,
        f'openai_base_url="{running.url}/v1"',
        f'{server}.url="http://127.0.0.1:{running.mcp_port}/mcp"',
        f'{server}.bearer_token_env_var="CCPROXY_MCP_TOKEN"',
        # Else it asks its model before the server has listed its tools.
        f"{server}.required=true",
        f"{server}.startup_timeout_sec=120",
    ]
    command = [str(programs / "codex"), "exec", "--skip-git-repo-check", "-m", "gpt-5.2"]
    command += [word for value in settings for word in ("-c", value)]
    said = ask(
        [*command, "List the flows."],
        tmp_path / "home",
        CODEX_API_KEY="sk-ccproxy-up",
        CCPROXY_MCP_TOKEN=token,
    )
    assert SAID in said
    outputs = [
        item
        for seen in upstream.requests
        if seen.method == "POST"
        for item in seen.json["input"]
        if item.get("type") == "function_call_output"
    ]
    assert outputs
    assert "wanted=1" in json.dumps(outputs[0])
