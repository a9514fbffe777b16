"""A large record, and many calls at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from mcp import Client

from flows.models import Flow
from tests.ccproxy_site.mcp.conftest import READ, calling, with_client
from tests.flows.seed import NOW


def test_a_thousand_flows_and_fifty_calls_at_once(tmp_path: Path, transactional_db: None) -> None:
    flows = [
        Flow(
            id=f"f{number:04}",
            state="done",
            started_at=NOW + timedelta(seconds=number),
            method="POST",
            host="api.example",
            path="/v1/messages",
            status_code=200,
            conversation_id=f"c{number % 7}",
            user_agent="x" * 200,
            revision=1,
        )
        for number in range(1000)
    ]
    Flow.objects.bulk_create(flows)
    ask = calling(tmp_path, READ)
    newest = ask("list_flows", limit=200)
    assert newest["flows"][0]["id"] == "f0999"
    assert "of 1000 are shown" in newest["note"]
    ids = ask("list_flows", jq_filter="map(.id)")["flows"]
    assert len(ids) == 1000
    cut = ask("list_flows", jq_filter=".")
    assert 0 < len(cut["flows"]) < 100
    assert "of 1000 are shown" in cut["note"]
    assert len(ask("list_conversations")["conversations"]) == 7

    async def at_once(client: Client) -> None:
        calls = [client.call_tool("get_flow", {"flow_id": f"f{n:04}"}) for n in range(50)]
        for number, result in enumerate(await asyncio.gather(*calls)):
            found = result.structured_content or {}
            assert found["flow"]["id"] == f"f{number:04}"

    with_client(tmp_path, READ, at_once)
