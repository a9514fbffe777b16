"""Failed responses on a websocket, read as a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.models import WebSocketMessage
from flows.queries.selectors import TELLING_MESSAGES, telling_messages
from flows.reading.decoded import Answer
from flows.reading.websocket_chat import socket_exchange
from tests.flows.seed import add_flow

ERROR = {"code": "server_error", "message": "gpu lost"}
CREATE: dict[str, Any] = {"type": "response.create", "input": "hi"}
ITEM = {
    "type": "response.output_item.done",
    "item": {"type": "message", "content": [{"type": "output_text", "text": "part"}]},
}
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "error": None}}
FAILURES: list[dict[str, Any]] = [
    {"type": "error", "error": ERROR},
    {"type": "error", **ERROR},
    {"type": "response.failed", "response": {"status": "failed", "error": ERROR}},
    {"type": "response.incomplete", "response": {"status": "incomplete", "error": ERROR}},
]


def answer_of(*frames: dict[str, Any]) -> Answer:
    sent = [(frame is CREATE, json.dumps(frame).encode()) for frame in frames]
    answer = socket_exchange(sent).answer
    assert answer is not None
    return answer


@pytest.mark.parametrize("failure", FAILURES)
def test_the_words_and_what_came_before_are_shown(failure: dict[str, Any]) -> None:
    answer = answer_of(CREATE, ITEM, failure)
    assert answer.failure == "gpu lost"
    assert [getattr(block, "text", "") for block in answer.blocks] == ["part"]
    assert not answer.complete
    assert answer_of(CREATE, failure).failure == "gpu lost"


def test_a_response_after_a_failure_is_its_own() -> None:
    answer = answer_of(CREATE, FAILURES[0], CREATE, ITEM, COMPLETED)
    assert (answer.failure, answer.complete) == ("", True)
    assert len(answer.blocks) == 1


DELTAS = [
    {"type": "response.output_text.delta", "output_index": 0, "delta": text}
    for text in ("pa", "rt")
]
TEXT_DONE = {"type": "response.output_text.done", "output_index": 0, "text": "part"}


@pytest.mark.parametrize(
    "frames", [DELTAS, [TEXT_DONE], [*DELTAS, TEXT_DONE], [DELTAS[1], TEXT_DONE]]
)
@pytest.mark.parametrize("end", [COMPLETED, FAILURES[0]])
def test_a_text_without_its_item_is_shown(frames: list[Any], end: dict[str, Any]) -> None:
    answer = answer_of(CREATE, *frames, end)
    assert [getattr(block, "text", "") for block in answer.blocks] == ["part"]
    assert answer.failure == ("gpu lost" if end is FAILURES[0] else "")


@pytest.mark.django_db
def test_a_small_failure_at_the_end_is_among_the_telling_messages() -> None:
    flow = add_flow("socket", 1, path="/v1/responses", is_websocket=True)
    count = 2 * TELLING_MESSAGES
    for seq in range(count):
        size_bytes = 10 if seq == count - 1 else 1000 + seq
        WebSocketMessage.objects.create(
            flow=flow, seq=seq, at_ms=seq, from_client=False, is_text=True, size_bytes=size_bytes
        )
    assert telling_messages("socket")[-1].seq == count - 1
