"""Web search by the target's own tool, with its results and citations in the client's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.errors import UnsupportedByTarget
from providers.wire.core.base import AnswerContext
from providers.wire.core.sse import SseParser
from providers.wire.marks.native_request import may_have_marks, without_marks
from providers.wire.translate import StreamTranslator, translate_response
from tests.providers.wire.asking import A, C, G, R, go, user

Json = dict[str, Any]
PLACE = {"type": "approximate", "country": "DE"}
SEARCH: dict[Any, Json] = {
    A: {"type": "web_search_20260209", "name": "web_search", "allowed_domains": ["a.test"]}
    | {"user_location": PLACE, "max_uses": 3},
    R: {"type": "web_search", "filters": {"allowed_domains": ["a.test"]}}
    | {"user_location": PLACE, "external_web_access": True},
    G: {"googleSearch": {}},
}
WANTED: dict[Any, Json] = {
    A: {"type": "web_search_20250305", "name": "web_search"},
    R: {"type": "web_search"},
    G: {"googleSearch": {}},
}
PAIRS = [(src, dst) for src in SEARCH for dst in WANTED if src != dst]


def asked(src: Any, *more: Json) -> Json:
    tools = [SEARCH[src], *more]
    if src == G:
        return {"contents": [{"parts": [{"text": "x"}]}], "tools": tools}
    if src == R:
        return {"input": "x", "tools": tools}
    return {"messages": [user()], "max_tokens": 9, "tools": tools}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_the_targets_own_search_takes_the_place(src: Any, dst: Any) -> None:
    body, losses = go(asked(src), src, dst, server_tools="map")
    (tool,) = body["tools"]
    assert {key: tool.get(key) for key in WANTED[dst]} == WANTED[dst]
    assert any("takes its place" in loss.reason for loss in losses)
    if src != G and dst != G:
        assert "a.test" in json.dumps(tool)
        assert tool["user_location"] == PLACE
    elif src != G:
        assert any(loss.path.endswith("allowed_domains") for loss in losses)


def test_functions_stay_beside_it_but_for_google() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    body, _ = go(asked(R, function), R, A, server_tools="map")
    assert [tool["name"] for tool in body["tools"]] == ["f", "web_search"]
    body, losses = go(asked(R, function), R, G, server_tools="map")
    assert [list(tool) for tool in body["tools"]] == [["functionDeclarations"]]
    assert any("without functions" in loss.reason for loss in losses)


def test_a_forced_search_stays_forced() -> None:
    body, _ = go({**asked(R), "tool_choice": {"type": "web_search"}}, R, A, server_tools="map")
    assert body["tool_choice"] == {"type": "tool", "name": "web_search"}
    choice = {"type": "tool", "name": "web_search"}
    body, _ = go({**asked(A), "tool_choice": choice}, A, R, server_tools="map")
    assert body["tool_choice"] == {"type": "web_search"}
    body, losses = go({**asked(A), "tool_choice": choice}, A, G, server_tools="map")
    assert "toolConfig" not in body
    assert "tool_choice" in [loss.path for loss in losses]


def test_other_tools_of_the_vendor_and_other_targets_are_as_before() -> None:
    interpreter = {"type": "code_interpreter", "container": {"type": "auto"}}
    body, losses = go(asked(R, interpreter), R, A, server_tools="map")
    assert [tool["name"] for tool in body["tools"]] == ["web_search"]
    assert "tools.code_interpreter" in [loss.path for loss in losses]
    with pytest.raises(UnsupportedByTarget, match="web_search"):
        go(asked(R), R, C, server_tools="map")


def answer_of(provider: Any) -> Json:
    """A response with one search, one source and a citation of it."""
    url, title = "https://a.test/x", "Title"
    if provider == A:
        call = {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search"}
        found = {"type": "web_search_result", "url": url, "title": title}
        cited = {"type": "web_search_result_location", "url": url, "title": title}
        text = {"type": "text", "text": "cited", "citations": [{**cited, "cited_text": "cited"}]}
        result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01"}
        result["content"] = [{**found, "encrypted_content": "E"}]  # type: ignore[assignment]
        content = [{**call, "input": {"query": "q"}}, result, text]
        return {"type": "message", "id": "m", "content": content, "stop_reason": "end_turn"}
    if provider == R:
        action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": url}]}
        call = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        cited = {"type": "url_citation", "url": url, "title": title}
        part = {"type": "output_text", "text": "cited"}
        part["annotations"] = [{**cited, "start_index": 0, "end_index": 5}]  # type: ignore[assignment]
        message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
        return {"id": "resp_1", "output": [{**call, "action": action}, message]} | {
            "status": "completed"
        }
    support = {"segment": {"text": "cited"}, "groundingChunkIndices": [0]}
    grounding = {"webSearchQueries": ["q"], "groundingSupports": [support]}
    grounding["groundingChunks"] = [{"web": {"uri": url, "title": title}}]
    parts = [{"text": "cited"}]
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    return {"candidates": [{**candidate, "groundingMetadata": grounding}], "responseId": "r"}


def blocks_of(client: Any, body: Json) -> list[Json]:
    found: list[Json] = body["content"] if client == A else body["output"]
    return found


def streamed(provider: Any, client: Any, context: AnswerContext) -> list[Json]:
    stream = StreamTranslator(provider, client, context=context)
    raw = stream.feed(json.dumps(answer_of(provider)).encode()) + stream.flush()
    events = [json.loads(event.data) for event in SseParser().feed(raw)]
    if client == R:
        return blocks_of(R, events[-1]["response"])
    blocks = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    for event in events:
        delta = event.get("delta", {})
        if delta.get("type") == "citations_delta":
            blocks[event["index"]].setdefault("citations", []).append(delta["citation"])
        elif delta.get("type") == "text_delta":
            blocks[event["index"]]["text"] += delta["text"]
    return blocks


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("client", [A, R])
@pytest.mark.parametrize("provider", [A, R, G])
def test_results_and_citations_come_back(provider: Any, client: Any, is_stream: bool) -> None:
    if provider == client:
        return
    context = AnswerContext(client_body=asked(client))
    if is_stream:
        blocks = streamed(provider, client, context)
    else:
        body, _ = translate_response(answer_of(provider), provider, client, context=context)
        blocks = blocks_of(client, body)
    kinds = [block["type"] for block in blocks]
    text = json.dumps(blocks)
    if client == R:
        call = blocks[kinds.index("web_search_call")]
        assert call["action"]["query"] == "q"
        assert call["action"]["sources"] == [{"type": "url", "url": "https://a.test/x"}]
        assert "url_citation" in text
    else:
        call = blocks[kinds.index("server_tool_use")]
        assert call["input"] == {"query": "q"}
        result = blocks[kinds.index("web_search_tool_result")]
        assert result["tool_use_id"] == call["id"]
        assert result["content"][0]["url"] == "https://a.test/x"
        assert "web_search_result_location" in text
    # The client's own vendor made none of it, and never sees it.
    history = {"input": [user(), *blocks]} if client == R else messages(blocks)
    assert may_have_marks(json.dumps(history).encode(), client)
    cleaned = json.dumps(without_marks(history, client, "claude-opus-4-6")[0])
    assert "ccproxy1" not in cleaned
    assert "cited" in cleaned


def messages(blocks: list[Json]) -> Json:
    return {"messages": [user(), {"role": "assistant", "content": blocks}]}


def test_clients_that_declare_no_search_get_no_report() -> None:
    body, losses = translate_response(answer_of(R), R, A)
    assert [block["type"] for block in body["content"]] == ["text"]
    assert "content.web_search_call" in [loss.path for loss in losses]


def test_google_clients_get_the_sources() -> None:
    for provider in (A, R):
        body, _ = translate_response(answer_of(provider), provider, G)
        grounding = body["candidates"][0]["groundingMetadata"]
        assert grounding["groundingChunks"][0]["web"]["uri"] == "https://a.test/x"
