"""Transcripts of websockets: every turn with its response, whatever the newest request repeats."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from flows.models import Flow
from flows.queries.sessions import session
from flows.record import FlowRecord, WebSocketRecord
from flows.sessions.session_story import story
from providers.wire.core.ir import Text
from tests.flows.lineage.test_google_sessions import changed
from tests.flows.lineage.test_linker import record
from tests.flows.records import flow
from tests.flows.writer.rows.test_socket_texts import said, user

pytestmark = pytest.mark.django_db
WARM_UP: dict[str, Any] = {"generate": False, "input": [user("Note")]}


def socket(requests: list[dict[str, Any]], **fields: Any) -> FlowRecord:
    """Return a websocket on which each request is answered with “Answer” and its number."""
    messages: list[WebSocketRecord] = []
    for number, request in enumerate(requests):
        output = [] if request.get("generate") is False else [said(f"Answer {number}.")]
        counts = {"input_tokens": 100 * number, "output_tokens": 7}
        ends = {"id": f"resp_{number}", "output": output, "usage": counts}
        for from_client, value in (
            (True, {"type": "response.create", "model": "gpt-5", **request}),
            (False, {"type": "response.completed", "response": ends}),
        ):
            seq = len(messages)
            content = json.dumps(value).encode()
            messages.append(WebSocketRecord(seq, seq * 1000.0, from_client, True, content))
    return flow(
        "socket",
        method="GET",
        path="/v1/responses",
        client_format="openai_responses",
        provider_format="openai_responses",
        session_id="s",
        is_websocket=True,
        status_code=101,
        messages=tuple(messages),
        **fields,
    )


def told() -> list[str]:
    """Return the texts of the transcript in order; those of the model with their tokens."""
    found = session("s")
    assert found is not None
    texts = []
    for entry in story(found, lambda *address: "").entries:
        if entry.turn is None:
            texts.append(f"({entry.mark})")
            continue
        text = "".join(block.text for block in entry.turn.blocks if isinstance(block, Text))
        if entry.is_response and entry.row is not None:
            text += f" {entry.row.flow.input_tokens}"
        texts.append(text)
    return texts


CHAIN: list[dict[str, Any]] = [
    WARM_UP,
    {"input": [user("a")], "previous_response_id": "resp_0"},
    {"input": [user("b")], "previous_response_id": "resp_1"},
    {"input": [user("c")], "previous_response_id": "resp_2"},
]
ANEW: list[dict[str, Any]] = [
    WARM_UP,
    {"input": [user("a")]},
    {"input": [user("a"), said("Answer 1."), user("b")]},
    {"input": [user("c")]},
    {"input": [user("d")], "previous_response_id": "resp_3"},
]


def test_each_turn_of_a_chain_has_its_own_tokens() -> None:
    record([socket(CHAIN)])
    assert [text for text in told() if text != "Note"] == [
        "a", "Answer 1. 100", "b", "Answer 2. 200", "c", "Answer 3. 300"
    ]  # fmt: skip


def test_what_came_before_a_new_beginning_is_told_too() -> None:
    record([socket(ANEW)])
    assert [text for text in told() if not text.startswith("(")] == [
        "a", "Answer 1. 100", "b", "Answer 2. 200", "c", "Answer 3. 300", "d", "Answer 4. 400"
    ]  # fmt: skip


def test_a_way_back_on_a_websocket_is_marked_as_one(admin_client: Client) -> None:
    base = [user("a"), said("Answer 0.")]
    record(
        [
            socket(
                [{"input": base[:1]}, {"input": [*base, user("b")]}, {"input": [*base, user("c")]}]
            )
        ]
    )
    page = admin_client.get("/flows/session/s/").content.decode()
    assert page.count("The client went back to an earlier message here") == 1
    assert "why the cache broke" not in page


def test_the_page_has_no_id_twice(admin_client: Client) -> None:
    record([socket(ANEW)])
    page = admin_client.get("/flows/session/s/").content.decode()
    ids = re.findall(r'id="(m-[^"]+)"', page)
    assert ids == ["m-socket-2", "m-socket-3", "m-socket-4", "m-socket"]
    assert Flow.objects.count() == 1


def test_a_turn_that_a_cut_connection_left_open_says_why() -> None:
    cut = socket(CHAIN, state="error", error="The provider closed the connection.")
    record([changed(cut, messages=cut.messages[:-1])])
    found = session("s")
    assert found is not None
    last = story(found, lambda *address: "").entries[-1]
    assert last.row is not None
    assert last.row.flow.error == "The provider closed the connection."
    assert last.row.flow.state == "error"
