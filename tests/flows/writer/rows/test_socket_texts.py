"""Previews of websockets: the first typed question, which is the title, and the newest response."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.models import Flow
from flows.record import FlowRecord, WebSocketRecord
from flows.writer.rows.response_facts import socket_texts
from tests.flows.lineage.test_linker import record
from tests.flows.records import flow

NOTE = "<environment_context>\n<cwd>/srv</cwd></environment_context>"


def user(text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }


def said(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def socket(
    flow_id: str, second: str = "And on Macs?", *, breaks: bool = True, **fields: Any
) -> FlowRecord:
    """Return a websocket of Codex: a warm-up, a question, a second one with other instructions."""
    instructions = "You are an agent. "
    later = "You are another one. " if breaks else instructions
    answered = said("It is because of the line ends.")
    history = [user(NOTE), user("Why does it fail?"), answered]
    if not breaks:
        history = [*history, user("And on Macs?"), answered]
    first = {"instructions": instructions, "input": history[:2]}
    requests: list[dict[str, Any]] = [
        {"generate": False, "instructions": instructions, "input": [user(NOTE)]},
        first,
        {"instructions": instructions, "input": history} if not breaks else first,
        {"instructions": later, "input": [*history[:3], user(second)]},
    ]
    responses = [[], [answered], [answered], [said("It is so.")]]
    messages: list[WebSocketRecord] = []
    for number, (request, output) in enumerate(zip(requests, responses, strict=True)):
        ends = {"id": f"resp_{number}", "output": output}
        for from_client, value in (
            (True, {"type": "response.create", "model": "gpt-5", **request}),
            (False, {"type": "response.completed", "response": ends}),
        ):
            content = json.dumps(value).encode()
            seq = len(messages)
            messages.append(WebSocketRecord(seq, seq * 10.0, from_client, True, content))
    return flow(
        flow_id,
        method="GET",
        path="/v1/responses",
        client_format="openai_responses",
        provider_format="openai_responses",
        is_websocket=True,
        status_code=101,
        messages=tuple(messages),
        **fields,
    )


def test_the_first_question_and_the_newest_response_name_a_websocket() -> None:
    texts = socket_texts(socket("s"))
    assert (texts.asked, texts.said.text) == ("Why does it fail?", "It is so.")
    running = socket_texts(socket("s", state="live", finished_at=None))
    assert (running.asked, running.said.text) == ("Why does it fail?", "")


def test_other_websockets_have_no_texts() -> None:
    odd = [b"", b"response.create", b"[1]", b'{"type":"response.create","response":7}', b"\xff"]
    messages = [
        WebSocketRecord(seq, 1.0, seq % 2 == 0, True, content) for seq, content in enumerate(odd)
    ]
    texts = socket_texts(flow("s", is_websocket=True, messages=tuple(messages)))
    assert (texts.asked, texts.said.text) == ("", "")


@pytest.mark.django_db
def test_rows_of_websockets_have_a_preview_and_are_found() -> None:
    record([socket("s")])
    row = Flow.objects.get()
    assert (row.asked, row.said) == ("Why does it fail?", "It is so.")
    assert "why does it fail?" in row.search_text
