"""Failures in messages of websockets: in any spelling, among any other fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.answer_form import (
    SMALL_BYTES,
    failure_in_message,
    failure_in_small_message,
)

WORDS = "the gpu fell off"
ERROR = {"type": "server_error", "code": "x", "message": WORDS}
FAILURES: dict[str, dict[str, Any]] = {
    "error": {"type": "error", "error": ERROR},
    "error with a status": {"type": "error", "status": 429, "error": ERROR, "headers": {}},
    "flat error": {"type": "error", "code": "server_error", "message": WORDS, "param": None},
    "failed": {"type": "response.failed", "response": {"status": "failed", "error": ERROR}},
    "cancelled": {"type": "response.cancelled", "response": {"error": ERROR}},
    "incomplete": {
        "type": "response.incomplete",
        "response": {"status": "incomplete", "incomplete_details": None, "error": ERROR},
    },
    "realtime": {
        "type": "response.done",
        "response": {"status": "failed", "status_details": {"type": "failed", "error": ERROR}},
    },
    "transcription": {"type": "conversation.item.input_audio_transcription.failed", "error": ERROR},
    "google": {"error": {"code": 503, "message": WORDS, "status": "UNAVAILABLE"}},
    "text": {"error": WORDS},
}
"""Messages of the Responses API over websockets, the realtime API, Google's Live API, gateways."""

WORDLESS = [
    {"type": "response.failed"},
    {"type": "response.failed", "response": None},
    {"type": "response.failed", "response": {"status": "failed", "error": None}},
    {"type": "response.done", "response": {"status": "failed", "status_details": None}},
    {"type": "response.done", "response": {"status": "failed"}},
    {"type": "error"},
]
GOOD: list[Any] = [
    {"type": "response.completed", "response": {"status": "completed", "error": None}},
    {
        "type": "response.incomplete",
        "response": {
            "status": "incomplete",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"},
        },
    },
    {
        "type": "response.done",
        "response": {"status": "cancelled", "status_details": {"reason": "turn_detected"}},
    },
    {"type": "response.created", "response": {"tools": [{"parameters": {"error": {"a": 1}}}]}},
    {"type": "response.output_text.delta", "delta": '{"error": "as text"}'},
    {"type": "response.function_call_arguments.done", "arguments": '{"status":"failed"}'},
    [],
    "error",
]
FIELDS = st.dictionaries(
    st.sampled_from(["event_id", "sequence_number", "obfuscation"]),
    st.one_of(st.integers(), st.text(), st.none()),
)


@given(st.data(), st.sampled_from(list(FAILURES)), FIELDS, st.sampled_from([None, 1, "\t"]))
def test_a_failure_is_seen_among_any_fields(
    data: Any, name: str, fields: dict[str, Any], indent: Any
) -> None:
    items = data.draw(st.permutations([*fields.items(), *FAILURES[name].items()]))
    message = json.dumps(dict(items), indent=indent).encode()
    failure = failure_in_message(message)
    assert failure is not None
    assert failure.message == WORDS
    assert failure_in_small_message(message) == failure


@pytest.mark.parametrize("message", WORDLESS)
def test_a_failure_without_words_is_one(message: dict[str, Any]) -> None:
    assert failure_in_message(json.dumps(message).encode()) is not None


@pytest.mark.parametrize("message", GOOD)
def test_another_message_is_none(message: Any) -> None:
    assert failure_in_message(json.dumps(message).encode()) is None


def test_a_large_message_is_left_to_the_writer() -> None:
    message = json.dumps(FAILURES["error"] | {"padding": "x" * SMALL_BYTES}).encode()
    assert failure_in_small_message(message) is None
    failure = failure_in_message(message)
    assert failure is not None
    assert failure.message == WORDS


def test_broken_characters_do_not_hide_a_failure() -> None:
    message = json.dumps(FAILURES["error"] | {"event_id": "?"}).encode().replace(b"?", b"\xff")
    failure = failure_in_message(message)
    assert failure is not None
    assert failure.message == WORDS


@given(st.binary(max_size=200), st.sampled_from([b"", b'{"error":', b'{"response":{"status":']))
def test_any_bytes_are_no_reason_to_break(data: bytes, before: bytes) -> None:
    failure_in_message(before + data)
