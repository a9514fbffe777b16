"""The demo's agent: client and provider agree on each turn, and the usage shows the cache break."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from interceptor.demo.agent_provider import turn_of, usage_of
from interceptor.demo.agent_script import BREAK_AT, STEPS, blocks, picture
from interceptor.demo.agent_session import session_requests
from interceptor.demo.dispatch import answer
from interceptor.demo.requests import DemoRequest
from interceptor.demo.script import Answer

SESSION = "0b7c3a52-6f0e-4a2b-9d0c-111122223333"
REQUESTS = session_requests(SESSION)
TURNS = REQUESTS[: len(STEPS)]


def reply(request: DemoRequest) -> Answer:
    return answer("POST", request.path, request.headers, json.dumps(request.body).encode())


def events(found: Answer) -> list[dict[str, Any]]:
    return [json.loads(piece.decode().split("data: ", 1)[1]) for piece in found.pieces]


def test_there_are_twelve_turns_of_one_session() -> None:
    assert len(STEPS) == 12
    assert [turn_of(request.body) for request in REQUESTS] == [*range(12), None, None]
    for request in REQUESTS:
        assert SESSION in request.body["metadata"]["user_id"]


@pytest.mark.parametrize("index", range(len(STEPS)))
def test_the_provider_says_what_the_next_request_repeats(index: int) -> None:
    said: list[dict[str, Any]] = []
    for event in events(reply(TURNS[index])):
        if event["type"] == "content_block_start":
            said.append(dict(event["content_block"]))
            parts = ""
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            parts += delta.get("text", delta.get("partial_json", ""))
        elif event["type"] == "content_block_stop":
            key, value = (
                ("text", parts) if said[-1]["type"] == "text" else ("input", json.loads(parts))
            )
            said[-1][key] = value
    assert said == blocks(index)
    if index + 1 < len(STEPS):
        assert TURNS[index + 1].body["messages"][-2] == {"role": "assistant", "content": said}


def test_the_cache_grows_and_breaks_once() -> None:
    read = [usage_of(turn)["cache_read_input_tokens"] for turn in range(len(STEPS))]
    assert [turn for turn, tokens in enumerate(read) if not tokens] == [0, BREAK_AT]
    kept = [tokens for tokens in read if tokens]
    assert kept == sorted(kept)
    systems = [json.dumps(request.body["system"]) for request in TURNS]
    changed = [turn for turn in range(1, 12) if systems[turn] != systems[turn - 1]]
    assert changed == [BREAK_AT]


def test_it_shows_an_image_and_tools_of_every_kind() -> None:
    assert base64.b64decode(picture()).startswith(b"\x89PNG\r\n")
    last = json.dumps(TURNS[-1].body)
    for part in ('"image"', "TodoWrite", "Bash", "Read", "Edit", "Write"):
        assert part in last


def test_one_stream_is_cut_and_one_request_loses_fields() -> None:
    cut, lossy = REQUESTS[-2:]
    found = reply(cut)
    assert found.is_cut
    assert all(event["type"] != "message_stop" for event in events(found))
    assert {"top_k", "messages"} <= lossy.body.keys()
    assert lossy.headers["x-api-key"] == "sk-ccproxy-demo-openai"
