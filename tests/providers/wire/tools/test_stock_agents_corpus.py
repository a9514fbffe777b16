"""What agents send with their default settings is translated for every other vendor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.translate import TargetInfo, translate_request
from tests.providers.wire.asking import A, C, G, R

pytestmark = pytest.mark.corpus

MODELS: dict[WireFormatName, str] = {
    A: "claude-sonnet-4-5",
    C: "gpt-5.2",
    R: "gpt-5.2",
    G: "gemini-3-pro-preview",
}
AGENTS: dict[str, tuple[WireFormatName, str]] = {
    "codex-http+tool": (R, "/responses"),
    "claude-2.1.197+tool": (A, "/messages"),
    "claude-agent-sdk-py+tool": (A, "/messages"),
    "gemini+tool": (G, "enerateContent"),
    "opencode-openai+tool": (R, "/responses"),
    "opencode-compat+tool": (C, "/completions"),
}


def bodies(corpus: Path, agent: str, path: str) -> Iterator[dict[str, Any]]:
    for request in json.loads((corpus / "clients" / f"{agent}.json").read_text()):
        body = request.get("body")
        body = json.loads(body) if isinstance(body, str) and body.startswith("{") else body
        if path in request["path"] and isinstance(body, dict):
            yield body


@pytest.mark.parametrize("agent", AGENTS)
def test_stock_agents_are_never_refused(corpus: Path, agent: str) -> None:
    src, path = AGENTS[agent]
    found = list(bodies(corpus, agent, path))
    assert len(found) > 1, "a tool round trip has two requests"
    for body in found:
        for dst in MODELS:
            if dst == src:
                continue
            asked, losses = translate_request(body, src, dst, target=TargetInfo(model=MODELS[dst]))
            # All that the client runs is offered; what is left out is said.
            said = {loss.path for loss in losses}
            for tool in body.get("tools", []):
                if tool.get("type") in ("web_search", "tool_search"):
                    assert f"tools.{tool['type']}" in said
            text = json.dumps(asked)
            assert '"type": "web_search' not in json.dumps(asked.get("tools"))
            for call in json.dumps(body).split('"call_id": "')[1:]:
                assert call.partition('"')[0][:20] in text
