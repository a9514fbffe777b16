"""Every tool, resource and prompt, called by the official client."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from mcp import Client

from ccproxy_site.console.api_tokens import create_api_token
from ccproxy_site.mcp.mcp_app import McpApp
from ccproxy_site.mcp.tool_table import TOOLS
from flows.models import Flow
from providers.models import AuditEntry, Provider
from shapes.models import Shape
from tests.ccproxy_site.mcp.conftest import (
    READ,
    URL,
    WRITE,
    calling,
    connected,
    http_client,
    with_client,
)
from tests.ccproxy_site.mcp.test_library_tools import CHANGES as LIBRARY_CHANGES
from tests.flows.seed import IDS, SESSION, add_flow
from tests.flows.seed_session import SESSION as BROKEN_SESSION
from tests.flows.seed_session import TURN_IDS
from tests.shapes.captured import captured_flow, recorded_sdk_flow
from tests.visitors import staff_with

READING: dict[str, dict[str, Any]] = {
    "list_flows": {},
    "search_flows": {"provider": "anthropic"},
    "get_flow": {"flow_id": IDS["chat"]},
    "get_request_body": {"flow_id": IDS["chat"], "as_forwarded": True},
    "get_response_body": {"flow_id": IDS["chat"], "as_delivered": True},
    "get_conversation": {"flow_id": IDS["anthropic"]},
    "explain_flow": {"flow_id": IDS["anthropic"]},
    "why_cache_missed": {"flow_id": TURN_IDS[1]},
    "context_breakdown": {"flow_id": TURN_IDS[1]},
    "translation_losses": {},
    "list_conversations": {},
    "session_summary": {"session_id": BROKEN_SESSION},
    "usage": {"days": 30},
    "export_session": {"session_id": BROKEN_SESSION},
    "dump_har": {"flow_ids": [IDS["chat"]]},
    "diff_flows": {"flow_ids": TURN_IDS},
    "compare_flow": {"flow_id": IDS["anthropic"]},
    "list_providers": {},
    "list_models": {},
    "list_shapes": {},
}
CHANGING: dict[str, dict[str, Any]] = {
    "clear_flows": {},
    "resend_flow": {"flow_id": "a"},
    "capture_shape": {"flow_id": "a", "provider": "openai"},
}


# Called in test_library_tools.py, on a site.
LIBRARY_READING = {"perplexity_limits", "list_perplexity_threads", "get_perplexity_thread"}
LIBRARY_NAMES = LIBRARY_READING | LIBRARY_CHANGES.keys()


def test_the_tools_are_these() -> None:
    changing = CHANGING.keys() | LIBRARY_CHANGES.keys()
    assert {tool.name for tool in TOOLS if tool.changes} == changing
    assert {tool.name for tool in TOOLS} == READING.keys() | LIBRARY_READING | changing


def test_every_tool_by_the_read_token(tmp_path: Path, record: None) -> None:
    async def call_all(client: Client) -> None:
        listed = (await client.list_tools()).tools
        for tool in listed:
            assert tool.description
            assert tool.output_schema
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (
                tool.name in READING.keys() | LIBRARY_READING
            )
        await call_reading(client)
        for name, values in CHANGING.items():
            result = await client.call_tool(name, values)
            assert result.is_error, name
            assert "write token" in str(result.content)

    before = Flow.objects.count()
    with_client(tmp_path, READ, call_all)
    with_client(tmp_path, WRITE, call_reading)
    assert Flow.objects.count() == before


async def call_reading(client: Client) -> None:
    """Call each tool that changes nothing; each must have a bounded result."""
    for name, values in READING.items():
        result = await client.call_tool(name, values)
        assert not result.is_error, (name, result.content)
        # The client has validated this against the schema.
        assert result.structured_content, name
        assert len(json.dumps(result.structured_content)) < 70_000


async def test_every_tool_is_refused_without_a_token_and_without_the_right(app: McpApp) -> None:
    blind = await sync_to_async(create_api_token)(await sync_to_async(staff_with)("blind"))
    library = {name: {"slug": "t", **LIBRARY_CHANGES.get(name, {})} for name in LIBRARY_NAMES}
    calls = {**READING, **CHANGING, **library, "perplexity_limits": {}}
    calls["list_perplexity_threads"] = {}
    assert calls.keys() == {tool.name for tool in TOOLS}
    async with http_client(app, accept="application/json, text/event-stream") as bare:
        for name, values in calls.items():
            request = {"name": name, "arguments": values}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": request}
            response = await bare.post(URL, json=message)
            assert response.status_code == 401, name
            assert "result" not in response.text, name
    async with connected(app, blind) as client:
        for tool in TOOLS:
            refused = await client.call_tool(tool.name, calls[tool.name])
            assert refused.is_error, tool.name
            assert any(right in str(refused.content) for right in tool.rights), tool.name


def test_resources_and_prompts(tmp_path: Path, record: None) -> None:
    async def read_all(client: Client) -> dict[str, Any]:
        uris = {str(each.uri) for each in (await client.list_resources()).resources}
        assert uris == {"proxy://requests", "proxy://status"}
        templates = (await client.list_resource_templates()).resource_templates
        assert len(templates) == 2
        found = {}
        for uri in (*uris, f"flow://{IDS['chat']}", f"session://{SESSION}"):
            contents = (await client.read_resource(uri)).contents
            found[uri.partition(":")[2]] = json.loads(contents[0].text)  # type: ignore[union-attr]
        prompts = {each.name for each in (await client.list_prompts()).prompts}
        assert prompts == {"review_session", "find_context_filler"}
        prompt = await client.get_prompt("review_session", {"session_id": SESSION})
        assert SESSION in str(prompt.messages[0].content)
        return found

    found = with_client(tmp_path, READ, read_all)
    assert found["//requests"][0]["id"]
    assert found["//status"]["flow_count"] == Flow.objects.count()
    assert found["//status"]["connected"] is False
    assert found[f"//{IDS['chat']}"]["flow"]["id"] == IDS["chat"]
    assert found[f"//{SESSION}"]["session_id"] == SESSION


# What the tools say


def test_the_hook_that_broke_the_cache_is_named(ask) -> None:
    broken = ask("why_cache_missed", flow_id=TURN_IDS[1])
    assert broken["broken"] is True
    assert broken["previous_flow_id"] == TURN_IDS[0]
    assert broken["by"] not in ("", "the client")
    assert ask("why_cache_missed", flow_id=TURN_IDS[2])["by"] == "the client"
    first = ask("why_cache_missed", flow_id=TURN_IDS[0])
    assert (first["broken"], first["previous_flow_id"]) == (None, "")


def test_a_session_is_summed_up(ask) -> None:
    found = ask("session_summary", session_id=BROKEN_SESSION, limit=2)
    assert found["totals"]["requests"] == 3
    assert [row["flow_id"] for row in found["requests"]] == TURN_IDS[1:]
    assert found["left_out"] == 1
    listed = ask("list_conversations", session_id=BROKEN_SESSION)["conversations"]
    assert listed[0]["flow_ids"] == TURN_IDS[::-1]


def test_a_session_is_exported_in_parts(tmp_path: Path, record: None) -> None:
    exports = AuditEntry.objects.filter(action="export", outcome="done")
    before = exports.count()

    async def export(client: Client) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [
            {"limit": 200},
            {"offset": 0, "limit": 60_000},
            {"offset": 150, "limit": 60_000},
            {"kind": "html", "limit": 100},
            {"kind": "jsonl", "limit": 100},
        ]
        found = []
        for part in parts:
            values = {"session_id": BROKEN_SESSION, **part}
            result = await client.call_tool("export_session", values)
            assert not result.is_error, result.content
            found.append(result.structured_content or {})
        unknown = await client.call_tool("export_session", {"session_id": "unknown"})
        assert "No request of this session" in str(unknown.content)
        return found

    first, complete, rest, page, lines = with_client(tmp_path, READ, export)
    assert (first["requests"], first["media_type"]) == (3, "text/markdown; charset=utf-8")
    assert first["part"]["complete"] is False
    text = complete["part"]["text"]
    assert (complete["part"]["complete"], complete["size_bytes"]) == (True, len(text.encode()))
    assert rest["part"]["text"] == text[150:]
    # The command is what the shell takes.
    words = shlex.split(first["command"])
    assert words == ["ccproxy", "flows", "export", BROKEN_SESSION, "-o", first["file_name"]]
    assert page["part"]["text"].startswith("<!doctype html>")
    assert lines["file_name"].endswith(".jsonl")
    assert exports.count() - before == 5


def test_a_context_is_broken_down(ask) -> None:
    found = ask("context_breakdown", flow_id=TURN_IDS[1])
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(1)
    assert found["total_bytes"] == sum(part["size_bytes"] for part in found["parts"])


def test_sides_are_compared(ask) -> None:
    found = ask("compare_flow", flow_id=IDS["anthropic"])
    assert found["identical"] is False
    assert "+++ forwarded:0a1b2c3d" in found["diff"]["text"]
    assert found["client_request"]["text"].startswith("{")


def test_searches(ask) -> None:
    failed = ask("search_flows", failed=True)["flows"]
    assert failed and all(row["error"] or row["status_code"] >= 400 for row in failed)
    of_session = ask("search_flows", session_id=BROKEN_SESSION)["flows"]
    assert [row["id"] for row in of_session] == TURN_IDS[::-1]
    with pytest.raises(AssertionError, match=r"status: .*9xx"):
        ask("search_flows", status="9xx")
    with pytest.raises(AssertionError, match="jq filter"):
        ask("list_flows", jq_filter="map(.id | nonsense)")


def test_secrets_of_providers_stay(tmp_path: Path, transactional_db: None) -> None:
    Provider.objects.create(name="own", type="openai", host="api.example", auth_type="key")
    provider = Provider.objects.get(name="own")
    provider.secret = "canary-key-0123456789"
    provider.save()
    found = calling(tmp_path, READ)("list_providers")
    row = next(each for each in found["providers"] if each["name"] == "own")
    assert row["credential_state"] == "stored"
    assert "canary" not in json.dumps(found)


# What changes something


def test_clearing_keeps_what_is_pinned(tmp_path: Path, transactional_db: None) -> None:
    for name in ("first", "second", "third"):
        add_flow(name, 1, error="broken" if name == "first" else "", pinned=name == "third")
    clear = calling(tmp_path, WRITE)
    assert clear("clear_flows", jq_filter="map(select(.error))") == {"cleared": 1, "kept": 0}
    assert clear("clear_flows") == {"cleared": 1, "kept": 1}
    assert list(Flow.objects.values_list("pk", flat=True)) == ["third"]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.source, entry.actor) == ("clear", "mcp", "MCP write token")
    assert entry.outcome == "done"


def test_a_shape_is_stored_and_not_active(tmp_path: Path, transactional_db: None) -> None:
    flow = captured_flow().flow
    write = calling(tmp_path, WRITE)
    found = write("capture_shape", flow_id=flow.pk, provider="anthropic")
    assert (found["status"], found["shape"]["active"]) == ("ok", False)
    assert write("capture_shape", flow_id=flow.pk, provider="anthropic")["status"] == "unchanged"
    assert Shape.objects.count() == 1


def test_a_resend_needs_a_proxy(tmp_path: Path, transactional_db: None) -> None:
    flow = recorded_sdk_flow()
    with pytest.raises(AssertionError, match="No proxy is running"):
        calling(tmp_path, WRITE)("resend_flow", flow_id=flow.pk)
