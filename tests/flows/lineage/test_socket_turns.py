"""Turns of a websocket: one row a request, timed, priced, with the cache break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from flows.lineage.socket_turns import Frame, SocketTurn, socket_turns
from flows.models import Flow, WebSocketMessage
from tests.flows.seed import add_flow, store

Value = dict[str, Any]
TOOLS = [{"type": "function", "name": "shell", "parameters": {"type": "object"}}]
ASK: Value = {"role": "user", "content": [{"type": "input_text", "text": "Which files are here?"}]}
CALL: Value = {
    "type": "function_call",
    "call_id": "c1",
    "name": "shell",
    "arguments": '{"command": "ls"}',
}
OUTPUT: Value = {"type": "function_call_output", "call_id": "c1", "output": "two files"}
SAID: Value = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Two files: a and b."}],
}
THANKS: Value = {"role": "user", "content": [{"type": "input_text", "text": "Thanks."}]}


def create(items: list[Value], **fields: Any) -> Value:
    first = {
        "type": "response.create",
        "model": "gpt-5",
        "instructions": "You help.",
        "tools": TOOLS,
    }
    return {**first, "input": items, **fields}


def response(number: int, item: Value, *, read: int = 0, tokens: int = 3000) -> list[Value]:
    """Frames of a response; the provider gives its items ids and states."""
    usage = {
        "input_tokens": tokens,
        "input_tokens_details": {"cached_tokens": read},
        "output_tokens": 20,
        "total_tokens": tokens + 20,
    }
    done = {"id": f"r{number}", "status": "completed", "usage": usage, "output": []}
    return [
        {"type": "response.created", "response": {"id": f"r{number}"}},
        {
            "type": "response.output_item.done",
            "item": {**item, "id": f"i{number}", "status": "completed"},
        },
        {"type": "response.completed", "response": done},
    ]


def frames(values: list[Value]) -> list[Frame]:
    found = []
    for seq, value in enumerate(values):
        from_client = value["type"] == "response.create"
        found.append(Frame(seq, 100.0 * seq, from_client, json.dumps(value).encode()))
    return found


def turns(*values: Value) -> list[SocketTurn]:
    return socket_turns(frames(list(values)))


SESSION = [
    create([ASK], generate=False),
    {"type": "response.completed", "response": {"id": "r0", "status": "completed", "output": []}},
    create([ASK]),
    *response(1, CALL),
    create([OUTPUT], previous_response_id="r1"),
    *response(2, SAID, read=2900, tokens=3100),
]


def test_each_request_is_a_turn_with_times_sizes_and_tokens() -> None:
    warm_up, first, second = turns(*SESSION)
    assert (warm_up.is_warm_up, first.is_warm_up) == (True, False)
    assert [turn.number for turn in (warm_up, first, second)] == [1, 2, 3]
    assert (first.first_seq, first.last_seq, first.events) == (2, 5, 3)
    assert (first.began_ms, first.wait_ms, first.duration_ms) == (200, 100, 300)
    assert first.sent_bytes == len(json.dumps(SESSION[2]))
    assert first.metered is not None
    assert (first.metered.usage.input_tokens, first.model) == (3000, "gpt-5")
    assert (first.said, second.said) == ("⚙ shell", "Two files: a and b.")
    assert second.asked == "Which files are here?"
    # What the provider keeps is part of the request.
    kinds = [item.get("type", "message") for item in second.request["input"]]
    assert kinds == ["message", "function_call", "function_call_output"]
    assert second.request["tools"] == TOOLS
    assert [turn.broken for turn in (warm_up, first, second)] == [None, None, None]


def test_a_client_that_repeats_everything_breaks_nothing() -> None:
    complete = [ASK, CALL, OUTPUT, SAID, THANKS]
    last = turns(*SESSION, create(complete), *response(3, SAID))[-1]
    assert last.broken is None


@pytest.mark.parametrize(
    ("changes", "path", "kind"),
    [
        ({"instructions": "You help on Tuesdays."}, "instructions[0]", "changed"),
        ({"tools": []}, "tools[name=shell]", "removed"),
        (
            {"input": [{**ASK, "content": "Other"}, CALL, OUTPUT, SAID, THANKS]},
            "input[0]",
            "changed",
        ),
        ({"model": "gpt-5-mini"}, "model", "model"),
    ],
)
def test_a_break_is_found_between_turns(changes: Value, path: str, kind: str) -> None:
    last = turns(*SESSION, create([ASK, CALL, OUTPUT, SAID, THANKS], **changes))[-1]
    assert last.broken is not None
    assert (last.broken.path, last.broken.kind, last.is_running) == (path, kind, True)


def test_a_failed_turn_is_no_start_for_the_next_one() -> None:
    error: Value = {"type": "error", "status": 429, "error": {"message": "slow down"}}
    found = turns(*SESSION, create([{**ASK, "content": "x"}]), error, create([ASK, CALL, OUTPUT]))
    assert "slow down" in found[-2].failure
    assert found[-1].previous is found[-3]


@pytest.mark.parametrize("junk", [b"\x00", b"[]", b"{", b'{"type": "response.create", "input": 3}'])
def test_odd_messages_break_nothing(junk: bytes) -> None:
    odd = [Frame(0, 0, True, junk), Frame(1, 1, False, junk)]
    assert len(socket_turns([*odd, *frames(SESSION)])) in (3, 4)


@pytest.mark.corpus
def test_recorded_sessions_of_codex_keep_their_cache(corpus: Path) -> None:
    for name, fewest in (("codex-ws.json", 1), ("codex-ws+tool.json", 2)):
        recording = json.loads((corpus / "clients" / name).read_text())[0]
        values: list[Value] = []
        for number, sent in enumerate(recording["ws_from_client"]):
            values += [sent["body"], *response(number, CALL)]
        found = socket_turns(frames(values))
        assert len(found) >= fewest
        assert [turn.broken for turn in found] == [None] * len(found), name


@pytest.fixture
def socket(staff: Client) -> Client:
    flow = add_flow(
        "socket", 1, path="/v1/responses", is_websocket=True, provider_type="openai",
        forwarded_url="wss://api.openai.com/v1/responses",
    )  # fmt: skip
    last = create([{**ASK, "content": "Other"}], instructions="You help on Tuesdays.")
    for frame in frames([*SESSION, last, *response(3, SAID, tokens=900)]):
        WebSocketMessage.objects.create(
            flow=flow, seq=frame.seq, at_ms=frame.at_ms, from_client=frame.from_client, is_text=True,
            size_bytes=len(frame.data), body_digest=store(frame.data),
        )  # fmt: skip
    return staff


def test_pages_and_rest_show_the_turns(socket: Client) -> None:
    html = socket.get("/flows/socket/?tab=turns").content.decode()
    assert "broke at instructions[0]" in html
    assert "Two files: a and b." in html
    assert "turn=3" in html
    chat = socket.get("/flows/socket/?tab=chat&turn=3").content.decode()
    assert "Turn 3, put together" in chat
    assert "two files" in chat
    assert "Other" not in chat
    context = socket.get("/flows/socket/?tab=context&turn=4").content.decode()
    assert "The cache broke at instructions[0], changed by the client since turn 3" in context
    results = socket.get("/api/flows/socket/turns/").json()["results"]
    assert [turn["number"] for turn in results] == [1, 2, 3, 4]
    assert results[2]["cache_read_tokens"] == 2900
    assert results[1]["cost_usd"] > 0
    # 3,100 tokens in steps of 128 were cached, and nothing of them was read.
    assert results[3]["broken"]["lost_tokens"] == 3072
    assert results[3]["broken"]["before"] == "You help."
    assert socket.get("/flows/socket/?tab=turns&turn=99").status_code == 200
    assert not Flow.objects.exclude(pk="socket").exists()
