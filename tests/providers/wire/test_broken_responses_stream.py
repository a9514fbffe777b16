"""The end of a forwarded stream of OpenAI Responses that broke off."""

from __future__ import annotations

import json
from typing import Any

from providers.wire.core.sse import SseParser
from providers.wire.openai_responses.broken_stream import failing_end

CREATED = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "resp_1", "status": "in_progress", "output": []},
}
DELTA = {"type": "response.output_text.delta", "sequence_number": 41, "delta": "a\n\n"}


def event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def values(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in SseParser().feed(data)]


def test_it_goes_on_from_the_last_number_with_the_object_that_the_client_has() -> None:
    error, failed = values(failing_end(event(CREATED) + event(DELTA), 503, "stopped"))
    assert (error["type"], error["sequence_number"], error["message"]) == ("error", 42, "stopped")
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 43)
    assert failed["response"]["id"] == "resp_1"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "stopped"}


def test_without_an_object_there_is_the_error_alone() -> None:
    beginnings = (b"", b": ping\n\n", event(CREATED)[:60], b'data: {"response": 5}\n\n')
    for delivered in beginnings:
        ends = values(failing_end(delivered, 502, "gone"))
        assert [end["type"] for end in ends] == ["error"]
