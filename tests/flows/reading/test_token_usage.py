"""Usage is what the provider itself said at the end of its answer, in every wire format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.reading.token_usage import HEAD_BYTES, TAIL_BYTES, usage_of_body, usage_of_messages
from providers.wire.core.ir import Usage
from tests.providers.wire.cases import Case, load

Figures = tuple[int | None, int | None, int | None, int | None, int | None]


def figures(usage: Usage) -> Figures:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def body_of(case: Case) -> bytes:
    return case.answer if isinstance(case.answer, bytes) else json.dumps(case.answer).encode()


def objects_of(body: bytes) -> list[Any]:
    """The JSON objects of a recording, by splitting lines: nothing of ours takes part."""
    if body[:1] in (b"{", b"["):
        whole = json.loads(body)
        return whole if isinstance(whole, list) else [whole]
    lines = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def recorded(body: bytes) -> Figures | None:
    """The figures by hand: the last value of each field, then each vendor's own arithmetic."""
    said: dict[str, Any] = {}
    start_only = False
    for item in objects_of(body):
        for holder in (item, item.get("message"), item.get("response")):
            if not isinstance(holder, dict):
                continue
            usage = holder.get("usage") or holder.get("usageMetadata")
            if usage:
                start_only = item.get("type") == "message_start"
                said |= {key: value for key, value in usage.items() if value is not None}
    if not said:
        return None
    if "promptTokenCount" in said or "totalTokenCount" in said:
        thoughts, answer = said.get("thoughtsTokenCount"), said.get("candidatesTokenCount")
        prompt = said.get("promptTokenCount")
        return (
            None if prompt is None else prompt + said.get("toolUsePromptTokenCount", 0),
            None if thoughts is None and answer is None else (thoughts or 0) + (answer or 0),
            said.get("cachedContentTokenCount"),
            None,
            thoughts,
        )
    if "prompt_tokens" in said:
        prompt, answer = (
            said.get("prompt_tokens_details") or {},
            said.get("completion_tokens_details") or {},
        )
        cached = prompt.get("cached_tokens", said.get("prompt_cache_hit_tokens"))
        return (
            said["prompt_tokens"], said["completion_tokens"], cached,
            prompt.get("cache_write_tokens"),
            answer.get("reasoning_tokens"),
        )  # fmt: skip
    if "total_tokens" in said:
        read, written = (
            said.get("input_tokens_details") or {},
            said.get("output_tokens_details") or {},
        )
        return (
            said["input_tokens"], said["output_tokens"], read.get("cached_tokens"),
            read.get("cache_write_tokens"),
            written.get("reasoning_tokens"),
        )  # fmt: skip
    read, write = said.get("cache_read_input_tokens"), said.get("cache_creation_input_tokens")
    output = None if start_only else said.get("output_tokens")
    thinking = (said.get("output_tokens_details") or {}).get("thinking_tokens")
    return said["input_tokens"] + (read or 0) + (write or 0), output, read, write, thinking


def test_every_recorded_answer_has_the_usage_that_it_says(corpus: Path) -> None:
    seen: dict[str, int] = {}
    for case in load(corpus):
        expected = recorded(body_of(case))
        found = usage_of_body(body_of(case))
        assert (found and figures(found.usage)) == expected, case.id
        seen[case.format] = seen.get(case.format, 0) + (expected is not None)
    assert len(seen) == 4
    assert min(seen.values()) >= 20


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


START = {
    "type": "message_start",
    "message": {
        "model": "claude-haiku-4-5",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 900, "output_tokens": 3},
    },
}


def test_a_stream_that_was_cut_knows_what_it_read_but_not_what_it_wrote() -> None:
    found = usage_of_body(
        sse(START, {"type": "content_block_delta", "delta": {"text": "usage"}}) + b'data: {"usage'
    )
    assert found is not None
    assert figures(found.usage) == (910, None, 900, None, None)
    assert found.model == "claude-haiku-4-5"


def test_a_final_event_that_repeats_only_the_fresh_input_does_not_forget_the_cache() -> None:
    found = usage_of_body(
        sse(START, {"type": "message_delta", "usage": {"input_tokens": 10, "output_tokens": 50}})
    )
    assert found is not None
    assert figures(found.usage) == (910, 50, 900, None, None)


def test_of_a_huge_stream_only_head_and_tail_are_read() -> None:
    filler = sse({"type": "content_block_delta", "delta": {"text": "usage " * 1000}})
    middle = filler * ((HEAD_BYTES + TAIL_BYTES) // len(filler) + 10)
    found = usage_of_body(
        sse(START) + middle + sse({"type": "message_delta", "usage": {"output_tokens": 7}})
    )
    assert found is not None
    assert figures(found.usage)[:2] == (910, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"usage", b'{"usage": 3}', b'{"usage": {}}', b'{"usage": {"input_tokens": "many"}}',
        b"[[]]", b"data: {",
        b'{"error": {"message": "usage limit"}}', b"\xff\xfe usage", b"[" * 100_000 + b'"usage"',
        b'{"input_tokens": 7}',
    ],
)  # fmt: skip
def test_an_answer_without_usage_is_unknown(body: bytes) -> None:
    assert usage_of_body(body) is None


def test_the_answers_of_one_websocket_add_up() -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 2,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4},
    }
    done = {"type": "response.completed", "response": {"model": "gpt-5", "usage": usage}}
    found = usage_of_messages(
        [b"\x00usage", json.dumps(done).encode(), b'{"type": "x"}', json.dumps(done).encode()]
    )
    assert found is not None
    assert (figures(found.usage), found.model) == ((10, 4, 8, None, None), "gpt-5")
