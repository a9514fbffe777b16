"""Who gets in: tokens, names, origins."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from ccproxy_site.console.api_tokens import create_api_token
from ccproxy_site.mcp.bearer_tokens import BearerTokens
from ccproxy_site.mcp.mcp_app import McpApp
from interceptor.config.files.server import ServerSettings
from tests.ccproxy_site.mcp.conftest import READ, URL, WRITE, connected, http_client, settings_with
from tests.visitors import staff_with

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"accept": "application/json, text/event-stream"}


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def status(app: McpApp, token: str = "", url: str = URL, **headers: str) -> int:
    async with http_client(app, token, **ACCEPT, **headers) as client:
        return (await client.post(url, json=PING)).status_code


async def test_no_token_no_entry(app) -> None:
    assert await status(app) == 401
    assert await status(app, "wrong-token-0123456789") == 401
    assert await status(app, READ[:-1]) == 401
    assert await status(app, READ) == 200
    assert await status(app, WRITE) == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:4030"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:4030"}, 421),
        ({"host": ""}, 400),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "localhost:4000"}, 200),
        ({"host": "[::1]:4030"}, 200),
    ],
)
async def test_foreign_pages_and_names_are_refused(app, headers, expected) -> None:
    assert await status(app, READ, **headers) == expected


async def test_only_one_path_is_served(app) -> None:
    assert await status(app, READ, "http://127.0.0.1:4030/mcp/") == 200
    assert await status(app, READ, "http://127.0.0.1:4030/") == 404
    assert await status(app, READ, "http://127.0.0.1:4030/mcp/../flows") == 404


async def test_api_tokens_have_the_rights_of_their_account(app) -> None:
    tokens = {}
    for name, rights in (("sees", ["flows.view_flow"]), ("blind", [])):
        user = await sync_to_async(staff_with)(name, *rights)
        tokens[name] = await sync_to_async(create_api_token)(user)
    async with connected(app, tokens["sees"]) as client:
        assert not (await client.call_tool("list_flows", {})).is_error
    async with connected(app, tokens["blind"]) as client:
        refused = await client.call_tool("list_flows", {})
    assert refused.is_error
    assert "flows.view_flow" in str(refused.content)


async def test_tokens_are_made_for_their_owner_alone(tmp_path: Path, db: None) -> None:
    tokens = BearerTokens(ServerSettings(), tmp_path)
    await tokens.prepare()
    for name, right in (("mcp_token", False), ("mcp_write_token", True)):
        file = tmp_path / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        caller = await tokens.caller_of(file.read_text(), "127.0.0.1")
        assert caller is not None
        assert caller.has_right("flows.view_flow")
        assert caller.has_right("flows.delete_flow") is right


@pytest.mark.parametrize(
    "source",
    [
        "",
        "  ",
        {"type": "file", "file": "/nowhere/at/all"},
        {"type": "command", "command": "true"},
        {"type": "command", "command": "exit 3"},
        {},
    ],
)
@pytest.mark.django_db(transaction=True)
async def test_a_source_that_yields_nothing_lets_no_caller_in(tmp_path: Path, source: Any) -> None:
    tokens = BearerTokens(settings_with(auth=source, write_auth=source), tmp_path)
    for shown in ("", " ", "anything-at-all-0123"):
        assert await tokens.caller_of(shown, "") is None
    assert files_in(tmp_path) == []


@pytest.mark.django_db(transaction=True)
async def test_sources_are_commands_and_files_that_may_change(tmp_path: Path) -> None:
    now = [100.0]
    file = tmp_path / "token"
    file.write_text("first-token-0123456789\n")
    settings = settings_with(
        auth={"type": "file", "file": str(file)},
        write_auth={"type": "command", "command": "echo command-token-0123"},
    )
    tokens = BearerTokens(settings, tmp_path, clock=lambda: now[0])

    async def name_of(shown: str) -> str:
        caller = await tokens.caller_of(shown, "")
        return caller.name if caller else ""

    assert await name_of("command-token-0123") == "MCP write token"
    assert await name_of("first-token-0123456789") == "MCP read token"
    file.write_text("second-token-0123456789\n")
    assert await name_of("second-token-0123456789") == ""
    now[0] += 11
    assert await name_of("second-token-0123456789") == "MCP read token"
    assert await name_of("first-token-0123456789") == ""
