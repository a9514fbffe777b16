"""Tools that run at the client's vendor: left out beside others, refused where they are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.errors import UnsupportedByTarget
from tests.providers.wire.asking import A, C, G, R, go, user

# What each client declares: a tool that runs at its vendor, and a function.
SERVER: dict[Any, tuple[str, dict[str, Any], dict[str, Any]]] = {
    A: (
        "web_search_20250305",
        {"type": "web_search_20250305", "name": "web_search"},
        {"name": "f", "input_schema": {"type": "object"}},
    ),
    R: (
        "web_search",
        {"type": "web_search", "external_web_access": True},
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
    ),
    G: ("googleSearch", {"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}),
    C: (
        "openrouter:web_search",
        {"type": "openrouter:web_search"},
        {"type": "function", "function": {"name": "f", "parameters": {}}},
    ),
}
FORCED: dict[Any, dict[str, Any]] = {
    A: {"tool_choice": {"type": "tool", "name": "web_search"}},
    R: {"tool_choice": {"type": "web_search"}},
}
PAIRS = [(src, dst) for src in SERVER for dst in SERVER if src != dst]


def asked(src: Any, *tools: dict[str, Any], **more: Any) -> dict[str, Any]:
    if src == R:
        return {"input": "x", "tools": list(tools), **more}
    if src == G:
        return {"contents": [{"parts": [{"text": "x"}]}], "tools": list(tools), **more}
    return {"messages": [user()], "max_tokens": 9, "tools": list(tools), **more}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_beside_functions_they_are_left_out_with_a_loss(src: Any, dst: Any) -> None:
    name, server, function = SERVER[src]
    for tools in ((server, function), (function, server)):
        body, losses = go(asked(src, *tools), src, dst)
        assert "earch" not in json.dumps(body["tools"])
        assert '"f"' in json.dumps(body["tools"])
        assert [loss.path for loss in losses if loss.path.startswith("tools")] == [f"tools.{name}"]


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_alone_they_are_refused_by_name(src: Any, dst: Any) -> None:
    name, server, _ = SERVER[src]
    with pytest.raises(UnsupportedByTarget, match=name):
        go(asked(src, server), src, dst)


@pytest.mark.parametrize("src", FORCED)
def test_a_forced_one_is_refused_by_name(src: Any) -> None:
    _, server, function = SERVER[src]
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        go(asked(src, server, function, **FORCED[src]), src, G)


def test_one_of_several_allowed_is_left_out() -> None:
    _, server, function = SERVER[R]
    allowed = [{"type": "web_search"}, {"type": "function", "name": "f"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    body, _ = go(asked(R, server, function, tool_choice=choice), R, A)
    assert body["tool_choice"] == {"type": "tool", "name": "f"}


def test_what_may_not_be_called_needs_no_refusal() -> None:
    _, server, _ = SERVER[R]
    body, losses = go(asked(R, server, tool_choice="none"), R, A)
    assert "tools" not in body
    assert [loss.path for loss in losses] == ["tools.web_search"]


def test_mcp_servers_are_left_out_like_tools() -> None:
    mcp = {"mcp_servers": [{"type": "url", "name": "s", "url": "https://s.invalid"}]}
    _, _, function = SERVER[A]
    body, losses = go(asked(A, function, **mcp), A, C)
    assert len(body["tools"]) == 1
    assert "tools.mcp_servers" in [loss.path for loss in losses]
    with pytest.raises(UnsupportedByTarget, match="mcp_servers"):
        go({"messages": [user()], "max_tokens": 9, **mcp}, A, C)


def test_the_request_may_be_refused_instead() -> None:
    _, server, function = SERVER[R]
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        go(asked(R, server, function), R, A, server_tools="refuse")
